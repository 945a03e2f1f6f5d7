import type { PoolClient } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { prepared } from '#common/postgres/prepared.js';
import { quotedStagingTable } from '#core/staging/staging-names.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import type { MergeFacts } from '#core/staging/target-facts.js';
import type { FinalizingJob } from './finalizing-job.js';
import { countRows } from './count-rows.js';
import { isOwn } from './settle-foreign-keys.js';

interface Sums {
  table: string;
  loaded: string | null;
  removed: string;
}

/**
 * Proves of every table that staging holds what was loaded: rows that are there, and rows of records that were refused
 * when settling, are the rows that COPY took (`sluice.ledger.table_rows`). Jobs with batches that were loaded before this
 * was counted are left out.
 * @param rows of each staging table, counted; the tables in the same order
 * @param cascading names of foreign keys by which rows of other tables may have taken staged ones with them
 * @throws SluiceError JOB_UNBALANCED, ROWS_CASCADED
 */
export async function proveTables(
  client: PoolClient,
  job: FinalizingJob,
  tables: readonly TablePlan[],
  rows: readonly number[],
  cascading: readonly string[] = [],
): Promise<void> {
  const { rows: sums } = await prepared(client).query<Sums>(SUMS, [job.id]);
  if (sums.some(({ loaded }) => loaded === null)) return;
  const sumsOf = tables.map(({ table }, index) => {
    const own = sums.find((each) => each.table === table);
    return {
      table,
      loaded: Number(own?.loaded ?? 0),
      removed: Number(own?.removed ?? 0),
      found: rows[index] ?? 0,
    };
  });
  const wrong = sumsOf.filter(({ found, removed, loaded }) => found + removed !== loaded);
  const problems = wrong.map(
    ({ table, found, removed, loaded }) =>
      `rows of ${table}: ${found} staged and ${removed} refused, of ${loaded} loaded`,
  );
  if (problems.length === 0) return;
  const place = { dataset: job.dataset, job: job.id };
  if (cascading.length > 0 && wrong.every(({ found, removed, loaded }) => found + removed < loaded)) {
    throw new SluiceError(
      'ROWS_CASCADED',
      `Rows of the new tables were deleted (foreign key ${cascading.join(', ')}): ${problems.join('; ')}.`,
      place,
    );
  }
  throw new SluiceError(
    'JOB_UNBALANCED',
    `The sums of job ${job.id} do not add up: ${problems.join('; ')}.`,
    place,
  );
}

/** Foreign keys ON DELETE CASCADE to tables of others: a DELETE there deletes rows that are staged for a swap. */
export function cascadingKeys(targets: readonly MergeFacts[]): string[] {
  return targets.flatMap(({ foreignKeys }) =>
    foreignKeys
      .filter((key) => !isOwn(key, targets) && key.behind.includes(' ON DELETE CASCADE'))
      .map(({ name, referenced }) => `${name}, which refers to ${referenced}`),
  );
}

/** Rows of each staging table, in the order of the tables. */
export async function countStagedRows(
  client: PoolClient,
  jobId: string,
  tables: readonly TablePlan[],
): Promise<number[]> {
  const counts: number[] = [];
  for (const { table } of tables) counts.push(await countRows(client, quotedStagingTable(table, jobId)));
  return counts;
}

/** A row without a figure stands for a batch without figures. */
const SUMS = `
  SELECT key AS table, sum(loaded) AS loaded, sum(removed) AS removed FROM (
    SELECT own.key, own.value::bigint AS loaded, 0 AS removed
    FROM sluice.ledger AS l CROSS JOIN jsonb_each_text(l.table_rows) AS own WHERE l.job = $1
    UNION ALL
    SELECT own.key, 0, own.value::bigint
    FROM sluice.ledger AS l CROSS JOIN jsonb_each_text(l.removed_rows) AS own WHERE l.job = $1
  ) AS each GROUP BY key
  UNION ALL
  (SELECT '', NULL, NULL FROM sluice.ledger WHERE job = $1 AND table_rows IS NULL LIMIT 1)`;
