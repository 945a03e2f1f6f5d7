import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { NewJob } from '../job/create-job.js';
import { type OffsetRange, type PartitionPosition, type StreamPosition, nextOf } from './position.js';
import type { StreamClaim } from './stream-claim.js';
import { countActiveJobs } from './stream-jobs.js';
import { ATTENDED_STATES } from './stream-state.js';

/**
 * The one place where a stream moves: the row of the next job and the new position are written in one transaction, before
 * the first raw batch of the job.
 *
 * - TK1: after a crash at any moment either there is neither of them, and the range is read and closed again, perhaps
 *   elsewhere; or there are both, and the job is read from its address by the ingestor that claims it.
 * - TK2: the row of the stream is locked first. Its state, its owner and the number of unfinished jobs are judged under
 *   that lock, so that neither two owners nor an operator's pause can be overtaken.
 * - TK3: repeated with the same id, after a connection was lost while it was committed, it does nothing.
 * - TK4: an ingestor that stalls in the middle of it holds the row and the dataset's lanes no longer than a lease: then the
 *   server ends its session.
 */
export type TakenRange =
  | 'taken'
  /** The stream was paused, or is another ingestor's. */
  | 'lost'
  /** It has as many unfinished jobs as it may have. */
  | 'full';

export interface RangeToTake {
  readonly job: NewJob;
  readonly ranges: readonly OffsetRange[];
  readonly records: number;
  /** The position behind the ranges, of their partitions alone. */
  readonly position: StreamPosition;
  readonly maxJobsInFlight: number;
}

/**
 * @param client in a transaction
 * @param create makes the row of the job, claimed by the ingestor of the stream
 * @throws SluiceError JOB_ACTIVE when another job of the dataset excludes this one
 */
export async function takeRange(
  client: SqlClient,
  { dataset, epoch }: StreamClaim,
  range: RangeToTake,
  create: (client: SqlClient, job: NewJob, afterJob: string | null) => Promise<void>,
): Promise<TakenRange> {
  const { rows } = await prepared(client).query<{ position: StreamPosition | null; last_job: string | null }>(
    `SELECT position, last_job FROM sluice.stream
     WHERE dataset = $1 AND epoch = $2 AND owner IS NOT NULL AND state = ANY($3) FOR UPDATE`,
    [dataset, epoch, ATTENDED_STATES],
  );
  const stream = rows[0];
  if (stream === undefined) return 'lost';
  const { rowCount } = await prepared(client).query('SELECT FROM sluice.job WHERE id = $1', [range.job.id]);
  if (rowCount === 1) return 'taken';
  const { position } = stream;
  assertContiguous(dataset, position ?? {}, range.ranges);
  if ((await countActiveJobs(client, dataset)) >= range.maxJobsInFlight) return 'full';
  await create(client, range.job, stream.last_job);
  faultPoint('stream.before-position');
  await prepared(client).query(
    `UPDATE sluice.stream SET position = coalesce(position, '{}') || $3, last_job = $4, jobs = jobs + 1, records = records + $5
     WHERE dataset = $1 AND epoch = $2`,
    [dataset, epoch, range.position, range.job.id, range.records],
  );
  return 'taken';
}

/** PO1 */
function assertContiguous(dataset: string, position: StreamPosition, ranges: readonly OffsetRange[]): void {
  const wrong = ranges.find(({ partition, from }) => nextOf(position, partition) !== from);
  if (wrong === undefined) return;
  throw new SluiceError(
    'INTERNAL',
    `A range of the stream of ${dataset} begins at offset ${wrong.from} of partition ${wrong.partition}, and its position is ${nextOf(position, wrong.partition)}.`,
    { dataset },
  );
}

/** The position behind ranges. @param lastOf the last message of each partition that was taken */
export function behind(
  ranges: readonly OffsetRange[],
  lastOf: (partition: number) => PartitionPosition['last'],
): StreamPosition {
  return Object.fromEntries(
    ranges.map(({ partition, to }) => {
      const last = lastOf(partition);
      return [partition, { next: to, ...(last === undefined ? {} : { last }) }];
    }),
  );
}
