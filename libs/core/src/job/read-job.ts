import type { SqlClient } from '#common/postgres/sql-client.js';
import { bigintAsNumber } from '#common/postgres/typeorm.js';
import type { Job } from './job.entity.js';

/** Every member of a job and its column, but for the lease of the announcer, which `announce-lease.ts` alone reads. */
export const JOB_COLUMNS = {
  id: 'id',
  dataset: 'dataset',
  mode: 'mode',
  state: 'state',
  pauseReason: 'pause_reason',
  pauseDetail: 'pause_detail',
  problem: 'problem',
  wait: 'wait',
  source: 'source',
  secretUri: 'secret_uri',
  dryRun: 'dry_run',
  limitRecords: 'limit_records',
  strict: 'strict',
  maxRefusedShare: 'max_refused_share',
  maxShrinkShare: 'max_shrink_share',
  existingKeys: 'existing_keys',
  breaker: 'breaker',
  judgedBatches: 'judged_batches',
  options: 'options',
  contractVersion: 'contract_version',
  cutting: 'cutting',
  head: 'head',
  sourceIdentity: 'source_identity',
  checkpoint: 'checkpoint',
  republishFrom: 'republish_from',
  resumable: 'resumable',
  afterJob: 'after_job',
  stream: 'stream',
  repair: 'repair',
  originJob: 'origin_job',
  replay: 'replay',
  completedAt: 'completed_at',
  firstFailedAt: 'first_failed_at',
  droppedFrom: 'dropped_from',
  discarded: 'discarded',
  owner: 'owner',
  epoch: 'epoch',
  firstEpoch: 'first_epoch',
  signed: 'signed',
  leaseUntil: 'lease_until',
  expectedBytes: 'expected_bytes',
  totalBatches: 'total_batches',
  totalRecords: 'total_records',
  totalBytes: 'total_bytes',
  counts: 'counts',
  countedBatches: 'counted_batches',
  findings: 'findings',
  error: 'error',
  announced: 'announced',
  createdAt: 'created_at',
  startedAt: 'started_at',
  finishedAt: 'finished_at',
} as const satisfies Record<Exclude<keyof Job, 'announcer' | 'announcerUntil'>, string>;

/** Of type bigint, which arrives as text; every count and offset here stays below 2^53. */
const COUNTS = [
  'limitRecords',
  'republishFrom',
  'droppedFrom',
  'expectedBytes',
  'totalBatches',
  'totalRecords',
  'totalBytes',
] as const satisfies (keyof Job)[];

const SELECTED = Object.entries(JOB_COLUMNS)
  .map(([name, column]) => `${column} AS "${name}"`)
  .join(', ');

/** The whole row, the source's full address included. @returns null when no job has this id */
export async function readJob(client: SqlClient, id: string): Promise<Job | null> {
  const { rows } = await client.query<Job>(`SELECT ${SELECTED} FROM sluice.job WHERE id = $1`, [id]);
  const [job] = rows;
  if (!job) return null;
  for (const name of COUNTS) job[name] = bigintAsNumber.from(job[name] as unknown as string | null);
  return job;
}
