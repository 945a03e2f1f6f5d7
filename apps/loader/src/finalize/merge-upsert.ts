import type { PoolClient } from 'pg';
import { faultPoint } from '#common/faults/fault-point.js';
import type { Outcome } from '#core/ledger/balance.js';
import { RECORD_COLUMN, columnList, quotedStagingTable, quotedTarget } from '#core/staging/staging-names.js';
import { type TablePlan, mainTable } from '#core/staging/table-plan.js';
import { type MergeWay, countRows } from './merge.js';

/** Beside the data's own columns, so it bears a name that no data column has. */
const FATE = '_sluice_fate';

/**
 * `upsert`: of the records with one key one arrives, the others are superseded; what arrives is inserted, or updates
 * the row that has its key, or finds it unchanged, or finds it newer and is superseded as well.
 *
 * - U1: of the records with one key the one with the newest version arrives, among equals (or without a version
 *   column) the last in the source, whatever batch it came in and whenever that was loaded.
 * - U2: a record whose version is older than its row's changes nothing. NULL is older than any version; an equal
 *   version is written, so that a correction of the same day gets through.
 * - U3: a record is unchanged when neither its row nor its child rows differ; then nothing is written.
 * - U4: children follow their parent: afterwards the child rows that refer to it are the record's, as many of each as
 *   the record has; those that were there already are untouched (their generated columns too). A superseded
 *   record's children are not looked at.
 * - U5: rows are written in the order of their keys, so that two writers cannot deadlock on them. A row that somebody
 *   else changes while we merge is still not overwritten by an older version.
 */
