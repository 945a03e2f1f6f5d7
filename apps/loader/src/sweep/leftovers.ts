import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { inTransaction } from '#common/postgres/pool.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import { giveUpFailed, writePartialCounts } from '#core/job/unsuccessful-job.js';
import { jobCounts } from '#core/ledger/balance.js';
import { dropStaging, findAbandonedStaging } from '#core/staging/staging-tables.js';
import { NOTHING } from '../finalize/conclude.js';
import { ledgerFindings, ledgerTotals, loadedBatches } from '../finalize/ledger-sums.js';
import { terminateBackends } from '../finalize/step-runner.js';

/** How long a clean-up may wait for a lock; the next one comes soon. */
const LOCK_TIMEOUT = '1s';
const LOCK_NOT_AVAILABLE = '55P03';
const ANY_EPOCH = Number.MAX_SAFE_INTEGER;

/**
 * What jobs that did not become visible leave behind: staging tables and ledger rows.
 *
 * - LO1: a failed job keeps both while it is `resumable`: resuming continues from them. A cancelled one keeps nothing.
 * - LO2: a failed job is given up for ever when it has been kept long enough, or when a newer job of its dataset has
 *   succeeded. Its row is taken FOR UPDATE for that: load transactions hold it FOR KEY SHARE, so none is in flight
 *   that still took the job for resumable.
 * - LO3: staging and ledger go in one transaction; ledger rows only once none of the job's refusals is unannounced,
 *   because they are the outbox. Ledger rows of succeeded jobs stay.
 * - LO4: the counts of an unsuccessful job come from the ledger: they are written again while batches still arrive, and for
 *   the last time before the rows are deleted.
 */
export class Leftovers {
  constructor(
    private readonly pool: Pool,
    private readonly keepFailedHours: number,
    private readonly logger: Logger,
  ) {}

  /** LO2: failed → failed and not resumable. A job whose row another session holds is left for the next poll. */
  async giveUp(): Promise<string[]> {
    return giveUpFailed(this.pool, this.keepFailedHours);
  }

  /**
   * LO4: counts and findings of jobs that have failed or were cancelled, as far as their batches are loaded.
   * @returns whether there were any
   */
  async countUnsuccessful(): Promise<boolean> {
    const { rows } = await this.pool.query<{ id: string }>(
      `SELECT id FROM sluice.job
       WHERE state IN ('failed', 'cancelled') AND counts IS NULL
          OR state = 'failed' AND resumable AND (counts ->> 'read')::bigint
             <> (SELECT coalesce(sum(records), 0) FROM sluice.ledger WHERE ledger.job = job.id)`,
    );
    for (const { id } of rows) await inTransaction(this.pool, (client) => writeCounts(client, id));
    return rows.length > 0;
  }

  /**
   * Drops what is not needed any more (LO1, LO3). What another session still holds is left for the next clean-up, and so is
   * a job of which something else cannot be dropped: the others do not wait for it.
   * @returns the jobs, known or not, that lost something
   */
  async clear(): Promise<string[]> {
    const staged = await findAbandonedStaging(this.pool);
    const listed = (await this.pool.query<{ id: string }>(LEDGERS_TO_DROP)).rows.map(({ id }) => id);
    const cleared: string[] = [];
    for (const id of new Set([...staged, ...listed])) {
      try {
        // A finalizer whose job was cancelled may still build indexes; one that still loads is waited for.
        if (staged.includes(id)) await terminateBackends(this.pool, id, ANY_EPOCH);
        if (await this.clearJob(id)) cleared.push(id);
      } catch (error) {
        if (classifyDatabaseError(error) === 'wait') throw error;
        this.logger.error({ job: id, err: error }, 'cannot drop the leftovers of a job; will try again');
      }
    }
    return cleared;
  }

  private async clearJob(id: string): Promise<boolean> {
    try {
      await inTransaction(this.pool, async (client) => {
        await client.query(`SELECT set_config('lock_timeout', $1, true)`, [LOCK_TIMEOUT]);
        // One loader at a time; the state does not change any more.
        await client.query('SELECT FROM sluice.job WHERE id = $1 FOR UPDATE', [id]);
        await dropStaging(client, { id });
        await writeCounts(client, id);
        await client.query(
          `DELETE FROM sluice.ledger WHERE job = $1 AND EXISTS (${LEDGERS_TO_DROP} AND job.id = $1)`,
          [id],
        );
      });
      return true;
    } catch (error) {
      if (sqlstateOf(error) === LOCK_NOT_AVAILABLE) return false;
      throw error;
    }
  }
}

const LEDGERS_TO_DROP = `
  SELECT id FROM sluice.job
  WHERE (state = 'cancelled' OR state = 'failed' AND NOT resumable)
    AND EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = job.id)
    AND NOT EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = job.id AND NOT refusals_announced)`;

/** Does nothing once the ledger rows are gone, nor for a job that was resumed meanwhile. */
async function writeCounts(client: Parameters<typeof ledgerTotals>[0], id: string): Promise<void> {
  // Before the sums: a batch that arrives between the two is in the sums alone, and they are written again.
  const batches = await loadedBatches(client, id);
  const totals = await ledgerTotals(client, id);
  await writePartialCounts(client, id, {
    counts: jobCounts(totals, NOTHING),
    findings: await ledgerFindings(client, id),
    batches,
    hasBatches: totals.batches > 0,
  });
}
