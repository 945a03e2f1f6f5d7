import type { SqlClient } from '#common/postgres/sql-client.js';
import { CANNOT_BE_RESUMED_BESIDE } from '#core/job/lanes.js';
import { NEWER_SUCCESS } from '#core/job/newer-success.js';

/**
 * The job that a resume without an id means: the newest one that failed and can be resumed, was interrupted, or has
 * missing batches. @returns its id, or null when there is none
 */
export async function newestToResume(client: SqlClient): Promise<string | null> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM sluice.job
     WHERE (state = 'failed' AND resumable AND NOT EXISTS (SELECT ${NEWER_SUCCESS}) AND NOT ${CANNOT_BE_RESUMED_BESIDE})
       OR (state = 'running' AND (problem IS NOT NULL OR lease_until < now()))
     ORDER BY created_at DESC LIMIT 1`,
  );
  return rows[0]?.id ?? null;
}
