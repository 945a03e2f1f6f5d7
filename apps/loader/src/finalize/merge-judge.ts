import type { PoolClient } from 'pg';
import type { WriteMode } from '#core/dataset/dataset.js';
import { RECORD_COLUMN, columnList } from '#core/staging/staging-names.js';
import { listArriving } from './merge-arriving.js';
import {
  ARRIVING,
  CHOSEN,
  EFFECTIVE,
  FATE,
  FRESH,
  type Fate,
  GONE,
  type MergedChild,
  type MergedTables,
  PART,
  SAME,
  differs,
  equal,
} from './merge-sql.js';
import type { StagedRows } from './merge-staged.js';

/**
 * Judges what a merge has to do, in lists of places; touches and locks nothing.
 *
 * - MJ1: of the records with one key the one with the newest version arrives, among equals (or without a version
 *   column) the last in the source, independent of its batch and of when that was loaded.
 * - MJ2: a record whose version is older than its row's changes nothing. NULL is older than any version; an equal
 *   version is written, so that a correction of the same day gets through.
 * - MJ3: a record is unchanged when neither its row nor its child rows differ by a byte; then nothing is written.
 * - MJ4: children follow their parent: afterwards the child rows that refer to it are the record's, as many of each as
 *   the record has; those of a row that is there already are untouched where they are the same (their generated columns
 *   too). A superseded record's children are not compared.
 * - MJ5: so do children of children, to any depth: they follow their record. Where a row of theirs is rewritten or taken
 *   away, all rows of the record below it are rewritten; otherwise a foreign key would refuse, or delete them too.
 * - MJ6: a delete takes its row away, with all rows of its children. MJ1 holds for deletes as for others, and MJ2 for those
 *   that have a version: one that has none is newer than all records of the job before it and than the row, and no record
 *   behind it is too old for the row. So it makes no difference in which of two jobs the records around it are.
 *
 * `append` is the same without updates: a record whose key is in the table is superseded, one that is not is inserted
 * with its children.
 */

export interface JudgedChild {
  /** Rows that the records have and the table has not, and the other way round. */
  readonly fresh: number;
  readonly gone: number;
  /** Rows that are there already, byte by byte. */
  readonly same: number;
  /** Rows of records that are superseded. */
  readonly superseded: number;
  /** A record has two rows that the index of the child table takes for one. */
  readonly repeated: boolean;
}

export interface Judged {
  readonly fates: Readonly<Record<Fate, number>>;
  readonly children: readonly JudgedChild[];
}

/**
 * Makes the lists, in a transaction that has none.
 * @param staged says whether keys repeat
 */
export async function judge(
  client: PoolClient,
  mode: WriteMode,
  tables: MergedTables,
  staged: StagedRows,
): Promise<Judged> {
  await listArriving(client, mode, tables, staged);
  // For a small job the query costs more than its answer saves.
  const isWhole = tables.children.length > 0 && !staged.isSmall && (await isAllChosen(client));
  for (const child of tables.children) {
    await (mode === 'append'
      ? listFresh(client, child, isWhole)
      : listDifferences(client, tables, child, isWhole));
    if (mode === 'upsert') {
      await markBelow(client, child);
      await markChanged(client, child);
    }
  }
  return countJudged(client, tables);
}

/** Drops the lists of a judgement. */
export async function forget(client: PoolClient, { children }: MergedTables): Promise<void> {
  await client.query(`DROP TABLE ${[ARRIVING, ...children.map(({ list }) => list)].join(', ')}`);
}

/** Whether no record of staging is superseded. */
async function isAllChosen(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ whole: boolean }>(
    `SELECT NOT EXISTS (SELECT FROM ${ARRIVING} WHERE ${FATE} NOT IN ${CHOSEN}) AS whole`,
  );
  return rows[0]?.whole === true;
}

/** The child rows of the records that are chosen. */
function wantedRows({ staging, plan }: MergedChild, isWhole: boolean): string {
  const rows = `SELECT r.ctid AS ${FRESH}, r.${RECORD_COLUMN}, ${columnList(plan.columns, 'r.')} FROM ${staging} AS r`;
  if (isWhole) return rows;
  return `${rows} JOIN ${ARRIVING} AS a ON a.${RECORD_COLUMN} = r.${RECORD_COLUMN} WHERE a.${FATE} IN ${CHOSEN}`;
}

