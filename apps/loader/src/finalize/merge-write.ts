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
  readonly deleted: number;
  /** By child table. */
  readonly children: readonly { readonly inserted: number; readonly deleted: number }[];
  /** The first that is less than was asked for. */
  readonly shortfall: Shortfall | null;
}

/**
 * Locks what will be written, in key order, so that two writers cannot deadlock on it.
 * Rows that are to be deleted are locked no stronger here: key shares of foreign keys would otherwise keep us, and be kept,
 * from the updates too; the DELETE waits for them.
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
      WHERE a.${FATE} IN ('u', 'c', 'x') ORDER BY ${columnList(main.plan.key, 'a.')} FOR NO KEY UPDATE OF p) AS locked`);
  return Number(rows[0]?.still ?? 0) === wanted;
}

/**
 * Writes what was judged: rows by their place, in key order; children behind them.
 *
 * - MW1: what comes back is compared with what was sent, in number and in key. A trigger that returns NULL or another key,
 *   and a row that another session has written first, are seen here and nowhere else.
 * - MW2: the statements run with the role's own search path: triggers of the user's are written for it.
 * - MW3: all that PostgreSQL defers until COMMIT is checked before this returns.
 * - MW4: a row is updated only where it stands as it was judged. When the UPDATE waits for another writer, PostgreSQL then
 *   compares the row's new version, which has another `xmin` (not every version of PostgreSQL compares its place again).
 * - MW5: children are written only when all rows of the main table are: a foreign key would refuse those of a row that another
 *   session has taken away, and the record would be blamed for it.
 * - MW6: where rows are deleted, all that goes is taken away first, from the bottom up: what arrives may have its place in a
 *   unique index. All rows are locked then (`lockJudged`), and are found by their key alone: only a trigger on a child's
 *   DELETE can have moved them.
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
  const families = familiesOf(tables.children);
  const deletedChildren = new Map<MergedChild, number>();
  const deleteFamily = async (family: readonly MergedChild[]): Promise<void> => {
    for (const child of family.toReversed())
      deletedChildren.set(child, await deleteChildren(client, child, part));
  };
  let deleted = 0;
  if (expected.deletes > 0) {
    // MW6.
    for (const family of families.toReversed()) await deleteFamily(family);
    const removed = await client.query(`
      DELETE FROM ${main.target} AS p USING ${ARRIVING} AS a
      WHERE a.${FATE} = 'x' ${ours} AND ${equal(main.plan.key, 'p', 'a')}`);
    deleted = removed.rowCount ?? 0;
    note(deleted, expected.deletes, false, `deleted from ${main.target} were there`);
  }
  let updated = 0;
  if (expected.updates > 0) {
    const rest = restOf(main.plan);
    const { rows } = await client.query<{ count: string; same: string }>(`
      WITH written AS (
        UPDATE ${main.target} AS p SET ${rest.map((column) => `${columnList([column])} = ${columnList([column], 's.')}`).join(', ')}
        FROM (SELECT a.${PLACE}, a.${PART}, a.${VERSION}, ${columnList(main.plan.columns, 's.')} FROM ${list}
              WHERE a.${FATE} = 'u' ${ours} ORDER BY ${key}) AS s
        WHERE ${expected.deletes > 0 ? '' : `${isStillThere('p', 's')} AND`} ${equal(main.plan.key, 'p', 's')}
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
  // MW5. All of this is undone.
  const [lost] = short;
  if (lost !== undefined) return { inserted, updated, deleted, children: [], shortfall: lost };
  const children: { inserted: number; deleted: number }[] = [];
  for (const family of families) {
    if (expected.deletes === 0) await deleteFamily(family);
    for (const child of family) {
      const counts = {
        inserted: await insertChildren(client, child, part),
        deleted: deletedChildren.get(child) ?? 0,
      };
      const wanted = expected.children[children.length];
      note(counts.deleted, wanted?.gone ?? 0, true, `deleted from ${child.target} were there`);
      note(counts.inserted, wanted?.fresh ?? 0, false, `inserted into ${child.target} came back`);
      children.push(counts);
    }
  }
  // One after the other: what was put off is checked with the role's own path.
  await client.query(
    `SET CONSTRAINTS ALL IMMEDIATE; SELECT set_config('search_path', '', true),
     set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)`,
  );
  return { inserted, updated, deleted, children, shortfall: short[0] ?? null };
}

/**
 * A child of the record and all that stands below it, as the tables follow each other. MJ4: what the record has not is taken
 * away, from the bottom up, then what is missing is added, from the top down: a unique index or a foreign key may refuse otherwise.
 */
function familiesOf(children: readonly MergedChild[]): MergedChild[][] {
  const families: MergedChild[][] = [];
  for (const child of children) {
    if (child.parent === null) families.push([child]);
    else families.at(-1)?.push(child);
  }
  return families;
}

async function deleteChildren(
  client: PoolClient,
  { list, target }: MergedChild,
  part: Part,
): Promise<number> {
  const ours = ofPart(part, 'd', RECORD_COLUMN);
  const removed = await client.query(`
    DELETE FROM ${target} AS p USING ${list} AS d
    WHERE p.ctid = d.${GONE} AND p.tableoid = d.${PART} AND NOT d.${SAME} ${ours}`);
  return removed.rowCount ?? 0;
}

async function insertChildren(
  client: PoolClient,
  { list, target, staging, plan, links }: MergedChild,
  part: Part,
): Promise<number> {
  const ours = ofPart(part, 'd', RECORD_COLUMN);
  const order = links.map(([own]) => columnList([own], 's.')).join(', ');
  const added = await client.query(`
    INSERT INTO ${target} (${columnList(plan.columns)})
    SELECT ${columnList(plan.columns, 's.')} FROM ${list} AS d JOIN ${staging} AS s ON s.ctid = d.${FRESH}
    WHERE NOT d.${SAME} ${ours} ORDER BY ${order}, d.${RECORD_COLUMN}, d.${FRESH}`);
  return added.rowCount ?? 0;
}

interface Expected {
  readonly updates: number;
  readonly deletes: number;
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
             count(*) FILTER (WHERE ${FATE} = 'x') AS deletes,
             ${imageOf(columnList(main.plan.key))} FILTER (WHERE ${FATE} = 'i') AS image
      FROM ${ARRIVING} AS a WHERE ${FATE} IN ('u', 'i', 'x') ${ofPart(part, 'a', RECORD_COLUMN)}) AS main
    ${ofChildren.join('')}`);
  const count = (name: string): number => Number(rows[0]?.[name] ?? 0);
  return {
    updates: count('updates'),
    deletes: count('deletes'),
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
