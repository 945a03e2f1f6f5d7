import type { SqlClient } from '#common/postgres/sql-client.js';
import type { JobProblem } from './job.entity.js';
import { GIVEN_BACK, NO_TOTALS } from './state-change.js';

/**
 * A running job whose batches are missing says so, once. It stays `running`: only an operator ends that.
 * @returns false when the job is not running any more, or has a problem already
 */
export async function declareProblem(client: SqlClient, id: string, problem: JobProblem): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET problem = $2, wait = NULL WHERE id = $1 AND state = 'running' AND problem IS NULL`,
    [id, problem],
  );
  return rowCount === 1;
}

/**
 * Clears the totals, so that an ingestor claims the job, and lets it publish from the first missing batch on.
 * @param client in a transaction that holds the job row FOR UPDATE
 */
export async function republish(client: SqlClient, id: string, from: number): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET problem = NULL, republish_from = $2, ${GIVEN_BACK}, ${NO_TOTALS} WHERE id = $1`,
    [id, from],
  );
}
