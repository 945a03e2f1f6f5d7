import type { DiscardedWork } from '#api/job-facts.js';
import type { ResumeRequest } from '#api/jobs.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { NOT_RESUMABLE, NO_OUTCOME, NO_PAUSE, comingFrom, entering, pausedFor } from './state-change.js';

/**
 * The changes of a job's state that an operator asks for: each does nothing, and returns false, when the job is in another
 * state (JS1). They run in a transaction that holds the job row FOR UPDATE (`operator.repository.ts`).
 */

/** `cancel`. An ingestor stays in the row until it has let go (`letGo`); a finalizer does not. */
export async function cancelJob(client: SqlClient, id: string, discarded: DiscardedWork): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('cancel')}, ${NO_PAUSE}, problem = NULL, finished_at = now(), epoch = epoch + 1,
       announced = false, ${NOT_RESUMABLE}, discarded = $2,
       owner = CASE WHEN state = 'finalizing' THEN NULL ELSE owner END,
       lease_until = CASE WHEN state = 'finalizing' THEN NULL ELSE lease_until END
     WHERE id = $1 AND ${comingFrom('cancel')}`,
    [id, discarded],
  );
  return rowCount === 1;
}

/** `pause`, reason `operator`. */
export async function pauseJob(client: SqlClient, id: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('pause')}, ${pausedFor(`'operator'`, 'NULL')}
     WHERE id = $1 AND ${comingFrom('pause')}`,
    [id],
  );
  return rowCount === 1;
}

/** `continue`: the breaker leaves out the batches that are loaded by now. */
export async function continueJob(client: SqlClient, id: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('continue')}, ${NO_PAUSE},
       judged_batches = coalesce(
         (SELECT range_agg(int8range(batch, batch + 1)) FROM sluice.ledger WHERE job = $1), '{}')
     WHERE id = $1 AND ${comingFrom('continue')}`,
    [id],
  );
  return rowCount === 1;
}

/** `continueFromStart`: `beginAgain` follows in the same transaction. */
export async function continueFromStart(client: SqlClient, id: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('continueFromStart')}, ${NO_PAUSE}
     WHERE id = $1 AND ${comingFrom('continueFromStart')}`,
    [id],
  );
  return rowCount === 1;
}

/**
 * `resume` of a job that had begun, and `resumeFromStart` of one that had not, or that begins again: then `beginAgain`
 * follows in the same transaction. With a lease that has just ended, a job whose source is not read to its end is the
 * next ingestor's.
 * @param isComplete its source was read to the end
 * @param limits replace the job's
 * @returns false when the job is in another state; who may be active beside it was checked before (LN3)
 */
export async function resumeJob(
  client: SqlClient,
  id: string,
  transition: 'resume' | 'resumeFromStart',
  isComplete: boolean,
  limits: ResumeRequest = {},
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering(transition)}, ${NO_OUTCOME}, owner = NULL,
       lease_until = CASE WHEN $2 THEN NULL ELSE now() END,
       strict = strict AND $3::double precision IS NULL,
       max_refused_share = coalesce($3, max_refused_share),
       max_shrink_share = CASE WHEN $4 THEN NULL ELSE max_shrink_share END
     WHERE id = $1 AND ${comingFrom(transition)}`,
    [id, isComplete, limits.maxRefusedShare ?? null, limits.allowShrink ?? false],
  );
  return rowCount === 1;
}
