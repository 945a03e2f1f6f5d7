import type { StreamHour } from '#api/streams.js';
import type { SqlClient } from '#common/postgres/sql-client.js';

interface HourRow {
  readonly hour: Date;
  readonly jobs: string;
  readonly read: string;
  readonly loaded: string;
  readonly refused: string;
  readonly findings: Readonly<Record<string, number>>;
}

/** The numbers of one member, added up. */
const sumOf = (member: string): string => `sum(coalesce((counts->>'${member}')::bigint, 0))`;

/**
 * What the jobs of a stream that succeeded add up to, hour by hour, the newest first: those whose rows are there, and those
 * that were pruned (PJ1). Hours without any are left out.
 * @param last of this number of hours, the one that has begun among them
 */
export async function streamHours(client: SqlClient, dataset: string, last: number): Promise<StreamHour[]> {
  const { rows } = await client.query<HourRow>(
    `WITH whole AS (
       SELECT date_trunc('hour', now(), 'UTC') - ($2::integer - 1) * interval '1 hour' AS first
     ), kept AS MATERIALIZED (
       SELECT date_trunc('hour', created_at, 'UTC') AS hour, counts, findings FROM sluice.job
       WHERE stream = $1 AND state = 'succeeded' AND created_at >= (SELECT first FROM whole)
     ), pruned AS MATERIALIZED (
       SELECT hour, jobs, counts, findings FROM sluice.stream_hour
       WHERE dataset = $1 AND hour >= (SELECT first FROM whole)
     ), found AS (
       SELECT hour, key AS code, sum(value::bigint)::bigint AS count
       FROM (SELECT hour, findings FROM kept WHERE findings <> '{}' UNION ALL SELECT hour, findings FROM pruned) AS given,
         jsonb_each_text(given.findings) GROUP BY hour, key
     ), sums AS (
       SELECT hour, count(*) AS jobs, ${sumOf('read')} AS read, ${sumOf('loaded')} AS loaded, ${sumOf('refused')} AS refused
       FROM kept GROUP BY hour
       UNION ALL
       SELECT hour, sum(jobs), ${sumOf('read')}, ${sumOf('loaded')}, ${sumOf('refused')} FROM pruned GROUP BY hour
     )
     SELECT hour, sum(jobs) AS jobs, sum(read) AS read, sum(loaded) AS loaded, sum(refused) AS refused,
       coalesce((SELECT jsonb_object_agg(code, count) FROM found WHERE found.hour = sums.hour), '{}') AS findings
     FROM sums GROUP BY hour ORDER BY hour DESC`,
    [dataset, last],
  );
  return rows.map(({ hour, jobs, read, loaded, refused, findings }) => ({
    hour: hour.toISOString(),
    jobs: Number(jobs),
    read: Number(read),
    loaded: Number(loaded),
    refused: Number(refused),
    findings,
  }));
}
