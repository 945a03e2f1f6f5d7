/** Tables as the catalogs of a database describe them, to compare with what a contract needs. */
import type { SqlClient } from '#common/postgres/sql-client.js';
import { createTableSql, sqlName } from '../derive/table-sql.js';
import type { FoundTable, TableFacts } from '../derive/table-facts.js';

/** Those of the tables that exist, in the order given. */
export async function findTables(
  client: SqlClient,
  tables: readonly Pick<TableFacts, 'schema' | 'table'>[],
): Promise<FoundTable[]> {
  const { rows } = await client.query<FoundTable>(TABLES, [
    tables.map(({ schema }) => schema),
    tables.map(({ table }) => table),
  ]);
  return rows;
}

/**
 * The same tables with their types as PostgreSQL writes them (`character varying(20)`), so that they can be compared:
 * made for a moment, and read back. Call it inside a transaction that is rolled back.
 */
export async function withTypesOf(client: SqlClient, wanted: readonly TableFacts[]): Promise<TableFacts[]> {
  await client.query(`CREATE SCHEMA ${sqlName(PROBE_SCHEMA)}`);
  const typed: TableFacts[] = [];
  for (const table of wanted) {
    const probe = { ...table, schema: PROBE_SCHEMA, parent: null, indexes: [] };
    await client.query(createTableSql(probe));
    const [found] = await findTables(client, [probe]);
    typed.push({
      ...table,
      columns: table.columns.map((column) => ({
        ...column,
        type: found?.columns.find(({ name }) => name === column.name)?.type ?? column.type,
      })),
    });
  }
  await client.query(`DROP SCHEMA ${sqlName(PROBE_SCHEMA)} CASCADE`);
  return typed;
}

const PROBE_SCHEMA = 'sluice_probe';

const TABLES = `
  SELECT n.nspname AS schema, c.relname AS table,
         (SELECT coalesce(json_agg(json_build_object(
                   'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
                   'hasDefault', a.atthasdef OR a.attidentity <> '') ORDER BY a.attnum), '[]')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
         (SELECT coalesce(json_agg(own.names), '[]')
          FROM pg_index i
          CROSS JOIN LATERAL (
            SELECT json_agg(a.attname ORDER BY k.place) AS names
            FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE k.place <= i.indnkeyatts) AS own
          WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL) AS keys
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (schema, "table", place)
  JOIN pg_namespace n ON n.nspname = wanted.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted."table" AND c.relkind IN ('r', 'p')
  ORDER BY wanted.place`;
