import type { PoolClient } from 'pg';
import { RECORD_COLUMN, quotedStagingTable } from '#core/staging/staging-names.js';
import type { TablePlan } from '#core/staging/table-plan.js';

/**
 * Takes records out of staging and puts why into the ledger's outbox, in the caller's transaction and set-based:
 * a file that holds every record twice is read twice, not a million round trips.
 *
 * - RR1: a refused record goes wholly, its rows in child tables with it.
 * - RR2: each refusal stands in the ledger row of the record's batch, in record order, and the row is unannounced.
 * - RR3: so do the rows that went with it, by table: what staging holds plus what was removed is what was loaded.
 */
export const REFUSED = 'pg_temp.refused';

/** Makes the list that {@link refuseListed} works off: one row a record. */
export async function openRefusals(client: PoolClient): Promise<void> {
  await client.query(`
    CREATE TEMP TABLE refused (
      record bigint PRIMARY KEY, code text NOT NULL, field text, message text NOT NULL, sqlstate text,
      removed jsonb NOT NULL DEFAULT '{}'
    ) ON COMMIT DROP`);
}

/** @returns how many records were refused; the list is empty afterwards */
export async function refuseListed(
  client: PoolClient,
  jobId: string,
  tables: readonly TablePlan[],
): Promise<number> {
  const { rows } = await client.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${REFUSED}`);
  const count = rows[0]?.count ?? 0;
  if (count === 0) return 0;
  await client.query(`ANALYZE ${REFUSED}`);
  for (const { table } of tables) {
    await client.query(
      `WITH gone AS (
         DELETE FROM ${quotedStagingTable(table, jobId)} AS staged USING ${REFUSED} AS refused
         WHERE staged.${RECORD_COLUMN} = refused.record RETURNING refused.record
       )
       UPDATE ${REFUSED} AS refused SET removed = refused.removed || jsonb_build_object($1::text, own.rows)
       FROM (SELECT record, count(*) AS rows FROM gone GROUP BY record) AS own WHERE own.record = refused.record`,
      [table],
    );
  }
  await client.query(INTO_OUTBOX, [jobId]);
  await client.query(`TRUNCATE ${REFUSED}`);
  return count;
}

/**
 * The batch in which a record stands is found by bisection in the batches' first records:
 * `starts.batches[width_bucket(record, starts.firsts)]`. $1 is the job.
 */
export const BATCHES_OF_JOB = `
  batches AS MATERIALIZED (
    SELECT batch, first_record, first_line,
           -- Lines are known where the batch has one a record: the next batch tells.
           lead(first_line) OVER (ORDER BY batch) - first_line = records AS one_line_each
    FROM sluice.ledger WHERE job = $1
  ),
  starts AS MATERIALIZED (
    SELECT array_agg(batch ORDER BY batch) AS batches, array_agg(first_record ORDER BY batch) AS firsts FROM batches
  )`;

const INTO_OUTBOX = `
  WITH ${BATCHES_OF_JOB},
  refusals AS (
    SELECT starts.batches[width_bucket(r.record, starts.firsts)] AS batch,
           jsonb_agg(jsonb_build_object(
             'record', r.record,
             'findings', jsonb_build_array(jsonb_build_object(
               'code', r.code, 'field', r.field, 'message', r.message, 'severity', 'error')),
             'sqlstate', r.sqlstate)) AS list
    FROM ${REFUSED} AS r CROSS JOIN starts GROUP BY 1
  ),
  removed AS (
    SELECT batch, jsonb_object_agg(name, rows) AS rows FROM (
      SELECT starts.batches[width_bucket(r.record, starts.firsts)] AS batch, own.key AS name, sum(own.value::bigint) AS rows
      FROM ${REFUSED} AS r CROSS JOIN starts CROSS JOIN jsonb_each_text(r.removed) AS own GROUP BY 1, 2
    ) AS sums GROUP BY batch
  )
  UPDATE sluice.ledger AS l
  SET refusals_announced = false,
      load_refusals = (SELECT jsonb_agg(refusal ORDER BY (refusal ->> 'record')::bigint)
                       FROM jsonb_array_elements(l.load_refusals || refusals.list) AS refusal),
      removed_rows = (SELECT coalesce(jsonb_object_agg(key, rows), '{}') FROM (
                        SELECT key, sum(value::bigint) AS rows FROM (
                          SELECT * FROM jsonb_each_text(l.removed_rows) UNION ALL SELECT * FROM jsonb_each_text(removed.rows)
                        ) AS both_of_them GROUP BY key) AS sums)
  FROM refusals LEFT JOIN removed USING (batch) WHERE l.job = $1 AND l.batch = refusals.batch`;