/** `append`: each row of an inserted record is a new one. */
async function listFresh(client: PoolClient, child: MergedChild, isWhole: boolean): Promise<void> {
  await client.query(`
    CREATE TEMP TABLE ${nameOf(child)} ON COMMIT DROP AS
    SELECT ${RECORD_COLUMN}, ${FRESH}, NULL::oid AS ${PART}, NULL::tid AS ${GONE}, false AS ${SAME}
    FROM (${wantedRows(child, isWhole)}) AS w`);
}

function nameOf({ list }: MergedChild): string {
  return list.slice('pg_temp.'.length);
}

/**
 * MJ4: one pass over both sides; by a unique index, or row by row as often as each stands there.
 * @param isWhole all records are chosen: staging itself says then whose a row is, without the list of what arrives,
 *   and PostgreSQL reads no temporary table side by side
 */
async function listDifferences(
  client: PoolClient,
  { main }: MergedTables,
  child: MergedChild,
  isWhole: boolean,
): Promise<void> {
  const name = nameOf(child);
  const wanted = wantedRows(child, isWhole);
  const linked = child.links
    .map(([own, parent]) => `${columnList([own], 'r.')} = ${columnList([parent], 'a.')}`)
    .join(' AND ');
  const parents = isWhole ? main.staging : ARRIVING;
  const present =
    child.foundBy === null
      ? `
    SELECT r.ctid AS ${GONE}, r.tableoid AS ${PART}, a.${RECORD_COLUMN}, ${columnList(child.plan.columns, 'r.')}
    FROM ${child.target} AS r JOIN ${parents} AS a ON ${linked} ${isWhole ? '' : `WHERE a.${FATE} IN ${EFFECTIVE}`}`
      : rowsBelow(child, child.foundBy, linked, isWhole);
  const record = `coalesce(w.${RECORD_COLUMN}, p.${RECORD_COLUMN}) AS ${RECORD_COLUMN}`;
  const sameRecord = `w.${RECORD_COLUMN} = p.${RECORD_COLUMN}`;
  const paired = `w.${FRESH} IS NOT NULL AND p.${GONE} IS NOT NULL`;
  if (child.index !== null) {
    // All rows of a record have its key, and not the same parent.
    const shared = child.foundBy === null ? child.links : [];
    const own = child.index.columns.filter((column) => !shared.some(([link]) => link === column));
    await client.query(`
      CREATE TEMP TABLE ${name} ON COMMIT DROP AS
      SELECT ${record}, w.${FRESH}, p.${PART}, p.${GONE},
             coalesce(${paired} AND NOT (${differs(child.plan.columns, 'w', 'p')}), false) AS ${SAME}
      FROM (${wanted}) AS w FULL JOIN (${present}) AS p
        ON ${sameRecord} ${own.length === 0 ? '' : `AND ${equal(own, 'w', 'p')}`}`);
    return;
  }
  // The text of a row is the same where its bytes are (all digits of floating-point numbers are written out).
  await client.query(`SELECT set_config('extra_float_digits', '1', true)`);
  const image = `(ROW(${columnList(child.plan.columns)})::text) COLLATE "C"`;
  const numbered = (rows: string): string => `
    SELECT *, row_number() OVER (PARTITION BY ${RECORD_COLUMN}, _sluice_image) AS _sluice_nth
    FROM (SELECT *, ${image} AS _sluice_image FROM (${rows}) AS each) AS imaged`;
  await client.query(`
    CREATE TEMP TABLE ${name} ON COMMIT DROP AS
    SELECT ${record}, w.${FRESH}, p.${PART}, p.${GONE}, ${paired} AS ${SAME}
    FROM (${numbered(wanted)}) AS w FULL JOIN (${numbered(present)}) AS p
      ON ${sameRecord} AND w._sluice_image = p._sluice_image AND w._sluice_nth = p._sluice_nth`);
}

/**
 * The rows that refer to a row of `above` which a chosen record has, or had: one that has moved from one record to another
 * is that of the one which has it now, so that each is listed once.
 */
