import type { Pool } from 'pg';
import type { ExistingKeys, WriteMode } from '#core/dataset/dataset.js';
import type { Checkpoint, PinnedHead } from '#core/job/job.entity.js';
import type { FinalizingJob } from '../finalize/finalizing-job.js';
import { terminateBackends } from '../finalize/step-runner.js';

interface JobRow {
  id: string;
  dataset: string;
  epoch: number;
  mode: WriteMode;
  dry_run: boolean;
  max_refused_share: number;
  max_shrink_share: number | null;
  existing_keys: ExistingKeys;
  contract_version: number;
  head: PinnedHead | null;
  /** Behind the last batch. */
  checkpoint: Checkpoint | null;
  total_batches: string;
  total_records: string;
  total_bytes: string;
}

const CLAIMED_COLUMNS = `id, dataset, epoch, mode, dry_run, max_refused_share, max_shrink_share, existing_keys,
  contract_version, head, checkpoint, total_batches, total_records, total_bytes`;

/** A job whose source is larger than this may not take the last free place: small ones must not wait behind it. */
export const LARGE_JOB_BYTES = 64 * 1024 * 1024;

/** Jobs that a loader may finalize now: complete, or given up by their finalizer. */
const DUE = `(lease_until IS NULL OR lease_until < now())
  AND (state = 'finalizing' OR state = 'running' AND total_batches IS NOT NULL
    AND total_batches = (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id))`;

/**
 * What finalization reads and writes of job and ledger. State changes are compare-and-set (J1);
 * leases count by the database's clock.
 */
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
    const { rows } = await this.pool.query<JobRow>(
      `UPDATE sluice.job SET state = 'finalizing', owner = $1, epoch = epoch + 1, wait = NULL,
              lease_until = now() + $2 * interval '1 second'
       WHERE id = (
         SELECT id FROM sluice.job
         WHERE dataset = ANY($3) AND greatest(total_bytes, expected_bytes, 0) <= $4 AND ${DUE}
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING ${CLAIMED_COLUMNS}`,
      [this.owner, this.leaseSeconds, datasets, maxBytes],
    );
    const row = rows[0];
    if (row === undefined) return null;
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
      `SELECT id FROM sluice.job WHERE dataset = ANY($1) AND ${DUE} ORDER BY id`,
      [datasets],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * @returns false when another loader has the job, or it was cancelled; both raise the epoch. A job that we have just
   *   ended or paused ourselves is not lost: its backends are back in the pool, and must not be ended.
   */
  async renewLease(job: FinalizingJob): Promise<boolean> {
    const { rows } = await this.pool.query(
      `UPDATE sluice.job SET lease_until = CASE WHEN state = 'finalizing' THEN now() + $3 * interval '1 second' ELSE lease_until END
       WHERE id = $1 AND epoch = $2 RETURNING id`,
      [job.id, job.epoch, this.leaseSeconds],
    );
    return rows.length === 1;
  }

  /** Gives the job back as it is, so that the next loader need not wait for the lease to run out. */
  async release(job: FinalizingJob): Promise<void> {
    await this.changes(
      `UPDATE sluice.job SET owner = NULL, lease_until = NULL, wait = NULL
       WHERE id = $1 AND epoch = $2 AND state = 'finalizing'`,
      [job.id, job.epoch],
    );
  }

  /** Ends whatever still works on the job, ourselves included up to `epoch`. */
  async terminateBackends(jobId: string, epoch: number): Promise<void> {
    await terminateBackends(this.pool, jobId, epoch);
  }

  private async changes(sql: string, parameters: unknown[]): Promise<boolean> {
    return ((await this.pool.query(sql, parameters)).rowCount ?? 0) > 0;
  }
}
