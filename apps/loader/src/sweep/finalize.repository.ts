import type { Pool } from 'pg';
import {
  DUE_TO_FINALIZE,
  claimToFinalize,
  releaseFinalize,
  renewFinalizeLease,
} from '#core/job/finalize-claim.js';
import type { FinalizingJob } from '../finalize/finalizing-job.js';
import { terminateBackends } from '../finalize/step-runner.js';

/** A job whose source is larger than this may not take the last free place: small ones must not wait behind it. */
export const LARGE_JOB_BYTES = 64 * 1024 * 1024;

/** The jobs that are due to be finalized, and the loader's claim on one; leases count by the database's clock. */
export class FinalizeRepository {
  constructor(
    private readonly pool: Pool,
    private readonly owner: string,
    private readonly leaseSeconds: number,
  ) {}

  /**
   * Takes the oldest job that is complete, or whose finalizer is gone: running → finalizing with a higher epoch.
   * A job whose row a load transaction still holds is left for the next look.
   * @param datasets those that this process can finalize now
   * @param maxBytes of the source: larger jobs are left
   */
  async claimNext(
    datasets: readonly string[],
    maxBytes: number = Number.MAX_SAFE_INTEGER,
  ): Promise<FinalizingJob | null> {
    const { owner, leaseSeconds } = this;
    const row = await claimToFinalize(this.pool, { owner, leaseSeconds, datasets, maxBytes });
    if (row === null) return null;
    return {
      id: row.id,
      dataset: row.dataset,
      epoch: row.epoch,
      mode: row.mode,
      dryRun: row.dry_run,
      maxRefusedShare: row.max_refused_share,
      maxShrinkShare: row.max_shrink_share,
      existingKeys: row.existing_keys,
      contractVersion: row.contract_version,
      source: {
        batches: Number(row.total_batches),
        records: Number(row.total_records),
        bytes: Number(row.total_bytes),
        dataStart: row.head?.dataStart ?? 0,
        ...(row.head?.bytes === undefined
          ? {}
          : { headBytes: row.head.bytes, headLines: row.head.lines, firstLine: row.head.firstLine }),
        crc32cSum: row.checkpoint?.crc32cSum ?? null,
      },
    };
  }

  /** Jobs that are due and not taken. */
  async findDue(datasets: readonly string[]): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT id FROM sluice.job WHERE dataset = ANY($1) AND ${DUE_TO_FINALIZE} ORDER BY id`,
      [datasets],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * @returns false when another loader has the job, or it was cancelled; both raise the epoch. A job that we have just
   *   ended or paused ourselves is not lost: its backends are back in the pool, and must not be ended.
   */
  renewLease(job: FinalizingJob): Promise<boolean> {
    return renewFinalizeLease(this.pool, job, this.leaseSeconds);
  }

  /** Gives the job back as it is, so that the next loader need not wait for the lease to run out. */
  release(job: FinalizingJob): Promise<void> {
    return releaseFinalize(this.pool, job);
  }

  /** Ends whatever still works on the job, ourselves included up to `epoch`. */
  async terminateBackends(jobId: string, epoch: number): Promise<void> {
    await terminateBackends(this.pool, jobId, epoch);
  }
}
