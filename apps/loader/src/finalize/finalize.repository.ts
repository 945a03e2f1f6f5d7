import type { Pool } from 'pg';
import type { ExistingKeys, WriteMode } from '#core/dataset/dataset.js';
import type { Checkpoint, PinnedHead } from '#core/job/job.entity.js';
import type { EndedJob } from './announcer.js';
import type { FinalizingJob } from './finalizing-job.js';
import { terminateBackends } from './step-runner.js';

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

/** What of a job is still to be told. */
export interface PendingAnnouncement extends EndedJob {
  readonly end: boolean;
  readonly refusals: boolean;
}

/** An end is told once its counts are written: whoever hears of it finds them. */
const PENDING = `
  SELECT id, dataset, state,
         NOT announced AND counts IS NOT NULL AND state IN ('succeeded', 'failed', 'cancelled') AS end,
         EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = job.id AND NOT refusals_announced) AS refusals
  FROM sluice.job WHERE id = $1`;

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
   * @param datasets those that this process can finalize
   */
  async claimNext(datasets: readonly string[]): Promise<FinalizingJob | null> {
    const { rows } = await this.pool.query<JobRow>(
      `UPDATE sluice.job SET state = 'finalizing', owner = $1, epoch = epoch + 1, wait = NULL,
              lease_until = now() + $2 * interval '1 second'
       WHERE id = (
         SELECT id FROM sluice.job
         WHERE dataset = ANY($3) AND (lease_until IS NULL OR lease_until < now())
           AND (state = 'finalizing' OR state = 'running' AND total_batches IS NOT NULL
             AND total_batches = (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id))
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING ${CLAIMED_COLUMNS}`,
      [this.owner, this.leaseSeconds, datasets],
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

  /** @returns false when the job is somebody else's, or ended */
  async renewLease(job: FinalizingJob): Promise<boolean> {
    return this.changes(
      `UPDATE sluice.job SET lease_until = now() + $3 * interval '1 second'
       WHERE id = $1 AND epoch = $2 AND state = 'finalizing'`,
      [job.id, job.epoch, this.leaseSeconds],
    );
  }

  /** Gives the job back as it is, so that the next loader need not wait for the lease to run out. */
  async release(job: FinalizingJob): Promise<void> {
    await this.changes(
      `UPDATE sluice.job SET owner = NULL, lease_until = NULL WHERE id = $1 AND epoch = $2 AND state = 'finalizing'`,
      [job.id, job.epoch],
    );
  }

  /** Ends whatever still works on the job, ourselves included up to `epoch`. */
  async terminateBackends(jobId: string, epoch: number): Promise<void> {
    await terminateBackends(this.pool, jobId, epoch);
  }

  /** Jobs that have ended unannounced, or have refusals that are. */
  async findUnannounced(): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT id FROM sluice.job WHERE NOT announced AND state IN ('succeeded', 'failed', 'cancelled')
       UNION SELECT job FROM sluice.ledger WHERE NOT refusals_announced ORDER BY id`,
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Lets `work` announce a job unless another loader is at it: doing it twice would do no harm, but reading the
   * raw batches twice would cost time. So a session lock will do, whatever becomes of its connection.
   */
  async announcing(jobId: string, work: (pending: PendingAnnouncement) => Promise<void>): Promise<void> {
    const client = await this.pool.connect();
    let broken = true;
    try {
      const lock = await client.query<{ taken: boolean }>(
        `SELECT pg_try_advisory_lock(hashtextextended('sluice-announce ' || $1::text, 0)) AS taken`,
        [jobId],
      );
      if (lock.rows[0]?.taken === true) {
        const { rows } = await client.query<PendingAnnouncement>(PENDING, [jobId]);
        if (rows[0] !== undefined) await work(rows[0]);
        await client.query(`SELECT pg_advisory_unlock(hashtextextended('sluice-announce ' || $1::text, 0))`, [
          jobId,
        ]);
      }
      broken = false;
    } finally {
      client.release(broken);
    }
  }

  async markAnnounced(jobId: string): Promise<void> {
    await this.changes(`UPDATE sluice.job SET announced = true WHERE id = $1 AND NOT announced`, [jobId]);
  }

  private async changes(sql: string, parameters: unknown[]): Promise<boolean> {
    return ((await this.pool.query(sql, parameters)).rowCount ?? 0) > 0;
  }
}
