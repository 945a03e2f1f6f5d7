import type { PoolClient } from 'pg';
import { faultPoint } from '#common/faults/fault-point.js';
import { RECORD_COLUMN, columnList } from '#core/staging/staging-names.js';
import {
  ARRIVING,
  FATE,
  FRESH,
  GONE,
  type MergedChild,
  type MergedTables,
  PART,
  PLACE,
  type Part,
  SAME,
  SOURCE,
  VERSION,
  equal,
  isStillThere,
  ofPart,
  restOf,
} from './merge-sql.js';

/** What a table's rows did not come to, in words; `raced` may have been another writer's doing, the other cannot. */
export interface Shortfall {
  readonly raced: boolean;
  readonly what: string;
}

/** What the statements have written, as PostgreSQL counted it. */
export interface Written {
  readonly inserted: number;
  readonly updated: number;
  /** By child table. */
  readonly children: readonly { readonly inserted: number; readonly deleted: number }[];
  /** The first that is less than was asked for. */
  readonly shortfall: Shortfall | null;
}

/**
 * Locks what will be written, in key order, so that two writers cannot deadlock on it.
 * @returns false when a row has moved or gone since it was judged: what stands there now is locked, so that it can be
 *   judged again
 */
export async function lockJudged(
  client: PoolClient,
  { main }: MergedTables,
  wanted: number,
): Promise<boolean> {
  if (wanted === 0) return true;
  const { rows } = await client.query<{ still: string }>(`
    SELECT count(*) FILTER (WHERE still) AS still FROM (
      SELECT ${isStillThere('p', 'a')} AS still
      FROM ${ARRIVING} AS a JOIN ${main.target} AS p ON ${equal(main.plan.key, 'p', 'a')}
      WHERE a.${FATE} IN ('u', 'c') ORDER BY ${columnList(main.plan.key, 'a.')} FOR NO KEY UPDATE OF p) AS locked`);
  return Number(rows[0]?.still ?? 0) === wanted;
}

/**
 * Writes what was judged: rows by their place, in key order; children behind them.
 *
 * - T1: what comes back is compared with what was sent, in number and in key. A trigger that returns NULL or another key,
 *   and a row that another session has written first, are seen here and nowhere else.
 * - T2: the statements run with the role's own search path: triggers of the user's are written for it.
 * - T3: whatever PostgreSQL puts off until COMMIT is checked before this returns.
 * - T4: a row is updated only where it stands as it was judged. When the UPDATE waits for another writer, PostgreSQL then
 *   looks at the row's new version, which has another `xmin` (not every version of PostgreSQL compares its place again).
 * - T5: children are written only when all rows of the main table are: a foreign key would refuse those of a row that another
 *   session has taken away, and the record would be blamed for it.
 */
export async function writeJudged(
  client: PoolClient,
  tables: MergedTables,
  part: Part = null,
): Promise<Written> {
  const { main } = tables;
  const expected = await expectedOf(client, tables, part);
  const list = `${ARRIVING} AS a JOIN ${main.staging} AS s ON s.ctid = a.${SOURCE}`;
  const ours = ofPart(part, 'a', RECORD_COLUMN);
  const key = columnList(main.plan.key, 'a.');
  await client.query(`${OWN_PATH}; ${BY_PLACE}`);
  const short: Shortfall[] = [];
  const note = (found: number, wanted: number, raced: boolean, what: string): void => {
    if (found !== wanted) short.push({ raced, what: `${found} of ${wanted} rows ${what}` });
  };
  let updated = 0;
  if (expected.updates > 0) {
    const rest = restOf(main.plan);
    const { rows } = await client.query<{ count: string; same: string }>(`
      WITH written AS (
        UPDATE ${main.target} AS p SET ${rest.map((column) => `${columnList([column])} = ${columnList([column], 's.')}`).join(', ')}
        FROM (SELECT a.${PLACE}, a.${PART}, a.${VERSION}, ${columnList(main.plan.columns, 's.')} FROM ${list}
              WHERE a.${FATE} = 'u' ${ours} ORDER BY ${key}) AS s
        WHERE ${isStillThere('p', 's')} AND ${equal(main.plan.key, 'p', 's')}
        RETURNING ${equal(main.plan.key, 'p', 's')} AS same
      ) SELECT count(*) AS count, count(*) FILTER (WHERE same) AS same FROM written`);
    updated = Number(rows[0]?.count ?? 0);
    note(updated, expected.updates, true, `updated in ${main.target} came back`);
    note(Number(rows[0]?.same ?? 0), updated, false, `updated in ${main.target} kept their key`);
  }
  let inserted = 0;
  if (expected.inserts > 0) {
    const { rows } = await client.query<{ count: string; image: string | null }>(`
      WITH written AS (
        INSERT INTO ${main.target} (${columnList(main.plan.columns)})
        SELECT ${columnList(main.plan.columns, 's.')} FROM ${list} WHERE a.${FATE} = 'i' ${ours} ORDER BY ${key}
        ON CONFLICT (${columnList(main.plan.key)}) DO NOTHING RETURNING ${columnList(main.plan.key)}
      ) SELECT count(*) AS count, ${imageOf(columnList(main.plan.key))} AS image FROM written`);
    inserted = Number(rows[0]?.count ?? 0);
    note(inserted, expected.inserts, true, `inserted into ${main.target} came back`);
    if (inserted === expected.inserts && rows[0]?.image !== expected.image) {
      short.push({ raced: false, what: `rows inserted into ${main.target} came back with other keys` });
    }
  }
  faultPoint('finalizer.in-merge');
  // T5. All of this is undone.
  const [lost] = short;
  if (lost !== undefined) return { inserted, updated, children: [], shortfall: lost };
  const children: { inserted: number; deleted: number }[] = [];
  for (const [index, child] of tables.children.entries()) {
    const counts = await writeChildren(client, child, part);
    const wanted = expected.children[index];
    note(counts.deleted, wanted?.gone ?? 0, true, `deleted from ${child.target} were there`);
    note(counts.inserted, wanted?.fresh ?? 0, false, `inserted into ${child.target} came back`);
    children.push(counts);
  }
  // One after the other: what was put off is checked with the role's own path.
  await client.query(
    `SET CONSTRAINTS ALL IMMEDIATE; SELECT set_config('search_path', '', true),
     set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)`,
  );
  return { inserted, updated, children, shortfall: short[0] ?? null };
}

