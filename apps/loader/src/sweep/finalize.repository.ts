import type { Pool } from 'pg';
import {
  type JobInQueue,
  claimToFinalize,
  jobsInQueue,
  releaseFinalize,
  renewFinalizeLease,
} from '#core/job/finalize-claim.js';
import { type FinalizingJob, finalizingJobOf } from '../finalize/finalizing-job.js';
import { terminateBackends } from '../finalize/step-runner.js';

/** A job whose source is larger than this may not take the last free slot: small ones must not wait behind it. */
export const LARGE_JOB_BYTES = 64 * 1024 * 1024;

/** The jobs that are due to be finalized, and the loader's claim on one; leases count by the database's clock. */
export class FinalizeRepository {
  constructor(
    private readonly pool: Pool,
    private readonly owner: string,
    private readonly leaseSeconds: number,
  ) {}

  /**
   * Takes the job that was completed first, or whose finalizer is gone: running → finalizing with a higher epoch.
   * A job whose row a load transaction still holds is left for the next poll.
   * @param datasets those that this process can finalize now
   * @param maxBytes of the source: larger jobs are left
   */
  async claimNext(
    datasets: readonly string[],
    maxBytes: number = Number.MAX_SAFE_INTEGER,
  ): Promise<FinalizingJob | null> {
    const { owner, leaseSeconds } = this;
    const row = await claimToFinalize(this.pool, { owner, leaseSeconds, datasets, maxBytes });
    return row === null ? null : finalizingJobOf(row);
  }

  /** Complete jobs that no loader has taken, in their order. */
  inQueue(datasets: readonly string[]): Promise<JobInQueue[]> {
    return jobsInQueue(this.pool, datasets);
  }

  /**
   * @returns false when another loader has the job, or it was cancelled; both raise the epoch. A job that we have just
   *   ended or paused ourselves is not lost: its backends are back in the pool, and must not be ended.
   */
  renewLease(job: FinalizingJob): Promise<boolean> {
    return renewFinalizeLease(this.pool, job, this.leaseSeconds);
  }

  /** Whether another loader finalizes the job: an operator has not ended it. */
  async isTaken({ id, epoch }: FinalizingJob): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      `SELECT FROM sluice.job WHERE id = $1 AND epoch > $2 AND state = 'finalizing'`,
      [id, epoch],
    );
    return rowCount === 1;
  }

  /** Releases the job as it is, so that the next loader need not wait for the lease to expire. */
  release(job: FinalizingJob): Promise<void> {
    return releaseFinalize(this.pool, job);
  }

  /** Ends all sessions that still work on the job, ours included up to `epoch`. */
  async terminateBackends(jobId: string, epoch: number): Promise<void> {
    await terminateBackends(this.pool, jobId, epoch);
  }
}
