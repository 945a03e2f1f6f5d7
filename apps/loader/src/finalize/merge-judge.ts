import type { PoolClient } from 'pg';
import type { WriteMode } from '#core/dataset/dataset.js';
import { RECORD_COLUMN, columnList } from '#core/staging/staging-names.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import {
  ARRIVING,
  CHOSEN,
  FATE,
  FRESH,
  type Fate,
  GONE,
  type MergedChild,
  type MergedTables,
  PART,
  PLACE,
  SAME,
  SOURCE,
  VERSION,
  differs,
  equal,
  restOf,
} from './merge-sql.js';

/**
 * Judges what a merge has to do, in lists of places; touches and locks nothing.
 *
 * - U1: of the records with one key the one with the newest version arrives, among equals (or without a version
 *   column) the last in the source, whatever batch it came in and whenever that was loaded.
 * - U2: a record whose version is older than its row's changes nothing. NULL is older than any version; an equal
 *   version is written, so that a correction of the same day gets through.
 * - U3: a record is unchanged when neither its row nor its child rows differ by a byte; then nothing is written.
 * - U4: children follow their parent: afterwards the child rows that refer to it are the record's, as many of each as
 *   the record has; those of a row that is there already are untouched where they are the same (their generated columns
 *   too). A superseded record's children are not looked at.
 *
 * `append` is the same without updates: a record whose key is in the table is superseded, one that is not is inserted
 * with its children.
 */

/**
 * Of each hash and sort of a merge, whatever indexes are built with: its statements have up to five at once, and 256 MB
 * each made a backend of 1.3 GB out of a merge of 1,760,000 records. More makes none of them faster.
 */
export const MERGE_WORK_MEM = '64MB';
/** A job with fewer records than this share of the table is cheaper row by row, by index, than by reading the table. */
const SMALL_SHARE = 0.1;

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

/** Rows of staging, by table; the first is the main table. */
export interface StagedRows {
  readonly rows: readonly number[];
  /** How many different keys the main table's rows have. */
  readonly keys: number;
  /** Whether the job is small beside the table that it is merged into. */
  readonly isSmall: boolean;
}

/**
 * Reads staging once, and sets the transaction up for a merge of this size. Merge joins are off: their lists have no
 * statistics, so PostgreSQL sorts both sides of a join on disk that a hash does in half the time (1.6 million child
 * rows: 6.5 s against 3.9 s).
 */
export async function countStaged(client: PoolClient, { main, children }: MergedTables): Promise<StagedRows> {
  const tables = [main, ...children];
  const { rows } = await client.query<Record<string, string>>(
    `SELECT (SELECT count(*) FROM (SELECT FROM ${main.staging} GROUP BY ${columnList(main.plan.key)}) AS k) AS keys,
     (SELECT reltuples FROM pg_class WHERE oid = $1) AS present,
     ${tables.map(({ staging }, index) => `(SELECT count(*) FROM ${staging}) AS rows_${index}`).join(', ')}`,
    [main.facts.oid],
  );
  const count = (name: string): number => Number(rows[0]?.[name] ?? 0);
  // As of its last ANALYZE, and negative before that: then nothing is small beside it.
  const counts = tables.map((_, index) => count(`rows_${index}`));
  const isSmall = (counts[0] ?? 0) < count('present') * SMALL_SHARE;
  await client.query(
    `SELECT set_config('work_mem', $1, true), set_config('hash_mem_multiplier', '1', true), set_config('jit', 'off', true),
            set_config('enable_mergejoin', 'off', true)
     ${isSmall ? `, set_config('random_page_cost', '1.1', true)` : ''}`,
    [MERGE_WORK_MEM],
  );
  return { rows: counts, keys: count('keys'), isSmall };
}

/**
 * Makes the lists, in a transaction that has none.
 * @param staged tells whether keys repeat
 */
export async function judge(
  client: PoolClient,
  mode: WriteMode,
  tables: MergedTables,
  staged: StagedRows,
): Promise<Judged> {
  await listArriving(client, mode, tables, staged);
  // To ask costs a small job more than the answer saves it.
  const isWhole = tables.children.length > 0 && !staged.isSmall && (await isAllChosen(client));
  for (const child of tables.children) {
    await (mode === 'append'
      ? listFresh(client, child, isWhole)
      : listDifferences(client, tables, child, isWhole));
    if (mode === 'upsert') await markChanged(client, child);
  }
  return countJudged(client, tables);
}

