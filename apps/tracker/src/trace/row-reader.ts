import pg from 'pg';
import type { TracedRow } from '#api/trace.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { WantedKey } from '#core/trace/wanted-key.js';

/** `column = $n` for each, and the values. */
interface Conditions {
  readonly where: string;
  readonly values: readonly string[];
}

/**
 * Looks the row of a key up, and rows of the wanted child.
 * @param client in a transaction
 */
export async function readRow(client: pg.ClientBase, wanted: WantedKey): Promise<TracedRow> {
  const { plan, values } = wanted;
  const table = `${plan.schema}.${plan.table}`;
  const unknown: TracedRow = { table, isThere: null, version: null, rows: null, provenance: {} };
  if (!(await isReadable(client, plan.schema, plan.table))) return unknown;
  const absent: TracedRow = { ...unknown, isThere: false };
  if (values.some(({ stored }) => stored === null)) return absent;
  const conditions = conditionsOf(values.map(({ column, stored }) => [column.target, stored ?? '']));
  const provenance = plan.columns.flatMap(({ origin, target }) =>
    origin.from === 'provenance' ? [[origin.fact, target] as const] : [],
  );
  const shown = [
    `${wanted.version === null ? 'NULL' : pg.escapeIdentifier(wanted.version.target)}::text AS version`,
    ...provenance.map(
      ([fact, target]) => `${pg.escapeIdentifier(target)}::text AS ${pg.escapeIdentifier(`of ${fact}`)}`,
    ),
  ];
  const [row] = await rowsWhere(client, shown.join(', '), qualified(plan.schema, plan.table), conditions);
  const rows = await countChildRows(client, wanted);
  if (row === undefined) return { ...absent, rows };
  return {
    table,
    isThere: true,
    version: row['version'] ?? null,
    rows,
    provenance: Object.fromEntries(provenance.map(([fact]) => [fact, row[`of ${fact}`] ?? null])),
  };
}

/** Null: none is asked for, it may not be read, or no column of it follows from the key. */
async function countChildRows(
  client: pg.ClientBase,
  { plan, values, row }: WantedKey,
): Promise<number | null> {
  const at = row?.path.at(-1);
  if (row === null || at === undefined || !(await isReadable(client, plan.schema, row.table))) return null;
  const links = Object.keys(plan.tables[at + 1]?.parent?.columns ?? {}).flatMap((column) => {
    const main = ofMainTable(plan.tables, at + 1, column);
    const value = values.find(({ column: { target } }) => target === main);
    return value === undefined ? [] : [[column, value.stored ?? ''] as const];
  });
  if (links.length === 0) return null;
  if (row.values.some(({ stored }) => stored === null)) return 0;
  const own = row.values.map(({ column, stored }) => [column.target, stored ?? ''] as const);
  const [found] = await rowsWhere(
    client,
    'count(*)::text AS count',
    qualified(plan.schema, row.table),
    conditionsOf([...links, ...own]),
  );
  return Number(found?.['count'] ?? 0);
}

/** Which of the main table's columns a column of a child table repeats, over any number of tables between. */
function ofMainTable(tables: WantedKey['plan']['tables'], at: number, column: string): string | undefined {
  const parent = tables[at]?.parent;
  const ofParent = parent?.columns[column];
  if (parent === null || parent === undefined || ofParent === undefined) return undefined;
  const above = tables.findIndex(({ table }) => table === parent.table);
  return above === 0 ? ofParent : ofMainTable(tables, above, ofParent);
}

function conditionsOf(columns: readonly (readonly [string, string])[]): Conditions {
  return {
    where: columns.map(([column], at) => `${pg.escapeIdentifier(column)} = $${at + 1}`).join(' AND '),
    values: columns.map(([, value]) => value),
  };
}

/** None where a value cannot be one of its column's type: no row has it then. */
async function rowsWhere(
  client: pg.ClientBase,
  shown: string,
  table: string,
  { where, values }: Conditions,
): Promise<Record<string, string | null>[]> {
  await client.query('SAVEPOINT looking');
  try {
    const query = `SELECT ${shown} FROM ${table} WHERE ${where} LIMIT 1`;
    return (await client.query<Record<string, string | null>>(query, [...values])).rows;
  } catch (error) {
    // Class 22: the value is no number, no date, too large …
    if (sqlstateOf(error)?.startsWith('22') !== true) throw error;
    await client.query('ROLLBACK TO looking');
    return [];
  }
}

function qualified(schema: string, table: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
}

async function isReadable(client: pg.ClientBase, schema: string, table: string): Promise<boolean> {
  const { rows } = await client.query<{ is: boolean }>(READABLE, [schema, table]);
  return rows[0]?.is === true;
}

const READABLE = `
  SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS is
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;
