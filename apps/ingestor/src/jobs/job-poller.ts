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
import { LOGGER } from '#common/providers/tokens.js';
import type { Claim } from '#core/job/ingest-claim.js';
import { JobRepository } from '#core/job/job.repository.js';
import { IngestorConfig } from '../ingestor.config.js';
import { JobRunner } from './job-runner.js';

/** The name by which this process holds leases. */
export const INSTANCE = Symbol('instance');

/** What this process makes or releases itself wakes the loop: only what another one leaves is found by polling. */
const POLL_INTERVAL_MS = 1_000;
/** Polling is a single statement: silence for so long means a wedged loop. */
const MAX_SILENCE_MS = 120_000;

/** Looks for jobs that wait, or were interrupted, and runs up to `jobsAtOnce` of them side by side. */
@Injectable()
export class JobPoller implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly running = new Set<Promise<void>>();
  /** Jobs that are being made, to run here. */
  private readonly beginning = new Set<Promise<unknown>>();
  private readonly loop: BackgroundLoop;
  /** No look has found since that no job waits. */
  private mayWait = true;

  constructor(
    private readonly jobs: JobRepository,
    private readonly runner: JobRunner,
    private readonly config: IngestorConfig,
    private readonly health: Health,
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

  /** Running jobs stop at the next batch and are released; another ingestor, or this one after its restart, resumes them. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop(new SluiceError('JOB_LOST', 'The ingestor is ending.'));
    await Promise.allSettled(this.beginning);
    await Promise.all(this.running);
    await this.runner.close();
  }

  /** A job was queued or released: polls now instead of at the next interval. */
  wake(): void {
    this.loop.wake();
  }

  /**
   * Makes a job that this process runs at once, when one more may run and no other waits for that: it is claimed as it is made, and
   * need not be looked for.
   * @param create makes it, for the given owner, or for any ingestor
   */
  async begin<T extends { readonly id: string }>(create: (owner: string | null) => Promise<T>): Promise<T> {
    if (!this.hasPlace || this.mayWait || this.loop.isStopping) {
      const created = await create(null);
      this.mayWait = true;
      this.wake();
      return created;
    }
    const creating = create(this.instance);
    this.beginning.add(creating);
    try {
      const created = await creating;
      // A process that is ending releases it.
      this.run({ id: created.id, epoch: 1 });
      return created;
    } finally {
      this.beginning.delete(creating);
    }
  }

  private get hasPlace(): boolean {
    return this.running.size + this.beginning.size < this.config.jobsAtOnce;
  }

  private async claimJobs(): Promise<void> {
    while (this.hasPlace && !this.loop.isStopping) {
      // Before the look: a job that is made meanwhile may not be seen by it.
      this.mayWait = false;
      const claim = await this.jobs.claimNext(this.instance).catch((error: unknown) => {
        this.mayWait = true;
        throw error;
      });
      if (!claim) return;
      this.mayWait = true;
      this.run(claim);
    }
    this.mayWait = true;
  }

  private run(claim: Claim): void {
    const run = this.runner.run(claim, this.loop.signal).finally(() => {
      this.running.delete(run);
      // Its place is free for a job that waits.
      this.wake();
    });
    this.running.add(run);
  }
}
