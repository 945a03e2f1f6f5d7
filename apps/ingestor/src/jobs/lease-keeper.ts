import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { JobState } from '#api/job-words.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { Claim } from '#core/job/ingest-claim.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import type { JobRepository } from '#core/job/job.repository.js';

/** Renewals in a lease: several may fail before it runs out. */
const RENEWALS_A_LEASE = 10;
/** A renewal is also the look at the job's state: so soon a pause or a cancelling of elsewhere is noticed. */
const LONGEST_LOOK_INTERVAL_MS = 1_000;
const PAUSE_POLL_MS = 50;

/**
 * Renews the lease of one claimed job, saves its checkpoint with it, and notices when the job is paused or no longer ours.
 * While the database is away the work continues: cutting is deterministic, so whatever a second ingestor
 * published meanwhile is the same, and the first renewal afterwards shows who holds the job.
 */
export class LeaseKeeper {
  private readonly lost = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private looking: Promise<void> | null = null;
  private state: JobState = 'queued';

  /**
   * @param checkpoint what is to be saved with each renewal; null for nothing yet
   * @param onTaken called when another ingestor has the job, and not when it has ended
   */
  constructor(
    private readonly jobs: JobRepository,
    private readonly claim: Claim,
    private readonly logger: Logger,
    leaseSeconds: number,
    private readonly checkpoint: () => Checkpoint | null,
    private readonly onTaken: () => void,
  ) {
    const intervalMs = Math.min((leaseSeconds * 1_000) / RENEWALS_A_LEASE, LONGEST_LOOK_INTERVAL_MS);
    this.timer = setInterval(() => {
      this.looking ??= this.renew().finally(() => {
        this.looking = null;
      });
    }, intervalMs);
  }

  /** Aborted with JOB_LOST when the job was cancelled, has ended, or another ingestor has claimed it. */
  get signal(): AbortSignal {
    return this.lost.signal;
  }

  /** Resolves when the job is not paused: at once, or when it is continued. @throws the signal's reason when it is aborted */
  async whileNotPaused(signal: AbortSignal): Promise<void> {
    // An abort ends the wait; its reason is thrown below.
    while (this.state === 'paused' && !signal.aborted) {
      await delay(PAUSE_POLL_MS, undefined, { signal }).catch(() => undefined);
    }
    signal.throwIfAborted();
  }

  /** Looks at the job now, because an operator has just changed it. */
  async look(): Promise<void> {
    // The look under way may have read the row before the change.
    await this.looking;
    await this.renew();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  private async lose(): Promise<void> {
    const { id, epoch } = this.claim;
    if (this.lost.signal.aborted) return;
    this.lost.abort(new SluiceError('JOB_LOST', `Job ${id} was ended or taken over.`));
    const now = await this.jobs.load(id);
    if (now.epoch > epoch && now.finishedAt === null) this.onTaken();
  }

  private async renew(): Promise<void> {
    try {
      const state = await this.jobs.renewLease(this.claim, this.checkpoint());
      if (state === null) {
        await this.lose();
      } else {
        this.state = state;
      }
    } catch (error) {
      this.logger.warn({ job: this.claim.id }, `the lease could not be renewed: ${messageOf(error)}`);
    }
  }
}
