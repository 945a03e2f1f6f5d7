import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Job } from './job.entity.js';

/** What is given to a job when it is created; the columns' defaults are for what is left out. */
const COLUMNS = {
  id: 'id',
  dataset: 'dataset',
  mode: 'mode',
  source: 'source',
  secretUri: 'secret_uri',
  dryRun: 'dry_run',
  limitRecords: 'limit_records',
  maxRefusedShare: 'max_refused_share',
  maxShrinkShare: 'max_shrink_share',
  existingKeys: 'existing_keys',
  breaker: 'breaker',
  options: 'options',
  contractVersion: 'contract_version',
} as const satisfies Partial<Record<keyof Job, string>>;

type Given = keyof typeof COLUMNS;
export type NewJob = Pick<Job, Exclude<Given, 'existingKeys' | 'breaker'>> &
  Partial<Pick<Job, 'existingKeys' | 'breaker'>>;

/**
 * A job begins as `queued`.
 * @throws the database's unique violation when another job of the dataset is active
 */
export async function insertJob(client: SqlClient, job: NewJob): Promise<void> {
  const given = (Object.keys(COLUMNS) as Given[]).filter((name) => job[name] !== undefined);
  await client.query(
    `INSERT INTO sluice.job (state, ${given.map((name) => COLUMNS[name]).join(', ')})
     VALUES ('queued', ${given.map((_, at) => `$${at + 1}`).join(', ')})`,
    given.map((name) => job[name]),
  );
}
