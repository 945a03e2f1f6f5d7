import type { JobProblem } from '#api/job-facts.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
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
 * Lets an ingestor publish from the first batch on that a loader dropped while the job was paused (LD9). The epoch rises,
 * so that an ingestor that still holds the job does not end its source meanwhile.
 * @param client in a transaction that holds the job row FOR UPDATE
 */
export async function publishDroppedAgain(client: SqlClient, id: string): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET republish_from = least(republish_from, dropped_from), dropped_from = NULL, epoch = epoch + 1,
       ${GIVEN_BACK}, ${NO_TOTALS} WHERE id = $1`,
    [id],
  );
}

/**
 * A loader drops batches of a paused job: says so in the job's row, for when it is continued.
 * @param client in a transaction that holds the job row
 */
export async function noteDropped(client: SqlClient, id: string, firstBatch: number): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET dropped_from = least(dropped_from, $2) WHERE id = $1 AND state = 'paused'`,
    [id, firstBatch],
  );
}

/**
 * Clears the totals, so that an ingestor claims the job, and lets it publish from the first missing batch on.
 * @param client in a transaction that holds the job row FOR UPDATE
 */
export async function republish(client: SqlClient, id: string, from: number): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET problem = NULL, republish_from = $2, dropped_from = NULL, ${GIVEN_BACK}, ${NO_TOTALS} WHERE id = $1`,
    [id, from],
  );
}
