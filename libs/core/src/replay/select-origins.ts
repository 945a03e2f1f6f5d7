import type { JobState } from '#api/job-words.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Breaker, ExistingKeys, OptionValues, WriteMode } from '../dataset/dataset.js';
import { topicOf } from '../message/topics.js';

/** An earlier job that is to be loaded again, as its row says. */
export interface OriginJob {
  readonly id: string;
  readonly state: JobState;
  readonly mode: WriteMode;
  readonly dryRun: boolean;
  readonly resumable: boolean;
  readonly replay: string | null;
  /** The job that it has loaded again, as a job of a replay. */
  readonly originJob: string | null;
  readonly signed: boolean;
  readonly firstEpoch: number;
  readonly strict: boolean;
  readonly maxRefusedShare: number;
  readonly maxShrinkShare: number | null;
  readonly existingKeys: ExistingKeys;
  readonly breaker: Breaker | null;
  readonly options: OptionValues;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
  readonly startedAt: Date | null;
  /** Known once its source was read to the end; null: it was not, and what it has published is a part of its source. */
  readonly totalBatches: number | null;
  /** A later job of the dataset has become visible. Looked at for `replace` only: its snapshot would take that one's rows away. */
  readonly isOvertaken: boolean;
  /** Batches and records that it has published, as far as it knew. */
  readonly batches: number;
  readonly records: number;
  /** By its counts. */
  readonly refused: number;
}

/** Which jobs: one, those that were created in [from, to), or those with these ids. */
export interface OriginSelection {
  readonly dataset: string;
  readonly ids?: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
}

/** Those that succeeded stand where they became visible, others where they began. */
const ORDER = `CASE WHEN state = 'succeeded' THEN finished_at ELSE created_at END, id`;

/**
 * SQL: a later success, of a job that has its row or of one that was pruned. Unlike `overtakes` (`newer-success.ts`) it counts
 * streams, repairs and replays: whatever became visible later would be lost.
 */
const IS_OVERTAKEN = `(mode = 'replace' AND (
  EXISTS (SELECT FROM sluice.job AS newer WHERE newer.dataset = job.dataset AND newer.id <> job.id AND newer.state = 'succeeded'
    AND NOT newer.dry_run AND newer.finished_at > job.created_at)
  OR EXISTS (SELECT FROM sluice.stream_hour AS known WHERE known.dataset = job.dataset
    AND known.hour + interval '1 hour' > job.created_at)))`;

type Counted = 'totalBatches' | 'batches' | 'records' | 'refused';

/** The selected jobs in the order in which their rows became visible. @param limit how many at most */
export async function selectOrigins(
  client: SqlClient,
  { dataset, ids, from, to }: OriginSelection,
  limit: number,
): Promise<OriginJob[]> {
  const { rows } = await client.query<Omit<OriginJob, Counted> & Record<Counted, string | null>>(
    `SELECT id, state, mode, dry_run AS "dryRun", resumable, replay, origin_job AS "originJob", signed, first_epoch AS "firstEpoch", strict,
       max_refused_share AS "maxRefusedShare", max_shrink_share AS "maxShrinkShare", existing_keys AS "existingKeys",
       breaker, options, created_at AS "createdAt", finished_at AS "finishedAt", started_at AS "startedAt",
       total_batches AS "totalBatches", ${IS_OVERTAKEN} AS "isOvertaken",
       coalesce(total_batches, (checkpoint->>'nextBatch')::bigint, 0) AS batches,
       coalesce(total_records, (checkpoint->>'nextRecord')::bigint, 0) AS records,
       coalesce((counts->>'refused')::bigint, 0) AS refused
     FROM sluice.job
     WHERE dataset = $1 AND ($2::uuid[] IS NULL OR id = ANY($2))
       AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
     ORDER BY ${ORDER} LIMIT $5`,
    [dataset, ids ?? null, from ?? null, to ?? null, limit],
  );
  return rows.map((row) => ({
    ...row,
    totalBatches: row.totalBatches === null ? null : Number(row.totalBatches),
    batches: Number(row.batches),
    records: Number(row.records),
    refused: Number(row.refused),
  }));
}

/** Jobs of a stream whose rows were deleted. */
export interface PrunedJobs {
  readonly jobs: number;
  /** The first of them. */
  readonly example: string;
  /** The end of their last hour. */
  readonly until: Date;
}

/** By the hours that overlap [from, to): those of the first and the last hour may be outside of the span. Null: none. */
export async function prunedBetween(
  client: SqlClient,
  dataset: string,
  { from, to }: { readonly from: Date; readonly to: Date },
): Promise<PrunedJobs | null> {
  const { rows } = await client.query<{ jobs: string; example: string; until: Date }>(
    `SELECT sum(jobs) AS jobs, (array_agg(first_job ORDER BY hour))[1] AS example, max(hour) + interval '1 hour' AS until
     FROM sluice.stream_hour WHERE dataset = $1 AND hour < $3 AND hour + interval '1 hour' > $2 HAVING sum(jobs) > 0`,
    [dataset, from, to],
  );
  const [found] = rows;
  return found === undefined ? null : { ...found, jobs: Number(found.jobs) };
}

