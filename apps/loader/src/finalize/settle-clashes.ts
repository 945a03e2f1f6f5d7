import pg, { type PoolClient } from 'pg';
import type { WriteMode } from '#core/dataset/dataset.js';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import { RECORD_COLUMN } from '#core/staging/staging-names.js';
import type { IndexFacts } from '#core/staging/target-facts.js';
import { UNIQUE_VIOLATION } from './build-indexes.js';
import { type FinalizedDataset, fieldOf, stagedTables } from './finalizing-job.js';
import { forget, judge } from './merge-judge.js';
import {
  ARRIVING,
  CHOSEN,
  EFFECTIVE,
  FATE,
  FRESH,
  GONE,
  type MergedChild,
  type MergedTable,
  type MergedTables,
  PART,
  SAME,
  SOURCE,
} from './merge-sql.js';
import { countStaged } from './merge-staged.js';
import { REFUSED, openRefusals, refuseListed } from './refuse-records.js';
import { indexed, refuseLosers } from './settle-duplicates.js';

/** A unique index of one of the merge's tables. */
export interface UniqueOf {
  readonly table: MergedTable | MergedChild;
  readonly index: IndexFacts;
}

/**
 * Unique indexes besides the one that the merge uses, whose contents are known before rows are written: nothing that
 * the database fills itself decides on a place in them.
 */
export function clashingIndexes({ main, children }: MergedTables): UniqueOf[] {
  const isKey = (table: MergedTable, { columns, keys, predicate }: IndexFacts): boolean =>
    table === main &&
    predicate === null &&
    columns.length === keys.length &&
    columns.every((column) => main.plan.key.includes(column));
  return [main, ...children].flatMap((table) =>
    table.facts.indexes
      .filter(
        (index) =>
          index.unique &&
          index.valid &&
          index.uses.every((column) => table.plan.columns.includes(column)) &&
          !isKey(table, index),
      )
      .map((index) => ({ table, index })),
  );
}

/**
 * Refuses the records of a merge whose rows an index keeps out: first those that meet a row of the table which the merge
 * neither changes nor takes away, then those that meet each other (SD1 to SD3 of settle-duplicates.ts).
 * @returns how many were refused
 */
export async function settleClashes(
  client: PoolClient,
  job: { readonly id: string; readonly mode: WriteMode },
  dataset: FinalizedDataset,
  tables: MergedTables,
  indexes: readonly UniqueOf[],
): Promise<number> {
  await openRefusals(client);
  let refused = 0;
  let found: number;
  do {
    // A refused record no longer arrives; another one of its key may.
    await judge(client, job.mode, tables, await countStaged(client, tables));
    for (const { table, index } of indexes) {
      await client.query(listClashes(table, index, tables, job.mode), [
        GENERAL_FINDING_CODES.REFUSED_BY_DATABASE,
        fieldOf(dataset, table.plan.table, index.columns) || index.keys.join(', '),
        UNIQUE_VIOLATION,
        `unique index ${index.name}`,
      ]);
    }
    found = await refuseListed(client, job.id, stagedTables(dataset));
    if (found === 0) {
      for (const { table, index } of indexes) {
        const among = isChild(table)
          ? `${RECORD_COLUMN} IN (SELECT ${RECORD_COLUMN} FROM ${ARRIVING} WHERE ${FATE} IN ${CHOSEN})`
          : `ctid IN (SELECT ${SOURCE} FROM ${ARRIVING} WHERE ${FATE} IN ('i', 'u'))`;
        found += await refuseLosers(client, job.id, dataset, table.plan.table, index, among);
        if (found > 0) break;
      }
    }
    await forget(client, tables);
    refused += found;
  } while (found > 0);
  return refused;
}

function isChild(table: MergedTable | MergedChild): table is MergedChild {
  return 'list' in table;
}

