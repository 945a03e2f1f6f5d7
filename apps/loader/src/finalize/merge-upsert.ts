import type { PoolClient } from 'pg';
import type { Outcome } from '#core/ledger/balance.js';
import { RECORD_COLUMN, columnList, quotedStagingTable, quotedTarget } from '#core/staging/staging-names.js';
import { type TablePlan, mainTable } from '#core/staging/table-plan.js';
import { type MergeWay, countRows } from './merge.js';

/** Beside the data's own columns, so it bears a name that no data column has. */
const FATE = '_sluice_fate';

/**
 * `upsert`: of the records with one key the last one arrives, earlier ones are superseded; what arrives is inserted,
 * or updates the row that has its key, or finds it unchanged.
 *
 * - U1: a record is unchanged when neither its row nor the set of its child rows differs; then nothing is written.
 * - U2: children follow their parent: afterwards the child rows that refer to it are the record's, those that were
 *   there already untouched (their generated columns too).
 * - U3: rows are written in the order of their keys, so that two writers cannot deadlock on them.
 */
async function merge(client: PoolClient, jobId: string, tables: readonly TablePlan[]): Promise<Outcome> {
  const main = mainTable(tables);
  await listArriving(client, jobId, main);
  await client.query('CREATE TEMP TABLE changed (record bigint) ON COMMIT DROP');
  const rest = main.columns.filter((column) => !main.key.includes(column));
  const update =
    rest.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${rest.map((column) => `${columnList([column])} = ${columnList([column], 'EXCLUDED.')}`).join(', ')}
         WHERE (${columnList(rest, 'present.')}) IS DISTINCT FROM (${columnList(rest, 'EXCLUDED.')})`;
  // Known beforehand: what RETURNING could tell of it differs for partitioned tables.
  await markNew(client, main);
  await client.query(`
    WITH written AS (
      INSERT INTO ${quotedTarget(main.table)} AS present (${columnList(main.columns)})
      SELECT ${columnList(main.columns)} FROM pg_temp.arriving ORDER BY ${columnList(main.key)}
      ON CONFLICT (${columnList(main.key)}) DO ${update}
      RETURNING ${columnList(main.key, 'present.')}
    )
    UPDATE pg_temp.arriving SET ${FATE} = 'updated' FROM written
    WHERE ${FATE} = 'unchanged' AND ${sameKey(main, 'written', 'arriving')}`);
  for (const child of tables.slice(1)) await replaceChildren(client, jobId, child);
  await client.query(`
    UPDATE pg_temp.arriving SET ${FATE} = 'updated' FROM pg_temp.changed
    WHERE changed.record = arriving.${RECORD_COLUMN} AND ${FATE} = 'unchanged'`);
  return outcome(client, quotedStagingTable(main.table, jobId));
}

async function foresee(client: PoolClient, jobId: string, tables: readonly TablePlan[]): Promise<Outcome> {
  const main = mainTable(tables);
  await listArriving(client, jobId, main);
  const all = columnList(main.columns, 'arriving.');
  const theirs = columnList(main.columns, 'present.');
  await markNew(client, main);
  await client.query(`
    UPDATE pg_temp.arriving SET ${FATE} = 'updated' FROM ${quotedTarget(main.table)} AS present
    WHERE ${sameKey(main, 'present', 'arriving')} AND (${theirs}) IS DISTINCT FROM (${all})`);
  for (const child of tables.slice(1)) {
    await client.query(`
      WITH ${childDifference(jobId, child)}
      UPDATE pg_temp.arriving SET ${FATE} = 'updated'
      FROM (SELECT * FROM gone UNION SELECT * FROM fresh) AS differing
      WHERE ${FATE} = 'unchanged' AND ${linked(child, 'differing', 'arriving')}`);
  }
  return outcome(client, quotedStagingTable(main.table, jobId));
}

/** The records that the merge goes by, with their rows' contents: the last one of each key. */
async function listArriving(client: PoolClient, jobId: string, main: TablePlan): Promise<void> {
  const key = columnList(main.key);
  await client.query(`
    CREATE TEMP TABLE arriving ON COMMIT DROP AS
    SELECT DISTINCT ON (${key}) ${RECORD_COLUMN}, ${columnList(main.columns)}, 'unchanged'::text AS ${FATE}
    FROM ${quotedStagingTable(main.table, jobId)} ORDER BY ${key}, ${RECORD_COLUMN} DESC`);
  await client.query('ANALYZE pg_temp.arriving');
}

/** Those whose key is not there yet will be inserted. */
async function markNew(client: PoolClient, main: TablePlan): Promise<void> {
  await client.query(`
    UPDATE pg_temp.arriving SET ${FATE} = 'inserted'
    WHERE NOT EXISTS (SELECT FROM ${quotedTarget(main.table)} AS present WHERE ${sameKey(main, 'present', 'arriving')})`);
}

/** U2: takes away what the record has not, adds what is missing, in this order: a unique index may mind. */
async function replaceChildren(client: PoolClient, jobId: string, child: TablePlan): Promise<void> {
  const columns = columnList(child.columns);
  const target = quotedTarget(child.table);
  const difference = childDifference(jobId, child);
  await client.query(`
    WITH ${difference}
    INSERT INTO pg_temp.changed (record)
    SELECT DISTINCT arriving.${RECORD_COLUMN} FROM (SELECT * FROM gone UNION SELECT * FROM fresh) AS differing
    JOIN pg_temp.arriving ON ${linked(child, 'differing', 'arriving')} WHERE arriving.${FATE} <> 'inserted'`);
  await client.query(`
    WITH ${difference}
    DELETE FROM ${target} AS present USING gone
    WHERE ${linkColumns(child)
      .map((c) => `present.${columnList([c])} = gone.${columnList([c])}`)
      .join(' AND ')}
      AND (${columnList(child.columns, 'present.')}) IS NOT DISTINCT FROM (${columnList(child.columns, 'gone.')})`);
  await client.query(
    `WITH ${difference} INSERT INTO ${target} (${columns}) SELECT ${columns} FROM fresh ORDER BY ${columns}`,
  );
}

/** `gone`: rows that refer to an arriving parent and are not the record's; `fresh`: rows of the record that are missing. */
function childDifference(jobId: string, child: TablePlan): string {
  const columns = (of: string): string => columnList(child.columns, `${of}.`);
  return `
    present AS MATERIALIZED (
      SELECT ${columns('present')} FROM ${quotedTarget(child.table)} AS present
      JOIN pg_temp.arriving ON ${linked(child, 'present', 'arriving')}
    ),
    wanted AS MATERIALIZED (
      SELECT ${columns('staged')} FROM ${quotedStagingTable(child.table, jobId)} AS staged
      JOIN pg_temp.arriving USING (${RECORD_COLUMN})
    ),
    gone AS (SELECT * FROM present EXCEPT SELECT * FROM wanted),
    fresh AS (SELECT * FROM wanted EXCEPT SELECT * FROM present)`;
}

async function outcome(client: PoolClient, staging: string): Promise<Outcome> {
  const { rows } = await client.query<{ fate: string; count: string }>(
    `SELECT ${FATE} AS fate, count(*) AS count FROM pg_temp.arriving GROUP BY 1`,
  );
  const count = (fate: string): number => Number(rows.find((row) => row.fate === fate)?.count ?? 0);
  const [inserted, updated, unchanged] = [count('inserted'), count('updated'), count('unchanged')];
  return {
    inserted,
    updated,
    unchanged,
    superseded: (await countRows(client, staging)) - inserted - updated - unchanged,
  };
}

function linkColumns({ parent }: TablePlan): string[] {
  return Object.keys(parent?.columns ?? {});
}

function linked(child: TablePlan, childAlias: string, parentAlias: string): string {
  return Object.entries(child.parent?.columns ?? {})
    .map(([own, parents]) => `${childAlias}.${columnList([own])} = ${parentAlias}.${columnList([parents])}`)
    .join(' AND ');
}

function sameKey(main: TablePlan, left: string, right: string): string {
  return `(${columnList(main.key, `${left}.`)}) = (${columnList(main.key, `${right}.`)})`;
}

export const UPSERT: MergeWay = { repeatsAreRefused: false, merge, foresee };
