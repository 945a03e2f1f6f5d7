import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { Health } from '#common/http/health.controller.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { LOGGER } from '#common/lifecycle/tokens.js';
import { JobRepository } from '#core/job/job.repository.js';
import { IngestorConfig } from '../ingestor.config.js';
import { JobRunner } from './job-runner.js';

/** The name by which this process holds leases. */
export const INSTANCE = Symbol('instance');

const POLL_INTERVAL_MS = 500;
/** Polling is a single statement: silence for so long means a wedged loop. */
const MAX_SILENCE_MS = 120_000;

/** Looks for jobs that wait, or were interrupted, and runs up to `jobsAtOnce` of them side by side. */
@Injectable()
export class JobPoller implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly running = new Set<Promise<void>>();
  private readonly loop: BackgroundLoop;

  constructor(
    @Inject(JobRepository) private readonly jobs: JobRepository,
    @Inject(JobRunner) private readonly runner: JobRunner,
    @Inject(IngestorConfig) private readonly config: IngestorConfig,
    @Inject(Health) private readonly health: Health,
    @Inject(INSTANCE) private readonly instance: string,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.loop = new BackgroundLoop({
      duty: 'look for jobs',
      turn: () => this.claimJobs(),
      pauseMs: () => POLL_INTERVAL_MS,
      maxSilenceMs: MAX_SILENCE_MS,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.health.add(this.loop);
    this.loop.start();
  }

  /** Running jobs stop at the next batch and are given back; another ingestor, or the next start, goes on. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    await Promise.all(this.running);
    await this.runner.close();
  }

  /** A job has been queued, or given back to be gone on with: it is looked for now instead of at the next beat. */
  wake(): void {
    this.loop.wake();
  }

  private async claimJobs(): Promise<void> {
    while (this.running.size < this.config.jobsAtOnce && !this.loop.isStopping) {
      const claim = await this.jobs.claimNext(this.instance);
      if (!claim) break;
      const run = this.runner.run(claim, this.loop.signal).finally(() => this.running.delete(run));
      this.running.add(run);
    }
  }
}
