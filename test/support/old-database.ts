import { readFileSync } from 'node:fs';
import pg from 'pg';
import { startTestDatabase, type TestDatabase } from './postgres.js';

/** A database with what an earlier build left in it: `test/fixtures/old-databases/<name>.sql`, not migrated yet. */
export async function restoreOldDatabase(name: string): Promise<TestDatabase> {
  const dump = readFileSync(new URL(`../fixtures/old-databases/${name}.sql`, import.meta.url), 'utf8');
  const database = await startTestDatabase();
  try {
    await onConnection(database.url, (client) => client.query(dump));
  } catch (error) {
    await database.stop();
    throw error;
  }
  return database;
}

/** One text an object of these schemas: columns, constraints, indexes, sequences, views, functions, triggers; sorted. */
export async function describeSchemas(url: string, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await onConnection(url, async (client) => {
    await client.query(`SET search_path = ''`);
    return client.query<{ line: string }>(SCHEMA_LINES, [schemas]);
  });
  return rows.map(({ line }) => line);
}

/** NOT NULL is read from the columns: version 18 names such constraints, by the statement that made them. */
const SCHEMA_LINES = `
  WITH relation AS (
    SELECT c.oid, c.relkind, c.oid::regclass::text AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1)
  )
  SELECT format('%s %s', relkind, name) AS line FROM relation
  UNION ALL
  SELECT format('column %s.%s %s%s default %s identity %s generated %s', name, a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attnotnull THEN ' not null' END, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated)
    FROM relation JOIN pg_attribute a ON a.attrelid = oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE relkind IN ('r', 'p', 'v', 'm')
  UNION ALL
  SELECT format('constraint %s %s %s', name, k.conname, pg_get_constraintdef(k.oid))
    FROM relation JOIN pg_constraint k ON k.conrelid = relation.oid WHERE k.contype <> 'n'
  UNION ALL
  SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM relation JOIN pg_index i ON i.indexrelid = oid
  UNION ALL
  SELECT format('view %s %s', name, pg_get_viewdef(oid)) FROM relation WHERE relkind IN ('v', 'm')
  UNION ALL
  SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM relation JOIN pg_trigger t ON t.tgrelid = relation.oid
    WHERE NOT t.tgisinternal
  UNION ALL
  SELECT format('function %s', pg_get_functiondef(p.oid)) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY($1)
  ORDER BY 1`;

async function onConnection<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
