import type { JobWait } from '#api/job-facts.js';
import type { WaitStage } from '#api/job-words.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

/**
 * What a job waits for, declared by the part that waits, so that a job never stands still in silence.
 *
 * - JW-1: a wait ends by itself, once what it names is over; what needs an operator is a pause or a problem instead, or a wait
 *   that names another job that has one.
 * - JW-2: declared again with the same stage and code it keeps its `since`; its text may change.
 * - JW-3: the part that declared a wait clears it; so does every transition but `start`, before which a job has no wait.
 */

/**
 * Says in the job row what the job waits for; without effect when its state cannot have such a wait any more.
 * @returns true when it is news: another stage or code than before
 */
export async function declareWait(
  client: SqlClient,
  job: string,
  wait: Omit<JobWait, 'since'>,
): Promise<boolean> {
  const { rows } = await client.query<{ news: boolean }>(
    `WITH before AS (
       SELECT id, wait, coalesce(wait->>'stage' = $2 AND wait->>'code' = $3, false) AS known
       FROM sluice.job WHERE id = $1)
     UPDATE sluice.job SET wait = jsonb_build_object('stage', $2::text, 'code', $3::text, 'message', $4::text,
       'since', CASE WHEN known THEN before.wait->'since' ELSE to_jsonb(now()) END)
     FROM before WHERE job.id = before.id AND (NOT known OR before.wait->>'message' <> $4)
       AND CASE WHEN $2 = 'announce' THEN finished_at IS NOT NULL ELSE finished_at IS NULL AND state <> 'paused' END
     RETURNING NOT known AS news`,
    [job, wait.stage, wait.code, wait.message],
  );
  return rows[0]?.news ?? false;
}

/** Says that the job no longer waits in any of these stages. */
export async function clearWait(client: SqlClient, job: string, stages: readonly WaitStage[]): Promise<void> {
  await client.query(`UPDATE sluice.job SET wait = NULL WHERE id = $1 AND wait->>'stage' = ANY($2)`, [
    job,
    stages,
  ]);
}

/** Whether a wait of this stage can be true of a job in this state: between two statements it may be an old one. */
export function isWaitOf(state: string, { stage }: Pick<JobWait, 'stage'> & Partial<JobWait>): boolean {
  const isFinal = state === 'succeeded' || state === 'failed' || state === 'cancelled';
  if (stage === 'announce') return isFinal;
  if (isFinal || state === 'paused') return false;
  return stage === 'finalize' ? state === 'finalizing' || state === 'running' : state !== 'finalizing';
}
