import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { Claim, JobRepository } from '#core/job/job.repository.js';
import type { JobState } from '#core/job/job-state.js';

/** Renewals in a lease: several may fail before it runs out. */
const RENEWALS_A_LEASE = 10;

/**
 * Renews the lease of one claimed job and notices when the job is no longer ours.
 * While the database is away the work goes on: cutting is deterministic, so whatever a second ingestor
 * published meanwhile is the same, and the first renewal afterwards tells who holds the job.
 */
export class LeaseKeeper {
  private readonly lost = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private renewing: Promise<void> | null = null;
  private state: JobState = 'queued';

  constructor(
    private readonly jobs: JobRepository,
    private readonly claim: Claim,
    private readonly logger: Logger,
    leaseSeconds: number,
  ) {
    this.timer = setInterval(
      () => {
        this.renewing ??= this.renew().finally(() => {
          this.renewing = null;
        });
      },
      (leaseSeconds * 1_000) / RENEWALS_A_LEASE,
    );
  }

  /** Aborted with JOB_LOST when the job was cancelled, has ended, or another ingestor has claimed it. */
  get signal(): AbortSignal {
    return this.lost.signal;
  }

  isPaused(): boolean {
    return this.state === 'paused';
  }

  /** Stops the work from outside, e.g. when the process drains. */
  abandon(reason: SluiceError): void {
    this.lost.abort(reason);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.renewing;
  }

  private async renew(): Promise<void> {
    try {
      const state = await this.jobs.renewLease(this.claim);
      if (state === null) {
        this.lost.abort(new SluiceError('JOB_LOST', `Job ${this.claim.id} was ended or taken over.`));
      } else {
        this.state = state;
      }
    } catch (error) {
      this.logger.warn({ job: this.claim.id }, `the lease could not be renewed: ${messageOf(error)}`);
    }
  }
}
