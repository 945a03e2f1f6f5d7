import type { PoolClient } from 'pg';
import type { WriteMode } from '#core/dataset/dataset.js';
import { RECORD_COLUMN, columnList } from '#core/staging/staging-names.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import {
  FATE,
  type MergedTables,
  PART,
  PLACE,
  SOURCE,
  VERSION,
  differs,
  equal,
  restOf,
} from './merge-sql.js';
import type { StagedRows } from './merge-staged.js';

/** Makes the list `arriving`: what becomes of each record of staging. @param staged says whether keys repeat */
export async function listArriving(
  client: PoolClient,
  mode: WriteMode,
  tables: MergedTables,
  staged: StagedRows,
): Promise<void> {
  const list = staged.deletes > 0 ? withDeletes(tables, staged) : writtenOnly(mode, tables, staged);
  await client.query(`CREATE TEMP TABLE arriving ON COMMIT DROP AS ${list}`);
}

/** What `arriving` has of the main table's columns: the key, and by what else rows of children are found. */
function carriedColumns({ main, children }: MergedTables): { key: readonly string[]; others: string[] } {
  const { key } = main.plan;
  const linked = children.flatMap(({ foundBy, links }) =>
    foundBy === null ? links.map(([, parent]) => parent) : [],
  );
  return { key, others: [...new Set(linked)].filter((column) => !key.includes(column)) };
}

function writtenOnly(mode: WriteMode, tables: MergedTables, { records, keys }: StagedRows): string {
  const { main } = tables;
  const { key, others } = carriedColumns(tables);
  const repeats = keys !== records;
  // The numbered rows need a name for their place: a subquery has no ctid.
  const arriving = repeats
    ? `(SELECT ctid AS ${SOURCE}, *, row_number() OVER (PARTITION BY ${columnList(key)}
         ORDER BY ${newestFirst(main.plan)}${RECORD_COLUMN} DESC) AS _sluice_nth FROM ${main.staging})`
    : `(SELECT ctid AS ${SOURCE}, * FROM ${main.staging})`;
  return `
    SELECT s.${RECORD_COLUMN}, s.${SOURCE}, p.tableoid AS ${PART}, p.ctid AS ${PLACE}, p.xmin AS ${VERSION},
           ${columnList([...key, ...others], 's.')}, (CASE
             ${repeats ? `WHEN s._sluice_nth > 1 THEN 'd'` : ''}
             WHEN p.ctid IS NULL THEN 'i'
             ${mode === 'append' ? `ELSE 's'` : upsertFates(main.plan)} END)::"char" AS ${FATE}
    FROM ${arriving} AS s LEFT JOIN ${main.target} AS p ON ${equal(key, 'p', 's')} ${repeats ? 'AND s._sluice_nth = 1' : ''}`;
}

function newestFirst({ version }: TablePlan): string {
  return version === null ? '' : `${columnList([version])} DESC NULLS LAST, `;
}

function upsertFates(plan: TablePlan): string {
  return `
    ${plan.version === null ? '' : `WHEN ${isStale(plan.version)} THEN 's'`}
    WHEN ${differs(restOf(plan), 'p', 's')} THEN 'u' ELSE '='`;
}

/** MJ2. */
function isStale(version: string): string {
  const [theirs, ours] = [columnList([version], 'p.'), columnList([version], 's.')];
  return `coalesce(${theirs} > ${ours}, ${theirs} IS NOT NULL AND ${ours} IS NULL)`;
}

/**
 * MJ6, of a job with deletes. `ranked` has both kinds of records by key and version; `_sluice_cut` is the last delete of the key
 * that has no version, and what stands before it counts no more. Other columns are looked up by place: a union of tables
 * would make a domain's column one of its base type, which `differs` takes for another.
 */
function withDeletes(tables: MergedTables, { records, keys }: StagedRows): string {
  const { main, deletes } = tables;
  const { plan } = main;
  const { key, others } = carriedColumns(tables);
  const repeats = keys !== records;
  const [version] = plan.version === null ? [] : [columnList([plan.version])];
  const columns = columnList([RECORD_COLUMN, ...key, ...(plan.version === null ? [] : [plan.version])]);
  const isUnversioned = version === undefined ? 'false' : `_sluice_deletes AND ${version} IS NULL`;
  const ranked = repeats
    ? `SELECT *, row_number() OVER (PARTITION BY ${columnList(key)} ORDER BY coalesce(${RECORD_COLUMN} >= _sluice_cut, true) DESC,
         ${newestFirst(plan)}${RECORD_COLUMN} DESC) AS _sluice_nth
       FROM (SELECT *, max(${RECORD_COLUMN}) FILTER (WHERE ${isUnversioned}) OVER (PARTITION BY ${columnList(key)}) AS _sluice_cut
             FROM both_kinds) AS cut`
    : `SELECT *, 1 AS _sluice_nth, CASE WHEN ${isUnversioned} THEN ${RECORD_COLUMN} END AS _sluice_cut FROM both_kinds`;
  const stale =
    plan.version === null ? '' : `WHEN s._sluice_cut IS NULL AND ${isStale(plan.version)} THEN 's'`;
  const place = `s.${RECORD_COLUMN}, s.${SOURCE}, p.tableoid AS ${PART}, p.ctid AS ${PLACE}, p.xmin AS ${VERSION}`;
  const carried = (of: 'r.' | 'p.'): string =>
    [columnList(key, 's.'), ...(others.length === 0 ? [] : [columnList(others, of)])].join(', ');
  const join = `LEFT JOIN ${main.target} AS p ON ${equal(key, 'p', 's')} AND s._sluice_nth = 1`;
  return `
    WITH both_kinds AS (
      SELECT ctid AS ${SOURCE}, false AS _sluice_deletes, ${columns} FROM ${main.staging}
      UNION ALL
      SELECT NULL, true, ${columns} FROM ${deletes ?? ''}
    ), ranked AS (${ranked})
    SELECT ${place}, ${carried('r.')}, (CASE
      WHEN s._sluice_nth > 1 THEN 'd' WHEN p.ctid IS NULL THEN 'i' ${stale}
      WHEN ${differs(restOf(plan), 'p', 'r')} THEN 'u' ELSE '=' END)::"char" AS ${FATE}
    FROM ranked AS s JOIN ${main.staging} AS r ON r.ctid = s.${SOURCE} ${join}
    WHERE NOT s._sluice_deletes
    UNION ALL
    SELECT ${place}, ${carried('p.')}, (CASE
      WHEN s._sluice_nth > 1 THEN 'd' WHEN p.ctid IS NULL THEN 's' ${stale} ELSE 'x' END)::"char"
    FROM ranked AS s ${join}
    WHERE s._sluice_deletes`;
}
