import type { Pool } from 'pg';
import type { EndedJob } from './announcer.js';

/** What of a job is still to be announced. */
export interface PendingAnnouncement extends EndedJob {
  readonly end: boolean;
  readonly refusals: boolean;
}

/** Longer than a turn takes, so that two loaders do not read the same batches; and a dead loader's jobs wait so long. */
const LEASE_SECONDS = 30;

/**
 * What announcing reads and writes of the job row. Who announces a job holds a lease in its row: announcing twice would
 * do no harm, but reading the raw batches twice would cost time. No session lock: poolers share sessions.
 */
export class AnnounceRepository {
  constructor(
    private readonly pool: Pool,
    private readonly owner: string,
  ) {}

  /** Jobs that have ended unannounced, or have refusals that are; oldest first. */
  async findUnannounced(): Promise<string[]> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT id FROM sluice.job WHERE NOT announced AND state IN ('succeeded', 'failed', 'cancelled')
       UNION SELECT job FROM sluice.ledger WHERE NOT refusals_announced ORDER BY id`,
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Takes the job, unless another loader has it. An end is announced once its counts are written: who learns of it
   * finds them.
   */
  async take(jobId: string): Promise<PendingAnnouncement | null> {
    const { rows } = await this.pool.query<PendingAnnouncement>(
      `UPDATE sluice.job SET announcer = $2, announcer_until = now() + $3 * interval '1 second'
       WHERE id = $1 AND (announcer = $2 OR announcer_until IS NULL OR announcer_until < now())
       RETURNING id, dataset, state,
         NOT announced AND counts IS NOT NULL AND state IN ('succeeded', 'failed', 'cancelled') AS end,
         EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = job.id AND NOT refusals_announced) AS refusals`,
      [jobId, this.owner, LEASE_SECONDS],
    );
    return rows[0] ?? null;
  }

  async giveBack(jobId: string): Promise<void> {
    await this.pool.query(
      'UPDATE sluice.job SET announcer = NULL, announcer_until = NULL WHERE id = $1 AND announcer = $2',
      [jobId, this.owner],
    );
  }

  async markAnnounced(jobId: string): Promise<void> {
    await this.pool.query(`UPDATE sluice.job SET announced = true WHERE id = $1 AND NOT announced`, [jobId]);
  }
}
