import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { forgetDeadLetters } from '../repair/dead-letter-sums.js';
import { dropStaging } from '../staging/staging-tables.js';
import { NO_OUTCOME, NO_OWNER, NO_TOTALS } from './state-change.js';

/**
 * A failed job with one of these cannot be resumed from what it has: its batches were validated by other rules, or it
 * is not known which of two contents is right.
 */
export const BEGINS_AGAIN_AFTER: readonly string[] = [
  'CONTRACT_MISMATCH',
  'DATASET_CODE_FAILED',
  'DATASET_INVALID',
  'BATCH_DIFFERS',
];

/** Any key that is ours alone; folds share it for their transaction, a job that begins again holds it alone. */
const FOLD_LOCK_KEY = 0x51_1c_0f;
export const FOLD_LOCK = `SELECT pg_advisory_xact_lock_shared(${FOLD_LOCK_KEY})`;
export const FOLD_LOCK_ALONE = `SELECT pg_advisory_xact_lock(${FOLD_LOCK_KEY})`;

/**
 * Forgets everything that a job has done: the source is read from its first byte and validated by the given version of the
 * contract. Nothing has to be equal to what was read before, because nothing of it is kept. `continueFromStart` or
 * `resumeFromStart` has made the job `queued` before, in the same transaction.
 *
 * - BA1: messages of this and all earlier epochs are foreign from now on (`first_epoch`), wherever they are under way.
 * - BA2: what the tracker knows of them goes in the same transaction. The tracker folds under `FOLD_LOCK` and checks
 *   `first_epoch` then, so none of it comes back.
 *
 * @param client in a transaction that holds the job row FOR UPDATE
 */
export async function beginAgain(client: SqlClient, id: string, contractVersion: number): Promise<void> {
  await client.query(FOLD_LOCK_ALONE);
  await dropStaging(client, { id });
  await client.query('DELETE FROM sluice.ledger WHERE job = $1', [id]);
  await forgetDeadLetters(client, id);
  for (const table of ['job_batch', 'job_stage'])
    await client.query(`DELETE FROM sluice.${table} WHERE job = $1`, [id]);
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET contract_version = $2, epoch = epoch + 1, first_epoch = epoch + 1, problem = NULL,
       cutting = NULL, head = NULL, source_identity = NULL, checkpoint = NULL, republish_from = NULL,
       dropped_from = NULL, judged_batches = '{}', expected_bytes = NULL, started_at = NULL, ${NO_TOTALS}, ${NO_OUTCOME}, ${NO_OWNER}
     WHERE id = $1 AND state = 'queued'`,
    [id, contractVersion],
  );
  if (rowCount !== 1)
    throw new SluiceError('INTERNAL', `Job ${id} begins again and is not queued.`, { job: id });
}