function rowsBelow(child: MergedChild, above: MergedChild, linked: string, isWhole: boolean): string {
  const theirs = child.links.map(([, column]) => column);
  return `
    SELECT DISTINCT ON (r.tableoid, r.ctid)
           r.ctid AS ${GONE}, r.tableoid AS ${PART}, a.${RECORD_COLUMN}, ${columnList(child.plan.columns, 'r.')}
    FROM ${child.target} AS r JOIN (
      SELECT 0 AS _sluice_rank, w.${RECORD_COLUMN}, ${columnList(theirs, 'w.')} FROM (${wantedRows(above, isWhole)}) AS w
      UNION ALL
      SELECT 1, d.${RECORD_COLUMN}, ${columnList(theirs, 'p.')} FROM ${above.list} AS d
      JOIN ${above.target} AS p ON p.ctid = d.${GONE} AND p.tableoid = d.${PART} WHERE NOT d.${SAME}) AS a ON ${linked}
    ORDER BY r.tableoid, r.ctid, a._sluice_rank, a.${RECORD_COLUMN}`;
}

/** MJ5. A row that is found by its parent may have been another record's; only that it is rewritten shows this. */
async function markBelow(client: PoolClient, { list, parent, foundBy }: MergedChild): Promise<void> {
  if (parent === null) return;
  await client.query(`
    UPDATE ${list} AS d SET ${SAME} = false WHERE d.${SAME} AND d.${RECORD_COLUMN} IN (
      SELECT ${RECORD_COLUMN} FROM ${parent.list}
      WHERE NOT ${SAME} ${foundBy === null ? `AND ${GONE} IS NOT NULL` : ''})`);
}

/**
 * MJ3: an unchanged row whose children differ is an update too. And a record that is inserted brings all of its child rows:
 * those that stand there without it may be another writer's, whose parent came after the fates were judged and may be gone
 * again before we write. So they are replaced, which is noticed when they are gone (MW1), and not taken for ours.
 */
async function markChanged(client: PoolClient, { list }: MergedChild): Promise<void> {
  await client.query(`
    WITH brought AS (
      UPDATE ${list} AS d SET ${SAME} = false FROM ${ARRIVING} AS a
      WHERE d.${SAME} AND a.${FATE} = 'i' AND a.${RECORD_COLUMN} = d.${RECORD_COLUMN})
    UPDATE ${ARRIVING} AS a SET ${FATE} = 'c'
    WHERE a.${FATE} = '=' AND a.${RECORD_COLUMN} IN (SELECT ${RECORD_COLUMN} FROM ${list} WHERE NOT ${SAME})`);
}

/** All in one statement: a small job's time goes into statements. */
async function countJudged(client: PoolClient, { children }: MergedTables): Promise<Judged> {
  const ofFates = Object.keys(NO_FATES)
    .map((fate) => `count(*) FILTER (WHERE ${FATE} = '${fate}') AS "fate ${fate}"`)
    .join(', ');
  const ofChildren = children.map(
    (child, index) => `
    CROSS JOIN (
      SELECT count(${FRESH}) FILTER (WHERE NOT ${SAME}) AS fresh_${index},
             count(${GONE}) FILTER (WHERE NOT ${SAME}) AS gone_${index},
             count(*) FILTER (WHERE ${SAME}) AS same_${index}, count(${GONE}) AS paired_${index},
             (SELECT count(*) FROM (SELECT FROM ${child.list} WHERE ${GONE} IS NOT NULL GROUP BY ${PART}, ${GONE})
              AS place) AS places_${index},
             (SELECT count(*) FROM ${child.staging} AS r JOIN ${ARRIVING} AS a USING (${RECORD_COLUMN})
              WHERE a.${FATE} NOT IN ${CHOSEN}) AS superseded_${index}
      FROM ${child.list}) AS child_${index}`,
  );
  const { rows } = await client.query<Record<string, string>>(
    `SELECT * FROM (SELECT ${ofFates} FROM ${ARRIVING}) AS fates ${ofChildren.join('')}`,
  );
  const count = (name: string): number => Number(rows[0]?.[name] ?? 0);
  const fates = { ...NO_FATES };
  for (const fate of Object.keys(fates) as Fate[]) fates[fate] = count(`fate ${fate}`);
  return {
    fates,
    children: children.map((_, index) => ({
      fresh: count(`fresh_${index}`),
      gone: count(`gone_${index}`),
      same: count(`same_${index}`),
      superseded: count(`superseded_${index}`),
      repeated: count(`paired_${index}`) !== count(`places_${index}`),
    })),
  };
}

const NO_FATES: Readonly<Record<Fate, number>> = { i: 0, u: 0, c: 0, '=': 0, x: 0, s: 0, d: 0 };