/** U4: takes away what the record has not, adds what is missing, in this order: a unique index may mind. */
async function writeChildren(
  client: PoolClient,
  { list, target, staging, plan, links }: MergedChild,
  part: Part,
): Promise<{ inserted: number; deleted: number }> {
  const ours = ofPart(part, 'd', RECORD_COLUMN);
  const removed = await client.query(`
    DELETE FROM ${target} AS p USING ${list} AS d
    WHERE p.ctid = d.${GONE} AND p.tableoid = d.${PART} AND NOT d.${SAME} ${ours}`);
  const order = links.map(([own]) => columnList([own], 's.')).join(', ');
  const added = await client.query(`
    INSERT INTO ${target} (${columnList(plan.columns)})
    SELECT ${columnList(plan.columns, 's.')} FROM ${list} AS d JOIN ${staging} AS s ON s.ctid = d.${FRESH}
    WHERE NOT d.${SAME} ${ours} ORDER BY ${order}, d.${RECORD_COLUMN}, d.${FRESH}`);
  return { inserted: added.rowCount ?? 0, deleted: removed.rowCount ?? 0 };
}

interface Expected {
  readonly updates: number;
  readonly inserts: number;
  /** Of the keys that are to be inserted, in any order; null when there are none. */
  readonly image: string | null;
  readonly children: readonly { readonly fresh: number; readonly gone: number }[];
}

async function expectedOf(
  client: PoolClient,
  { main, children }: MergedTables,
  part: Part,
): Promise<Expected> {
  const ofChildren = children.map(
    ({ list }, index) => `
    CROSS JOIN (SELECT count(${FRESH}) AS fresh_${index}, count(${GONE}) AS gone_${index} FROM ${list} AS d
      WHERE NOT ${SAME} ${ofPart(part, 'd', RECORD_COLUMN)}) AS child_${index}`,
  );
  const { rows } = await client.query<Record<string, string | null>>(`
    SELECT * FROM (
      SELECT count(*) FILTER (WHERE ${FATE} = 'u') AS updates, count(*) FILTER (WHERE ${FATE} = 'i') AS inserts,
             ${imageOf(columnList(main.plan.key))} FILTER (WHERE ${FATE} = 'i') AS image
      FROM ${ARRIVING} AS a WHERE ${FATE} IN ('u', 'i') ${ofPart(part, 'a', RECORD_COLUMN)}) AS main
    ${ofChildren.join('')}`);
  const count = (name: string): number => Number(rows[0]?.[name] ?? 0);
  return {
    updates: count('updates'),
    inserts: count('inserts'),
    image: rows[0]?.image ?? null,
    children: children.map((_, index) => ({ fresh: count(`fresh_${index}`), gone: count(`gone_${index}`) })),
  };
}

/** One number for many keys: keys are different from each other, so none of them takes another one out. */
function imageOf(key: string): string {
  return `bit_xor(hashtextextended(ROW(${key})::text COLLATE "C", 0))`;
}

/** What a session of the role has, and its triggers are written for; a step of the finalizer has an empty one. */
const OWN_PATH = 'SET LOCAL search_path TO DEFAULT';

/** A hash or merge join of places would read the tables whole, and lose the order of the keys. */
const BY_PLACE = 'SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off';
