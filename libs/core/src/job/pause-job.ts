import type { SqlClient } from '#common/postgres/sql-client.js';
import type { PauseDetail } from './job.entity.js';
import type { PauseReason } from './job-state.js';

/**
 * running → paused, by the loader: compare-and-set, so that it does nothing to a job that has moved on.
 * @returns false when the job was not running any more
 */
export async function pauseJob(
  client: SqlClient,
  id: string,
  reason: Exclude<PauseReason, 'operator'>,
  detail: PauseDetail,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET state = 'paused', pause_reason = $2, pause_detail = $3, wait = NULL
     WHERE id = $1 AND state = 'running'`,
    [id, reason, detail],
  );
  return rowCount === 1;
}