/** $1 code, $2 field, $3 SQLSTATE, $4 the index in words. */
function listClashes(
  table: MergedTable | MergedChild,
  index: IndexFacts,
  tables: MergedTables,
  mode: WriteMode,
): string {
  const places = isChild(table)
    ? `SELECT ${FRESH} FROM ${table.list} WHERE NOT ${SAME} AND ${FRESH} IS NOT NULL`
    : `SELECT ${SOURCE} FROM ${ARRIVING} WHERE ${FATE} IN ('i', 'u')`;
  const [goes, kept] = isChild(table) ? rowsOfOwnParents(table, tables, mode) : rowsThatAreWritten(tables);
  const terms = index.terms.map((term, at) => `${term} AS _sluice_term_${at}`).join(', ');
  const of = (alias: string): string[] => index.terms.map((_, at) => `${alias}._sluice_term_${at}`);
  // Where nulls are equal, rows are compared by their text: NULL = NULL finds nothing, and IS NOT DISTINCT FROM all pairs.
  const meet = index.nullsDistinct
    ? of('w')
        .map((term, at) => `${term} = ${of('p')[at] ?? ''}`)
        .join(' AND ')
    : `ROW(${of('w').join(', ')})::text = ROW(${of('p').join(', ')})::text`;
  return `
    INSERT INTO ${REFUSED} (record, code, field, message, sqlstate)
    SELECT DISTINCT w.record, $1::text, $2::text,
           format('Another row of %s has this %s already (%s).', '${table.plan.table.replaceAll("'", "''")}', $2::text, $4::text), $3::text
    FROM (SELECT ${RECORD_COLUMN} AS record, ${terms} FROM ${table.staging}
          WHERE ctid IN (${places}) AND ${indexed(index)}) AS w
    JOIN (SELECT ctid AS _sluice_at, tableoid AS _sluice_in, ${kept}, ${terms} FROM ${table.target} WHERE ${indexed(index)}) AS p
      ON ${meet}
    WHERE NOT (${goes})
    ON CONFLICT DO NOTHING`;
}

/**
 * Rows of the table that stand in the way of no record, because the merge writes or takes them away, and what of a row `p` it takes
 * to know. Identified by key, not by place: another session may have written such a row since everything was judged, and a record
 * does not clash with its own.
 */
type Conditions = readonly [goes: string, kept: string];

/** By place: a column's own name may be as long as names can be. */
const named = (at: number): string => `_sluice_p_${at}`;

function keptColumns(columns: readonly string[]): string {
  return columns.map((column, at) => `${pg.escapeIdentifier(column)} AS ${named(at)}`).join(', ');
}

function rowsThatAreWritten({ main: { plan } }: MergedTables): Conditions {
  const own = plan.key.map((column, at) => `g.${pg.escapeIdentifier(column)} = p.${named(at)}`).join(' AND ');
  return [
    `EXISTS (SELECT FROM ${ARRIVING} AS g WHERE g.${FATE} IN ('i', 'u', 'x') AND ${own})`,
    keptColumns(plan.key),
  ];
}

/** `append` takes no child rows away; those of a parent that has come since were judged without it. */
function rowsOfOwnParents(
  { list, links, foundBy }: MergedChild,
  { main }: MergedTables,
  mode: WriteMode,
): Conditions {
  const ofParent = (parent: string): string =>
    links.map(([, theirs], at) => `${parent}.${pg.escapeIdentifier(theirs)} = p.${named(at)}`).join(' AND ');
  const listed = `SELECT FROM ${list} AS g WHERE g.${GONE} = p._sluice_at AND g.${PART} = p._sluice_in`;
  const hasParent =
    mode === 'append'
      ? `AND EXISTS (SELECT FROM ${(foundBy ?? main).target} AS m WHERE ${ofParent('m')})`
      : '';
  const arrives =
    foundBy === null
      ? `${ARRIVING} AS a WHERE a.${FATE} IN ${EFFECTIVE} AND ${ofParent('a')}`
      : `${foundBy.staging} AS s JOIN ${ARRIVING} AS a USING (${RECORD_COLUMN}) WHERE a.${FATE} IN ${CHOSEN} AND ${ofParent('s')}`;
  return [
    `EXISTS (${listed} AND NOT g.${SAME})
     OR NOT EXISTS (${listed}) ${hasParent}
        AND EXISTS (SELECT FROM ${arrives})`,
    keptColumns(links.map(([own]) => own)),
  ];
}
