import { SluiceError } from '#common/errors/sluice-error.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { WriteMode } from '../dataset/dataset.js';
import type { JobSource } from './job.entity.js';
import { overtakes } from './newer-success.js';
import { isActive } from './state-change.js';

/**
 * Which jobs of a dataset may be active side by side, and in which order they become visible.
 *
 * - LN1: a job in mode `replace` has its dataset to itself. Jobs in the other modes run side by side. A dry run counts
 *   as what it rehearses.
 * - LN2: no two active jobs of a dataset read the same address: what starts a job twice (cron, two operators) starts it once.
 *   Credentials do not count, the query of a URL does.
 * - LN3: both are checked when a job is created or resumed, under a lock of the dataset that the transaction holds to its end.
 * - LN4: of each dataset one job at most is `finalizing` (a unique index). Of those that are complete the one that was
 *   completed first is next (`finalize-claim.ts`).
 * - LN5: a job with a predecessor (`after_job`) is not finalized before that one has ended for good: `succeeded`, `cancelled`, or
 *   `failed` and given up. A predecessor that is cancelled or given up leaves its own predecessor in its place. A row that is
 *   gone has ended.
 * - LN6: a job that others wait for by LN5, and one of a stream or a replay, is given up by an operator alone, neither by time nor by
 *   another job's success: its records would be skipped without a word.
 */

/** Any key that is ours alone: the first of two, the second is the dataset's. */
const LANE_LOCK_CLASS = 0x51_1c;

/** What creating a job needs to know of it. */
export interface LaneRequest {
  readonly id: string;
  readonly dataset: string;
  readonly mode: WriteMode;
  readonly source: JobSource;
  readonly secretUri: string;
}

type Exclusion = 'replaces' | 'is beside a replacement' | 'reads the same source' | 'is newer';

interface Excluding {
  readonly id: string;
  readonly exclusion: Exclusion;
}

/** What an address is without credentials, whichever way it is written. */
const QUERY_OF = (job: string): string => `coalesce(substring(${job}.secret_uri FROM '[?].*$'), '')`;
const SAME_SOURCE = `active.source->>'kind' = job.source->>'kind' AND active.source->>'display' = job.source->>'display'
  AND ${QUERY_OF('active')} = ${QUERY_OF('job')}`;

/** Of an active job of the same dataset. */
const EXCLUDES = `(active.mode = 'replace' OR job.mode = 'replace' OR ${SAME_SOURCE})`;

/** A job that began after the other had failed, and may still succeed, would make it pointless (JS3). */
const EXCLUDES_RESUMED = `(${EXCLUDES} OR ${overtakes('active')})`;

const BESIDE = `FROM sluice.job AS active
  WHERE active.dataset = job.dataset AND active.id <> job.id AND ${isActive('active')}`;

/** WHERE: an active job of its dataset keeps `job`, which has failed, from being resumed. */
export const CANNOT_BE_RESUMED_BESIDE = `EXISTS (SELECT ${BESIDE} AND ${EXCLUDES_RESUMED})`;

const WHY = `CASE WHEN active.mode = 'replace' THEN 'replaces' WHEN job.mode = 'replace' THEN 'is beside a replacement'
  WHEN ${SAME_SOURCE} THEN 'reads the same source' ELSE 'is newer' END AS exclusion`;

/**
 * Holds the dataset's lanes to the end of the transaction, for a job that is about to be inserted in it (LN3).
 * @param client in a transaction, at READ COMMITTED
 * @throws SluiceError JOB_ACTIVE naming the job that excludes it
 */
export async function enterLane(client: SqlClient, job: LaneRequest): Promise<void> {
  await lockLanes(client, job.dataset);
  await assertLaneIsFree(client, job);
}

/**
 * As {@link enterLane}, without holding anything: it may be taken by another the next moment.
 * @throws SluiceError JOB_ACTIVE
 */
export async function assertLaneIsFree(client: SqlClient, job: LaneRequest): Promise<void> {
  const { id, dataset, mode, source, secretUri } = job;
  const { rows } = await prepared(client).query<Excluding>(
    `SELECT active.id, ${WHY}
     FROM (SELECT $1::uuid AS id, $2::text AS dataset, $3::text AS mode, $4::jsonb AS source, $5::text AS secret_uri) AS job,
       LATERAL (SELECT active.* ${BESIDE} AND ${EXCLUDES}) AS active
     ORDER BY active.mode = 'replace' DESC, active.id LIMIT 1`,
    [id, dataset, mode, source, secretUri],
  );
  if (rows[0]) throw excluded(job, rows[0]);
}

/**
 * As {@link enterLane}, for a job that has failed and is about to be resumed in the transaction.
 * @returns JOB_ACTIVE naming the job that excludes it, or null
 */
export async function enterLaneAgain(
  client: SqlClient,
  { id, dataset }: Pick<LaneRequest, 'id' | 'dataset'>,
): Promise<SluiceError | null> {
  await lockLanes(client, dataset);
  const { rows } = await client.query<Excluding & Pick<LaneRequest, 'mode'>>(
    `SELECT active.id, job.mode, ${WHY}
     FROM sluice.job, LATERAL (SELECT active.* ${BESIDE} AND ${EXCLUDES_RESUMED}) AS active
     WHERE job.id = $1 ORDER BY active.mode = 'replace' DESC, active.id LIMIT 1`,
    [id],
  );
  const [other] = rows;
  return other ? excluded({ id, dataset }, other) : null;
}

async function lockLanes(client: SqlClient, dataset: string): Promise<void> {
  await prepared(client).query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [LANE_LOCK_CLASS, dataset]);
}

const REASONS: Readonly<Record<Exclusion, (job: string) => string>> = {
  replaces: () => 'replaces the tables, and no other job may run beside it',
  'is beside a replacement': () => 'is active, and a job that replaces the tables runs beside no other',
  'reads the same source': () => 'reads the same source',
  'is newer': (job) => `is active and began after job ${job} had failed, so its rows are newer`,
};

function excluded({ id, dataset }: Pick<LaneRequest, 'id' | 'dataset'>, other: Excluding): SluiceError {
  const reason = REASONS[other.exclusion](id);
  return new SluiceError('JOB_ACTIVE', `Job ${other.id} of dataset ${dataset} ${reason}.`, {
    dataset,
    job: other.id,
  });
}
