import type { JobCounts } from '#api/job-facts.js';
import type { JobState } from '#api/job-words.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

/**
 * The lease of the loader that announces a job. Announcing twice would do no harm, but reading the raw batches twice would
 * cost time. No session lock: poolers share sessions.
 */

/** Longer than a turn takes, so that two loaders do not read the same batches; a dead loader's jobs wait as long. */
const LEASE_SECONDS = 30;

/** What of a job is still to be announced. */
export interface AnnouncedJob {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
  readonly end: boolean;
  readonly refusals: boolean;
  /** Null until they are written, as {@link end} is false until then. */
  readonly counts: JobCounts | null;
  /** Code of the error that a failed job has. */
  readonly code: string | null;
}

/**
 * Takes the job, unless another loader has it. An end is announced once its counts are written: who learns of it
 * finds them.
 */
export async function takeToAnnounce(
  client: SqlClient,
  id: string,
  owner: string,
): Promise<AnnouncedJob | null> {
  const { rows } = await client.query<AnnouncedJob>(
    `UPDATE sluice.job SET announcer = $2, announcer_until = now() + $3 * interval '1 second'
     WHERE id = $1 AND (announcer = $2 OR announcer_until IS NULL OR announcer_until < now())
     RETURNING id, dataset, state, counts, error ->> 'code' AS code,
       NOT announced AND counts IS NOT NULL AND state IN ('succeeded', 'failed', 'cancelled') AS end,
       EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = job.id AND NOT refusals_announced) AS refusals`,
    [id, owner, LEASE_SECONDS],
  );
  return rows[0] ?? null;
}

export async function giveAnnouncingBack(client: SqlClient, id: string, owner: string): Promise<void> {
  await client.query(
    'UPDATE sluice.job SET announcer = NULL, announcer_until = NULL WHERE id = $1 AND announcer = $2',
    [id, owner],
  );
}

export async function markAnnounced(client: SqlClient, id: string): Promise<void> {
  await client.query(`UPDATE sluice.job SET announced = true WHERE id = $1 AND NOT announced`, [id]);
}