async function merge(client: PoolClient, jobId: string, tables: readonly TablePlan[]): Promise<Outcome> {
  const main = mainTable(tables);
  await listArriving(client, jobId, main);
  const rest = restOf(main);
  const update =
    rest.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${rest.map((column) => `${columnList([column])} = ${columnList([column], 'EXCLUDED.')}`).join(', ')}
         WHERE ${differs(main, 'present', 'EXCLUDED')} AND NOT ${isStale(main, 'present', 'EXCLUDED')}`;
  const { rowCount } = await client.query(`
    INSERT INTO ${quotedTarget(main.table)} AS present (${columnList(main.columns)})
    SELECT ${columnList(main.columns)} FROM pg_temp.arriving WHERE ${FATE} IN ('inserted', 'updated')
    ORDER BY ${columnList(main.key)}
    ON CONFLICT (${columnList(main.key)}) DO ${update}`);
  faultPoint('finalizer.in-merge');
  if (rowCount !== (await countFates(client, 'inserted', 'updated'))) await markOvertaken(client, main);
  for (const child of tables.slice(1)) await replaceChildren(client, jobId, child);
  return outcome(client, quotedStagingTable(main.table, jobId));
}

async function foresee(client: PoolClient, jobId: string, tables: readonly TablePlan[]): Promise<Outcome> {
  const main = mainTable(tables);
  await listArriving(client, jobId, main);
  for (const child of tables.slice(1)) {
    await client.query(`
      WITH ${bothSides(jobId, child)},
      gone AS (SELECT * FROM present EXCEPT ALL SELECT * FROM wanted),
      fresh AS (SELECT * FROM wanted EXCEPT ALL SELECT * FROM present)
      ${markUpdated(child, '(SELECT * FROM gone UNION ALL SELECT * FROM fresh)')}`);
  }
  return outcome(client, quotedStagingTable(main.table, jobId));
}

/** U1: the records that the merge goes by, with their rows' contents, and what their own rows lead to (U2, U3). */
async function listArriving(client: PoolClient, jobId: string, main: TablePlan): Promise<void> {
  const key = columnList(main.key);
  const newestFirst = main.version === null ? '' : `, ${columnList([main.version])} DESC NULLS LAST`;
  await client.query(`
    CREATE TEMP TABLE arriving ON COMMIT DROP AS
    SELECT chosen.*, CASE
        WHEN ${columnList(main.key.slice(0, 1), 'present.')} IS NULL THEN 'inserted'
        WHEN ${isStale(main, 'present', 'chosen')} THEN 'stale'
        WHEN ${differs(main, 'present', 'chosen')} THEN 'updated'
        ELSE 'unchanged' END AS ${FATE}
    FROM (
      SELECT DISTINCT ON (${key}) ${RECORD_COLUMN}, ${columnList(main.columns)}
      FROM ${quotedStagingTable(main.table, jobId)} ORDER BY ${key}${newestFirst}, ${RECORD_COLUMN} DESC
    ) AS chosen
    LEFT JOIN ${quotedTarget(main.table)} AS present
      ON (${columnList(main.key, 'present.')}) = (${columnList(main.key, 'chosen.')})`);
  await client.query('ANALYZE pg_temp.arriving');
}

/** U5: somebody else was faster. The rows are locked by now, so what we see is what stays. */
async function markOvertaken(client: PoolClient, main: TablePlan): Promise<void> {
  await client.query(`
    UPDATE pg_temp.arriving SET ${FATE} = 'stale' FROM ${quotedTarget(main.table)} AS present
    WHERE (${columnList(main.key, 'present.')}) = (${columnList(main.key, 'arriving.')})
      AND ${FATE} IN ('inserted', 'updated') AND ${isStale(main, 'present', 'arriving')}`);
}

/**
 * U4: takes away what the record has not, adds what is missing, in this order: a unique index may mind. Of rows that
 * are all alike all go when some are too many, and as many as are wanted come back.
 */
async function replaceChildren(client: PoolClient, jobId: string, child: TablePlan): Promise<void> {
  const columns = columnList(child.columns);
  const target = quotedTarget(child.table);
  const links = columnList(linkColumns(child));
  const sameLinks = linkColumns(child).map((c) => `present.${columnList([c])} = gone.${columnList([c])}`);
  await client.query(`
    WITH ${bothSides(jobId, child)},
    gone AS (SELECT DISTINCT * FROM (SELECT * FROM present EXCEPT ALL SELECT * FROM wanted) AS each),
    written AS (
      DELETE FROM ${target} AS present USING gone WHERE ${sameLinks.join(' AND ')}
        AND (${columnList(child.columns, 'present.')}) IS NOT DISTINCT FROM (${columnList(child.columns, 'gone.')})
      RETURNING ${columnList(linkColumns(child), 'present.')}
    )
    ${markUpdated(child, 'written')}`);
  await client.query(`
    WITH ${bothSides(jobId, child)},
    fresh AS (SELECT * FROM wanted EXCEPT ALL SELECT * FROM present),
    written AS (INSERT INTO ${target} (${columns}) SELECT ${columns} FROM fresh ORDER BY ${columns} RETURNING ${links})
    ${markUpdated(child, 'written')}`);
}

/** `present`: rows that refer to an arriving parent; `wanted`: the rows of its record. */
function bothSides(jobId: string, child: TablePlan): string {
  return `
    present AS MATERIALIZED (
      SELECT ${columnList(child.columns, 'present.')} FROM ${quotedTarget(child.table)} AS present
      WHERE EXISTS (SELECT FROM pg_temp.arriving WHERE ${FATE} <> 'stale' AND ${linked(child, 'present')})
    ),
    wanted AS MATERIALIZED (
      SELECT ${columnList(child.columns, 'staged.')} FROM ${quotedStagingTable(child.table, jobId)} AS staged
      JOIN pg_temp.arriving USING (${RECORD_COLUMN}) WHERE ${FATE} <> 'stale'
    )`;
}

/** Whoever had an unchanged row, and child rows among `those`, is updated. */
function markUpdated(child: TablePlan, those: string): string {
  return `
    UPDATE pg_temp.arriving SET ${FATE} = 'updated'
    FROM (SELECT DISTINCT ${columnList(linkColumns(child))} FROM ${those} AS those) AS differing
    WHERE ${FATE} = 'unchanged' AND ${linked(child, 'differing')}`;
}

async function outcome(client: PoolClient, staging: string): Promise<Outcome> {
  const inserted = await countFates(client, 'inserted');
  const updated = await countFates(client, 'updated');
  const unchanged = await countFates(client, 'unchanged');
  const superseded = (await countRows(client, staging)) - inserted - updated - unchanged;
  return { inserted, updated, unchanged, superseded };
}

async function countFates(client: PoolClient, ...fates: readonly string[]): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*) FROM pg_temp.arriving WHERE ${FATE} = ANY($1)`,
    [fates],
  );
  return Number(rows[0]?.count ?? 0);
}

/** U2. */
function isStale({ version }: TablePlan, present: string, arriving: string): string {
  if (version === null) return 'false';
  const [theirs, ours] = [columnList([version], `${present}.`), columnList([version], `${arriving}.`)];
  return `coalesce(${theirs} > ${ours}, ${theirs} IS NOT NULL AND ${ours} IS NULL)`;
}

function differs(main: TablePlan, present: string, arriving: string): string {
  const rest = restOf(main);
  if (rest.length === 0) return 'false';
  return `(${columnList(rest, `${present}.`)}) IS DISTINCT FROM (${columnList(rest, `${arriving}.`)})`;
}

/** The columns that an update writes. */
function restOf({ columns, key }: TablePlan): string[] {
  return columns.filter((column) => !key.includes(column));
}

function linkColumns({ parent }: TablePlan): string[] {
  return Object.keys(parent?.columns ?? {});
}

function linked(child: TablePlan, childAlias: string): string {
  return Object.entries(child.parent?.columns ?? {})
    .map(([own, parents]) => `${childAlias}.${columnList([own])} = ${columnList([parents], 'arriving.')}`)
    .join(' AND ');
}

export const UPSERT: MergeWay = { repeatsAreRefused: false, merge, foresee };
