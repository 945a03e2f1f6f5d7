import type pg from 'pg';
import type { TraceHistory, TracedJob } from '#api/trace.js';
import type { JobState } from '#api/job-words.js';
import { createdAtMs } from '#core/job/job-age.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import { hourOf } from '#core/job/prune-stream-jobs.js';

interface JobRow {
  readonly id: string;
  readonly state: JobState;
  readonly mode: WriteMode;
  readonly dry_run: boolean;
  readonly source: { readonly display: string };
  readonly contract_version: number;
  readonly first_epoch: number;
  readonly created_at: Date;
  readonly finished_at: Date | null;
}

/** A job with the epoch from which on its messages count. */
export interface HistoryJob extends TracedJob {
  readonly firstEpoch: number;
}

/** What the tracker may read of a job: the column with a source's credentials is not among it. */
const COLUMNS = `id, state, mode, dry_run, source, contract_version, first_epoch, created_at, finished_at`;

/** The named jobs, also pruned ones, and every snapshot of the dataset that became visible. */
export async function historyOf(
  client: Pick<pg.ClientBase, 'query'>,
  dataset: string,
  jobs: readonly string[],
): Promise<ReadonlyMap<string, HistoryJob>> {
  const { rows } = await client.query<JobRow>(
    `SELECT ${COLUMNS} FROM sluice.job WHERE id = ANY ($2::uuid[])
       OR (dataset = $1 AND mode = 'replace' AND state = 'succeeded' AND NOT dry_run)`,
    [dataset, jobs],
  );
  const known = new Map(rows.map((row) => [row.id, jobOf(row)]));
  const missing = jobs.filter((id) => !known.has(id));
  if (missing.length > 0)
    for (const job of await prunedJobs(client, dataset, missing)) known.set(job.id, job);
  return known;
}

interface PrunedRow {
  readonly id: string;
  readonly mode: WriteMode;
  readonly source: string;
  readonly contract_version: number;
}

/**
 * Of jobs without a row, those that were pruned: they had succeeded (PJ2). When is known of few of them, so each stands where
 * it began, which its id says; the jobs of one stream become visible in that order. One without dead letters has the mode of the
 * stream's newest job.
 */
async function prunedJobs(
  client: Pick<pg.ClientBase, 'query'>,
  dataset: string,
  jobs: readonly string[],
): Promise<HistoryJob[]> {
  const { rows } = await client.query<PrunedRow>(
    `SELECT asked.id, coalesce(pruned.contract_version, hours.contract_to) AS contract_version,
       coalesce(pruned.source, format('topic://sluice.%s.inbox', $1)) AS source,
       coalesce(pruned.mode, (SELECT mode FROM sluice.job WHERE stream = $1 ORDER BY id DESC LIMIT 1), 'upsert') AS mode
     FROM unnest($2::uuid[]) AS asked (id)
     JOIN sluice.stream_hour AS hours ON hours.dataset = $1 AND hours.hour = ${hourOf('asked.id')}
     LEFT JOIN sluice.pruned_job AS pruned ON pruned.id = asked.id`,
    [dataset, jobs],
  );
  return rows.map(({ id, mode, source, contract_version: contractVersion }) => {
    const began = new Date(createdAtMs(id)).toISOString();
    return {
      ...{ id, mode, source, contractVersion, state: 'succeeded' as const, dryRun: false },
      ...{ createdAt: began, finishedAt: began, firstEpoch: 0 },
    };
  });
}

function jobOf(row: JobRow): HistoryJob {
  return {
    id: row.id,
    state: row.state,
    mode: row.mode,
    dryRun: row.dry_run,
    source: row.source.display,
    contractVersion: row.contract_version,
    createdAt: row.created_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
    firstEpoch: row.first_epoch,
  };
}

/** Offsets that a partition of the raw topic has: [low, high). */
export interface PartitionEnd {
  readonly partition: number;
  readonly low: string;
  readonly high: string;
}

/**
 * Of the visible jobs of a dataset, what the raw topic does not have any more. Of pruned jobs only hours are known: one of which
 * a part is deleted counts as a whole, with a batch for each job.
 * @param ends of the raw topic, asked for after the search
 * @param oldest time of the oldest message; jobs without a ledger that ended before it are gone with it
 */
export async function deletedHistory(
  client: Pick<pg.ClientBase, 'query'>,
  { dataset, topic, job, ends, oldest }: DeletedRequest,
): Promise<TraceHistory['deleted']> {
  const { rows } = await client.query<{ jobs: string; batches: string; records: string }>(
    `WITH visible AS (
       SELECT id, total_batches, total_records, finished_at FROM sluice.job
       WHERE dataset = $1 AND state = 'succeeded' AND NOT dry_run AND total_batches > 0 AND ($3::uuid IS NULL OR id = $3)
     ), gone AS (
       SELECT ledger.job, ledger.records FROM visible JOIN sluice.ledger ON ledger.job = visible.id
       LEFT JOIN unnest($4::integer[], $5::bigint[], $6::bigint[]) AS there (partition, low, high)
         ON there.partition = raw_partition
       WHERE raw_topic = $2 AND (there.low IS NULL OR raw_offset < there.low OR raw_offset >= there.high)
     ), unlisted AS (
       SELECT id, total_batches, total_records FROM visible
       WHERE NOT EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = visible.id)
         AND ($7::timestamptz IS NULL OR finished_at < $7)
     ), hours AS (
       SELECT jobs, coalesce((counts->>'read')::bigint, 0) AS records FROM sluice.stream_hour AS hour
       WHERE dataset = $1 AND $3::uuid IS NULL AND (EXISTS (
           SELECT FROM jsonb_each(hour.raw) AS place (partition, bounds)
           LEFT JOIN unnest($4::integer[], $5::bigint[], $6::bigint[]) AS there (partition, low, high)
             ON there.partition = place.partition::integer
           WHERE there.low IS NULL OR (bounds->>0)::bigint < there.low OR (bounds->>1)::bigint > there.high)
         OR (raw = '{}' AND (counts->>'read')::bigint > 0 AND ($7::timestamptz IS NULL OR hour.hour < $7)))
     )
     SELECT (SELECT count(DISTINCT job) FROM gone) + (SELECT count(*) FROM unlisted)
              + (SELECT coalesce(sum(jobs), 0) FROM hours) AS jobs,
            (SELECT count(*) FROM gone) + (SELECT coalesce(sum(total_batches), 0) FROM unlisted)
              + (SELECT coalesce(sum(jobs), 0) FROM hours) AS batches,
            (SELECT coalesce(sum(records), 0) FROM gone) + (SELECT coalesce(sum(total_records), 0) FROM unlisted)
              + (SELECT coalesce(sum(records), 0) FROM hours) AS records`,
    [
      ...[dataset, topic, job],
      ends.map(({ partition }) => partition),
      ends.map(({ low }) => low),
      ends.map(({ high }) => high),
      oldest,
    ],
  );
  const [row] = rows;
  return { jobs: Number(row?.jobs), batches: Number(row?.batches), records: Number(row?.records) };
}

export interface DeletedRequest {
  readonly dataset: string;
  /** The raw topic. */
  readonly topic: string;
  readonly job: string | null;
  readonly ends: readonly PartitionEnd[];
  readonly oldest: Date | null;
}
