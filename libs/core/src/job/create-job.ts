import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Job } from './job.entity.js';
import { enterLane } from './lanes.js';
import { JOB_COLUMNS } from './read-job.js';

/** What is given to a job when it is created; the columns' defaults are for what is left out. */
const GIVEN = [
  ...([
    'id',
    'dataset',
    'mode',
    'source',
    'secretUri',
    'dryRun',
    'limitRecords',
    'strict',
    'options',
  ] as const),
  ...(['maxRefusedShare', 'maxShrinkShare', 'existingKeys', 'breaker', 'contractVersion'] as const),
  ...(['afterJob', 'stream', 'repair', 'originJob', 'replay'] as const),
] as const satisfies readonly (keyof Job)[];

type Given = (typeof GIVEN)[number];
type MayBeLeftOut =
  'strict' | 'existingKeys' | 'breaker' | 'afterJob' | 'stream' | 'repair' | 'originJob' | 'replay';
export type NewJob = Pick<Job, Exclude<Given, MayBeLeftOut>> & Partial<Pick<Job, MayBeLeftOut>>;

/** The ingestor that has a job from its first moment on: no other one ever finds it waiting. */
export interface ClaimAtBirth {
  readonly owner: string;
  readonly leaseSeconds: number;
}

/**
 * Creates a job, `queued`, when the lanes of its dataset are free for it (LN3).
 * @param client in a transaction, at READ COMMITTED
 * @param claim as if `claimToIngest` had taken it: epoch 1
 * @throws SluiceError JOB_ACTIVE naming the job that excludes it
 */
export async function createJob(
  client: SqlClient,
  job: NewJob,
  claim: ClaimAtBirth | null = null,
): Promise<void> {
  await enterLane(client, job);
  const given = GIVEN.filter((name) => job[name] !== undefined);
  const values = [...given.map((name) => job[name]), claim?.owner ?? null, claim?.leaseSeconds ?? null];
  const owner = `$${given.length + 1}::text`;
  const seconds = `$${given.length + 2}::double precision`;
  await prepared(client).query(
    `INSERT INTO sluice.job (state, owner, epoch, lease_until, ${given.map((name) => JOB_COLUMNS[name]).join(', ')})
     VALUES ('queued', ${owner}, CASE WHEN ${owner} IS NULL THEN 0 ELSE 1 END, now() + ${seconds} * interval '1 second',
       ${given.map((_, at) => `$${at + 1}`).join(', ')})`,
    values,
  );
}
