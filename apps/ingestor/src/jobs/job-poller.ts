import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { Health, type HealthSource } from '#common/http/health.controller.js';
import { LOGGER } from '#common/lifecycle/tokens.js';
import { Wakeup } from '#common/lifecycle/wakeup.js';
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
export class JobPoller implements OnApplicationBootstrap, BeforeApplicationShutdown, HealthSource {
  private readonly drain = new AbortController();
  private readonly running = new Set<Promise<void>>();
  private readonly wakeup = new Wakeup();
  private polling: Promise<void> = Promise.resolve();
  private lastPollAt = performance.now();
  private problem: string | null = null;

  constructor(
    @Inject(JobRepository) private readonly jobs: JobRepository,
    @Inject(JobRunner) private readonly runner: JobRunner,
    @Inject(IngestorConfig) private readonly config: IngestorConfig,
    @Inject(Health) private readonly health: Health,
    @Inject(INSTANCE) private readonly instance: string,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.health.add(this);
    this.polling = this.poll();
  }

  /** Running jobs stop at the next batch and are given back; another ingestor, or the next start, goes on. */
  async beforeApplicationShutdown(): Promise<void> {
    this.drain.abort(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    this.wakeup.wake();
    await this.polling;
    await Promise.all(this.running);
    await this.runner.close();
  }

  /** A job has been queued, or given back to be gone on with: it is looked for now instead of at the next beat. */
  nudge(): void {
    this.wakeup.wake();
  }

  notLive(): string[] {
    return performance.now() - this.lastPollAt > MAX_SILENCE_MS ? ['jobs are not looked for any more'] : [];
  }

  notReady(): string[] {
    return this.problem === null ? [] : [this.problem];
  }

  private async poll(): Promise<void> {
    while (!this.drain.signal.aborted) {
      await this.claimJobs();
      await this.wakeup.wait(POLL_INTERVAL_MS);
    }
  }

  private async claimJobs(): Promise<void> {
    try {
      while (this.running.size < this.config.jobsAtOnce && !this.drain.signal.aborted) {
        const claim = await this.jobs.claimNext(this.instance);
        if (!claim) break;
        const run = this.runner.run(claim, this.drain.signal).finally(() => this.running.delete(run));
        this.running.add(run);
      }
      this.problem = null;
    } catch (error) {
      if (this.problem === null) this.logger.warn(`jobs cannot be looked for: ${messageOf(error)}`);
      this.problem = `jobs cannot be looked for: ${messageOf(error)}`;
    }
    this.lastPollAt = performance.now();
  }
}