/** Takes the lists of a judgement away. */
export async function forget(client: PoolClient, { children }: MergedTables): Promise<void> {
  await client.query(`DROP TABLE ${[ARRIVING, ...children.map(({ list }) => list)].join(', ')}`);
}

async function listArriving(
  client: PoolClient,
  mode: WriteMode,
  { main, children }: MergedTables,
  { rows, keys }: StagedRows,
): Promise<void> {
  const { key } = main.plan;
  const carried = [
    ...new Set([...key, ...children.flatMap(({ links }) => links.map(([, parent]) => parent))]),
  ];
  const repeats = keys !== rows[0];
  const newestFirst =
    main.plan.version === null ? '' : `${columnList([main.plan.version])} DESC NULLS LAST, `;
  // The numbered rows need a name for their place: a subquery has no ctid.
  const arriving = repeats
    ? `(SELECT ctid AS ${SOURCE}, *, row_number() OVER (PARTITION BY ${columnList(key)}
         ORDER BY ${newestFirst}${RECORD_COLUMN} DESC) AS _sluice_nth FROM ${main.staging})`
    : `(SELECT ctid AS ${SOURCE}, * FROM ${main.staging})`;
  await client.query(`
    CREATE TEMP TABLE arriving ON COMMIT DROP AS
    SELECT s.${RECORD_COLUMN}, s.${SOURCE}, p.tableoid AS ${PART}, p.ctid AS ${PLACE}, p.xmin AS ${VERSION},
           ${columnList(carried, 's.')}, (CASE
             ${repeats ? `WHEN s._sluice_nth > 1 THEN 'd'` : ''}
             WHEN p.ctid IS NULL THEN 'i'
             ${mode === 'append' ? `ELSE 's'` : upsertFates(main.plan)} END)::"char" AS ${FATE}
    FROM ${arriving} AS s LEFT JOIN ${main.target} AS p ON ${equal(key, 'p', 's')} ${repeats ? 'AND s._sluice_nth = 1' : ''}`);
}

function upsertFates(plan: TablePlan): string {
  return `
    ${plan.version === null ? '' : `WHEN ${isStale(plan.version)} THEN 's'`}
    WHEN ${differs(restOf(plan), 'p', 's')} THEN 'u' ELSE '='`;
}

/** U2. */
function isStale(version: string): string {
  const [theirs, ours] = [columnList([version], 'p.'), columnList([version], 's.')];
  return `coalesce(${theirs} > ${ours}, ${theirs} IS NOT NULL AND ${ours} IS NULL)`;
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
 * U4: one pass over both sides; by a unique index, or row by row as often as each stands there.
 * @param isWhole all records are chosen: staging itself tells whose a row is then, without the list of what arrives,
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
  const present = `
    SELECT r.ctid AS ${GONE}, r.tableoid AS ${PART}, a.${RECORD_COLUMN}, ${columnList(child.plan.columns, 'r.')}
    FROM ${child.target} AS r JOIN ${parents} AS a ON ${linked} ${isWhole ? '' : `WHERE a.${FATE} IN ${CHOSEN}`}`;
  const record = `coalesce(w.${RECORD_COLUMN}, p.${RECORD_COLUMN}) AS ${RECORD_COLUMN}`;
  const sameRecord = `w.${RECORD_COLUMN} = p.${RECORD_COLUMN}`;
  const paired = `w.${FRESH} IS NOT NULL AND p.${GONE} IS NOT NULL`;
  if (child.index !== null) {
    const own = child.index.columns.filter((column) => !child.links.some(([link]) => link === column));
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
 * U3: an unchanged row whose children differ is an update too. And a record that is inserted brings all of its child rows:
 * those that stand there without it may be another writer's, whose parent came after the fates were judged and may be gone
 * again before we write. So they are replaced, which is noticed when they are gone (T1), and not taken for ours.
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

const NO_FATES: Readonly<Record<Fate, number>> = { i: 0, u: 0, c: 0, '=': 0, s: 0, d: 0 };
