import type { PoolClient } from 'pg';
import { columnList } from '#core/staging/staging-names.js';
import type { MergedTables } from './merge-sql.js';

/**
 * Of each hash and sort of a merge, independent of what indexes are built with: its statements have up to five at once, and 256 MB
 * each made a backend of 1.3 GB out of a merge of 1,760,000 records. More makes none of them faster.
 */
export const MERGE_WORK_MEM = '64MB';
/** A job with fewer records than this share of the table is cheaper row by row, by index, than by reading the table. */
const SMALL_SHARE = 0.1;

/** Rows of staging, by table. */
export interface StagedRows {
  /** The main table's first; those of deletes last, where the job takes them. */
  readonly rows: readonly number[];
  /** Deletes among them. */
  readonly deletes: number;
  /** Records: rows of the main table, and deletes. */
  readonly records: number;
  /** How many different keys the records have. */
  readonly keys: number;
  /** Whether the job is small beside the table that it is merged into. */
  readonly isSmall: boolean;
}

/**
 * Reads staging once, and sets the transaction up for a merge of this size. Merge joins are off: their lists have no
 * statistics, so PostgreSQL sorts both sides of a join on disk that a hash does in half the time (1.6 million child
 * rows: 6.5 s against 3.9 s).
 */
export async function countStaged(
  client: PoolClient,
  { main, children, deletes }: MergedTables,
): Promise<StagedRows> {
  const places = [
    main.staging,
    ...children.map(({ staging }) => staging),
    ...(deletes === null ? [] : [deletes]),
  ];
  const key = columnList(main.plan.key);
  const keys =
    deletes === null
      ? `(SELECT FROM ${main.staging} GROUP BY ${key})`
      : `(SELECT FROM (SELECT ${key} FROM ${main.staging} UNION ALL SELECT ${key} FROM ${deletes}) AS a GROUP BY ${key})`;
  const { rows } = await client.query<Record<string, string>>(
    `SELECT (SELECT count(*) FROM ${keys} AS k) AS keys,
     (SELECT reltuples FROM pg_class WHERE oid = $1) AS present,
     ${places.map((staging, index) => `(SELECT count(*) FROM ${staging}) AS rows_${index}`).join(', ')}`,
    [main.facts.oid],
  );
  const count = (name: string): number => Number(rows[0]?.[name] ?? 0);
  // As of its last ANALYZE, and negative before that: then nothing is small beside it.
  const counts = places.map((_, index) => count(`rows_${index}`));
  const ofDeletes = deletes === null ? 0 : (counts.at(-1) ?? 0);
  const records = (counts[0] ?? 0) + ofDeletes;
  const isSmall = records < count('present') * SMALL_SHARE;
  await client.query(
    `SELECT set_config('work_mem', $1, true), set_config('hash_mem_multiplier', '1', true), set_config('jit', 'off', true),
            set_config('enable_mergejoin', 'off', true)
     ${isSmall ? `, set_config('random_page_cost', '1.1', true)` : ''}`,
    [MERGE_WORK_MEM],
  );
  return { rows: counts, deletes: ofDeletes, records, keys: count('keys'), isSmall };
}