/** Where the batches of a job stand in one partition of its raw topic, by the ledger; parts are [first, last]. */
export interface LedgerPart {
  readonly partition: number;
  readonly batches: number;
  readonly records: number;
  /** Of these, what the partition does not have any more. */
  readonly goneBatches: number;
  readonly goneRecords: number;
  /** Offsets of those that are there; null: none is. */
  readonly first: number | null;
  readonly last: number | null;
}

/** What the raw topic has: by partition, from the first offset on and before the second. */
export type TopicEnds = ReadonlyMap<number, { readonly low: bigint; readonly high: bigint }>;

/** By job; a job without a row in the ledger is missing. @param jobs that succeeded: of others the ledger is dropped, at any moment */
export async function ledgerParts(
  client: SqlClient,
  dataset: string,
  jobs: readonly string[],
  ends: TopicEnds,
): Promise<Map<string, LedgerPart[]>> {
  const known = [...ends];
  const { rows } = await client.query<Record<keyof LedgerPart, string | null> & { readonly job: string }>(
    `WITH placed AS (
       SELECT job, raw_partition, raw_offset, records, coalesce(raw_offset >= low AND raw_offset < high, false) AS there
       FROM sluice.ledger LEFT JOIN unnest($3::int[], $4::bigint[], $5::bigint[]) AS ends (partition, low, high)
         ON ends.partition = raw_partition
       WHERE job = ANY($1) AND raw_topic = $2)
     SELECT job, raw_partition AS partition, count(*) AS batches, sum(records) AS records,
       count(*) FILTER (WHERE NOT there) AS "goneBatches", coalesce(sum(records) FILTER (WHERE NOT there), 0) AS "goneRecords",
       min(raw_offset) FILTER (WHERE there) AS first, max(raw_offset) FILTER (WHERE there) AS last
     FROM placed GROUP BY job, raw_partition ORDER BY job, raw_partition`,
    [
      ...[jobs, topicOf(dataset, 'raw'), known.map(([partition]) => partition)],
      ...[known.map(([, { low }]) => low.toString()), known.map(([, { high }]) => high.toString())],
    ],
  );
  const parts = new Map<string, LedgerPart[]>();
  for (const { job, ...row } of rows) {
    const count = (value: string | null): number => Number(value ?? 0);
    const offset = (value: string | null): number | null => (value === null ? null : Number(value));
    const of = parts.get(job) ?? [];
    parts.set(job, of);
    of.push({
      partition: count(row.partition),
      batches: count(row.batches),
      records: count(row.records),
      goneBatches: count(row.goneBatches),
      goneRecords: count(row.goneRecords),
      first: offset(row.first),
      last: offset(row.last),
    });
  }
  return parts;
}

/** The numbers of a job's batches that the raw topic has, by the ledger. */
export async function batchesThere(
  client: SqlClient,
  dataset: string,
  job: string,
  ends: TopicEnds,
): Promise<number[]> {
  const known = [...ends];
  const { rows } = await client.query<{ batch: string }>(
    `SELECT batch FROM sluice.ledger JOIN unnest($3::int[], $4::bigint[], $5::bigint[]) AS ends (partition, low, high)
       ON ends.partition = raw_partition AND raw_offset >= low AND raw_offset < high
     WHERE job = $1 AND raw_topic = $2 ORDER BY batch`,
    [
      ...[job, topicOf(dataset, 'raw'), known.map(([partition]) => partition)],
      ...[known.map(([, { low }]) => low.toString()), known.map(([, { high }]) => high.toString())],
    ],
  );
  return rows.map(({ batch }) => Number(batch));
}

/** Dead letters of a job. */
export interface KnownRefused {
  /** To the tracker. */
  readonly known: number;
  /** Open ones, of the given batches. */
  readonly open: number;
  /** Open ones of other batches, and how many batches those are. */
  readonly otherOpen: number;
  readonly otherBatches: number;
}

/** By job; a job without any is missing. @param batches only those of these; null: of all */
export async function knownRefused(
  client: SqlClient,
  jobs: readonly string[],
  batches: readonly number[] | null = null,
): Promise<Map<string, KnownRefused>> {
  const { rows } = await client.query<Record<keyof KnownRefused, string> & { readonly job: string }>(
    `SELECT job, count(*) AS known, count(*) FILTER (WHERE open AND given) AS open,
       count(*) FILTER (WHERE open AND NOT given) AS "otherOpen",
       count(DISTINCT batch) FILTER (WHERE open AND NOT given) AS "otherBatches"
     FROM (SELECT job, batch, state = 'open' AS open, ($2::bigint[] IS NULL OR batch = ANY($2)) AS given
       FROM sluice.dead_letter WHERE job = ANY($1)) AS refused GROUP BY job`,
    [jobs, batches],
  );
  return new Map(
    rows.map(({ job, known, open, otherOpen, otherBatches }) => [
      job,
      {
        ...{ known: Number(known), open: Number(open) },
        ...{ otherOpen: Number(otherOpen), otherBatches: Number(otherBatches) },
      },
    ]),
  );
}
