import type { SqlClient } from '#common/postgres/sql-client.js';
import { FOLD_LOCK_ALONE } from './begin-again.js';
import { isActive } from './state-change.js';

/**
 * Deletes the rows of a stream's finished jobs: a job a second makes 86,400 a day, each with its ledger and folds. What they
 * add up to stays, one row an hour; and of a job with dead letters who it was, because dead letters are kept.
 *
 * Invariants
 * - PJ1: a job is added to its hour in the transaction that deletes it. So it is counted in exactly one of the two places.
 * - PJ2: a job goes only when nothing looks at it any more: it has succeeded and is announced, with all its refusals, its
 *   dead letters are indexed, and it is neither the stream's last job nor one of its newest `keepJobs`, by which the
 *   breaker judges.
 * - PJ3: while a failed job of the dataset can be resumed, none goes: whether it has become pointless is decided by the jobs
 *   that have succeeded since (`newer-success.ts`). How long it can be resumed is bounded.
 * - PJ4: what comes late about a pruned job changes no fold: its dataset has a row of the hour that its id says
 *   (`hourOfJob`), and no row of the job.
 */
export interface PruneBounds {
  /** Jobs that ended less than this long ago stay. */
  readonly keepHours: number;
  /** The newest jobs of the stream stay, whatever their age. */
  readonly keepJobs: number;
  /** As many go at most. */
  readonly limit: number;
}

/** SQL: when a job was created, by its id: a UUIDv7 begins with the milliseconds since 1970. @param id SQL */
export const hourOf = (id: string): string =>
  `date_trunc('hour', to_timestamp(('x' || lpad(left(replace(${id}::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0), 'UTC')`;

/** The hour that a job is added to, in seconds since 1970: of any UUID, also one that says a year which no ISO 8601 text has. */
export function hourOfJob(id: string): number {
  const seconds = Math.floor(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16) / 1_000);
  return seconds - (seconds % 3_600);
}

/** SQL: an aggregate that adds the numbers of objects, member by member. @param objects SQL: a table with a column `object` */
const addedUp = (objects: string): string =>
  `(SELECT coalesce(jsonb_object_agg(name, total), '{}') FROM (
      SELECT name, sum(value::numeric) AS total FROM (${objects}) AS given, jsonb_each_text(given.object) AS member (name, value)
      WHERE value ~ '^[0-9]+$' GROUP BY name) AS summed)`;

/** SQL: the same of ranges: the lowest beginning and the highest end of each partition. */
const spanned = (objects: string): string =>
  `(SELECT coalesce(jsonb_object_agg(place, jsonb_build_array(low, high)), '{}') FROM (
      SELECT place, min((bounds->>0)::bigint) AS low, max((bounds->>1)::bigint) AS high
      FROM (${objects}) AS given, jsonb_each(given.object) AS member (place, bounds) GROUP BY place) AS summed)`;

const ROLL_UP = `
  WITH chosen AS MATERIALIZED (
    SELECT id, dataset, ${hourOf('id')} AS hour, coalesce(counts, '{}') AS counts, coalesce(findings, '{}') AS findings,
      contract_version, mode, source, head, options, created_at, finished_at
    FROM sluice.job WHERE id = ANY($1::uuid[])
  ), inboxed AS MATERIALIZED (
    SELECT chosen.id, chosen.hour, jsonb_object_agg(part[1], jsonb_build_array(part[2]::bigint, part[3]::bigint)) AS object
    FROM chosen, regexp_matches(chosen.source->>'display', '(\\d+)=(\\d+)-(\\d+)', 'g') AS part GROUP BY chosen.id, chosen.hour
  ), published AS MATERIALIZED (
    SELECT hour, jsonb_object_agg(raw_partition, jsonb_build_array(low, high)) AS object FROM (
      SELECT chosen.hour, raw_partition, min(raw_offset) AS low, max(raw_offset) + 1 AS high
      FROM chosen JOIN sluice.ledger ON ledger.job = chosen.id GROUP BY chosen.hour, raw_partition) AS places
    GROUP BY hour
  ), hours AS (
    SELECT dataset, hour, count(*) AS jobs, min(contract_version) AS contract_from, max(contract_version) AS contract_to,
      (array_agg(id ORDER BY id))[1] AS first_job, (array_agg(id ORDER BY id DESC))[1] AS last_job
    FROM chosen GROUP BY dataset, hour
  )
  INSERT INTO sluice.stream_hour AS known (dataset, hour, jobs, counts, findings, ranges, raw, first_job, last_job,
    contract_from, contract_to)
  SELECT dataset, hour, jobs,
    ${addedUp('SELECT chosen.counts AS object FROM chosen WHERE chosen.hour = hours.hour')},
    ${addedUp('SELECT chosen.findings AS object FROM chosen WHERE chosen.hour = hours.hour')},
    ${spanned('SELECT inboxed.object FROM inboxed WHERE inboxed.hour = hours.hour')},
    ${spanned('SELECT published.object FROM published WHERE published.hour = hours.hour')},
    first_job, last_job, contract_from, contract_to
  FROM hours
  ON CONFLICT (dataset, hour) DO UPDATE SET
    jobs = known.jobs + excluded.jobs,
    counts = ${addedUp('SELECT known.counts AS object UNION ALL SELECT excluded.counts')},
    findings = ${addedUp('SELECT known.findings AS object UNION ALL SELECT excluded.findings')},
    ranges = ${spanned('SELECT known.ranges AS object UNION ALL SELECT excluded.ranges')},
    raw = ${spanned('SELECT known.raw AS object UNION ALL SELECT excluded.raw')},
    first_job = least(known.first_job, excluded.first_job),
    last_job = greatest(known.last_job, excluded.last_job),
    contract_from = least(known.contract_from, excluded.contract_from),
    contract_to = greatest(known.contract_to, excluded.contract_to)`;

