import type { JobCounts } from '#api/job-facts.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { NEWER_SUCCESS } from './newer-success.js';
import { IS_WAITED_FOR } from './predecessor.js';
import { NOT_RESUMABLE } from './state-change.js';

/** What becomes of a job that has failed or was cancelled: no statement here changes the state. */

/**
 * An operator gives up what a failed job has staged.
 * @returns false when the job has not failed
 */
export async function discardWork(client: SqlClient, id: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${NOT_RESUMABLE} WHERE id = $1 AND state = 'failed'`,
    [id],
  );
  return rowCount === 1;
}

/**
 * Gives up failed jobs that were kept long enough, or that a newer job's success has made pointless; those that others wait
 * for, those of a stream, whose records come from nowhere else, and those of a replay, which has an order, are left to an operator (LN6). A job whose row another session holds is left for the next look.
 * @returns their ids
 */
export async function giveUpFailed(client: SqlClient, keepFailedHours: number): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `UPDATE sluice.job SET ${NOT_RESUMABLE}
     WHERE id IN (
       SELECT id FROM sluice.job WHERE state = 'failed' AND resumable
         AND (finished_at < now() - $1 * interval '1 hour' AND stream IS NULL AND replay IS NULL AND NOT ${IS_WAITED_FOR}
           OR EXISTS (SELECT ${NEWER_SUCCESS}))
       FOR UPDATE SKIP LOCKED)
     RETURNING id`,
    [keepFailedHours],
  );
  return rows.map(({ id }) => id);
}

/** What the ledger says of a job that did not succeed, as far as its batches are loaded. */
export interface PartialCounts {
  readonly counts: JobCounts;
  readonly findings: Readonly<Record<string, number>>;
  /** As PostgreSQL writes a multirange. */
  readonly batches: string;
  readonly hasBatches: boolean;
}

/** Counts without a batch replace none; nothing is written to a job that was resumed meanwhile. */
export async function writePartialCounts(
  client: SqlClient,
  id: string,
  { counts, findings, batches, hasBatches }: PartialCounts,
): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET counts = $2, findings = $3, counted_batches = $5
     WHERE id = $1 AND state IN ('failed', 'cancelled') AND (counts IS NULL OR $4)`,
    [id, counts, findings, hasBatches, batches],
  );
}
