import type { SqlClient } from '#common/postgres/sql-client.js';
import type { JobError } from './job.entity.js';

/**
 * running → failed, by the loader, for what a batch of the job says of it: compare-and-set, so that it does nothing to
 * a job that has moved on. The ingestor that reads its source loses it. Counts are written by the sweep, from the ledger.
 * @returns false when the job was not running any more
 */
export async function failRunningJob(client: SqlClient, id: string, error: JobError): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET state = 'failed', error = $2, finished_at = clock_timestamp(), owner = NULL,
       lease_until = NULL, problem = NULL, wait = NULL, announced = false
     WHERE id = $1 AND state = 'running'`,
    [id, error],
  );
  return rowCount === 1;
}