/** Who the jobs were, of those that have left dead letters. */
const REMEMBER = `
  INSERT INTO sluice.pruned_job (id, dataset, mode, contract_version, source, columns, context, options, created_at, finished_at)
  SELECT id, dataset, mode, contract_version, source->>'display',
    CASE WHEN jsonb_typeof(head->'columns') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(head->'columns')) END,
    coalesce(head->'context', '{}'), options, created_at, finished_at
  FROM sluice.job WHERE id = ANY($1::uuid[]) AND EXISTS (SELECT FROM sluice.dead_letter WHERE dead_letter.job = job.id)
  ON CONFLICT DO NOTHING`;

/** PJ2, PJ3; those that another transaction holds are left for the next step. */
const CHOOSE = `
  SELECT id FROM sluice.job
  WHERE stream = $1 AND state = 'succeeded' AND announced AND finished_at < now() - $2 * interval '1 hour'
    AND id < (SELECT id FROM sluice.job AS newest WHERE newest.stream = $1 ORDER BY id DESC OFFSET $3 LIMIT 1)
    AND id IS DISTINCT FROM (SELECT last_job FROM sluice.stream WHERE dataset = $1)
    AND NOT EXISTS (SELECT FROM sluice.ledger WHERE ledger.job = job.id AND NOT refusals_announced)
    AND coalesce((counts->>'refused')::bigint, 0)
      <= (SELECT coalesce(sum(dead_letters), 0) FROM sluice.job_stage WHERE job_stage.job = job.id)
    AND NOT EXISTS (SELECT FROM sluice.job AS waiting WHERE ${isActive('waiting')} AND waiting.after_job = job.id)
    AND NOT EXISTS (SELECT FROM sluice.job AS failed WHERE failed.dataset = $1 AND failed.state = 'failed' AND failed.resumable)
  ORDER BY id LIMIT $4 FOR UPDATE OF job SKIP LOCKED`;

/**
 * One step, oldest jobs first.
 * @param client in a transaction
 * @returns how many jobs went
 */
export async function pruneStreamJobs(
  client: SqlClient,
  dataset: string,
  { keepHours, keepJobs, limit }: PruneBounds,
): Promise<number> {
  // Before the rows: a job that begins again locks in the other order, but only jobs that have not succeeded do.
  await client.query(FOLD_LOCK_ALONE);
  const { rows } = await client.query<{ id: string }>(CHOOSE, [dataset, keepHours, keepJobs - 1, limit]);
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return 0;
  await client.query(ROLL_UP, [ids]);
  await client.query(REMEMBER, [ids]);
  for (const table of ['job_batch', 'job_stage'])
    await client.query(`DELETE FROM sluice.${table} WHERE job = ANY($1::uuid[])`, [ids]);
  // The ledger goes with it.
  await client.query('DELETE FROM sluice.job WHERE id = ANY($1::uuid[])', [ids]);
  return ids.length;
}

/**
 * PJ4. Of facts about jobs that have no row: whether theirs was pruned.
 * @returns the ids of those jobs
 */
export async function prunedOf(
  client: SqlClient,
  facts: readonly { readonly job: string; readonly dataset: string }[],
): Promise<ReadonlySet<string>> {
  if (facts.length === 0) return new Set();
  const { rows } = await client.query<{ job: string }>(
    `SELECT DISTINCT asked.job FROM unnest($1::uuid[], $2::text[], $3::double precision[]) AS asked (job, dataset, hour)
     JOIN sluice.stream_hour AS known ON known.dataset = asked.dataset AND known.hour = to_timestamp(asked.hour)`,
    [
      facts.map(({ job }) => job),
      facts.map(({ dataset }) => dataset),
      facts.map(({ job }) => hourOfJob(job)),
    ],
  );
  return new Set(rows.map(({ job }) => job));
}
