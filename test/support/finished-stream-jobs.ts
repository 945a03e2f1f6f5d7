/** What a stream of `things` leaves behind after many finished jobs, one a second, by a simulated clock. */

/** Anything that runs SQL. */
type Sql = (text: string, parameters?: unknown[]) => Promise<unknown>;

export interface FinishedJobs {
  readonly jobs: number;
  /** When the first one was created. */
  readonly from: Date;
  /** Every N-th has one dead letter. */
  readonly refusedEvery: number;
  readonly dataset?: string;
}

/** Bytes 9 to 16 of each id hold the number of its job. */
const ID = (job: string): string =>
  `(lpad(to_hex((extract(epoch FROM start) * 1000)::bigint + ${job} * 1000), 12, '0') || '7000' || '8000' || lpad(to_hex(${job}), 12, '0'))::uuid`;

/** Each of 20 records, in the inbox's partitions 0 and 1 by turns. Makes the row of the stream as well. */
export async function fillFinishedJobs(sql: Sql, given: FinishedJobs): Promise<void> {
  const { jobs, from, refusedEvery, dataset = 'things' } = given;
  const parameters = [jobs, from.toISOString(), refusedEvery, dataset];
  const asRefused = `CASE WHEN n % every = 0 THEN 1 ELSE 0 END`;
  const rows = (insert: string, columns: string, where = 'true'): Promise<unknown> =>
    sql(
      `WITH given AS (SELECT $1::integer AS jobs, $2::timestamptz AS start, $3::integer AS every, $4::text AS of_dataset)
       INSERT INTO sluice.${insert} SELECT ${columns} FROM given, generate_series(0, jobs - 1) AS made (n) WHERE ${where}`,
      parameters,
    );
  await rows(
    `job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version,
       epoch, total_batches, total_records, total_bytes, counts, findings, head, checkpoint, created_at, started_at, finished_at,
       stream, after_job)`,
    `${ID('n')}, of_dataset, 'upsert', 'succeeded',
       jsonb_build_object('kind', 'topic', 'display',
         format('topic://sluice.%s.inbox?%s=%s-%s', of_dataset, n % 2, n / 2 * 20, (n / 2 + 1) * 20)),
       '', false, 1, '{}', 1 + n / 5000, 1, 1, 20, 2000,
       jsonb_build_object('read', 20, 'accepted', 20 - ${asRefused}, 'refused', ${asRefused}, 'skipped', 0, 'loaded', 20 - ${asRefused},
         'inserted', 15, 'updated', 5 - ${asRefused}, 'unchanged', 0, 'deleted', 0, 'superseded', 0, 'warnings', 0),
       CASE WHEN n % every = 0 THEN '{"BAD_NUMBER": 1}'::jsonb ELSE '{}' END,
       '{"columns": ["number", "name"], "context": {}, "dataStart": 0, "firstLine": 1}', '{"nextBatch": 1, "nextRecord": 20}',
       start + n * interval '1 second', start + n * interval '1 second',
       start + n * interval '1 second' + interval '100 ms', of_dataset, CASE WHEN n > 0 THEN ${ID('n - 1')} END`,
  );
  await rows(
    `ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted, refused,
       skipped, warnings, findings, raw_topic, raw_partition, raw_offset)`,
    `${ID('n')}, 0, 0, 1, 20, 0, 2000, 1, 20 - ${asRefused}, ${asRefused}, 0, 0, '{}', format('sluice.%s.raw', of_dataset), n % 3, n / 3`,
  );
  for (const stage of ['ingest', 'validate', 'load'])
    await rows(
      `job_batch (job, batch, stage, records, bytes, accepted, refused, skipped, warnings, at)`,
      `${ID('n')}, 0, '${stage}', 20, 2000, 20, 0, 0, 0, start + n * interval '1 second'`,
    );
  for (const stage of ['ingest', 'validate', 'load', 'finalize'])
    await rows(
      `job_stage (job, stage, batches, records, bytes, accepted, refused, skipped, warnings, dead_letters, findings)`,
      `${ID('n')}, '${stage}', 1, 20, 2000, 20, 0, 0, 0, ${stage === 'validate' ? asRefused : '0'}, '{}'`,
    );
  await rows(
    `dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings, attempt, bytes, columns_id)`,
    `${ID('n')}, 7, of_dataset, 0, 8, 700, 800, 'validate', '{BAD_NUMBER}', '[]', 1, 'x', '00000000-0000-0000-0000-000000000001'`,
    'n % every = 0',
  );
  await rows(
    `stream (dataset, state, max_records, max_bytes, max_ms, position, contract_version, jobs, records, last_job)`,
    `of_dataset, 'stopped', 20000, 4194304, 1000, '{}', 1, jobs, jobs * 20, ${ID('jobs - 1')}`,
    'n = 0',
  );
}
