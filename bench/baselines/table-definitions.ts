import type pg from 'pg';

/**
 * The keys, indexes and foreign keys of the tables in `public`, in PostgreSQL's own words: what is taken from a
 * migrated table and created again after the COPY is what the migrations said, and nothing has to be written twice.
 */
export interface TableDefinitions {
  /** Primary keys and unique constraints. */
  readonly keys: readonly KeyDefinition[];
  /** Indexes that are no constraint's. */
  readonly indexes: readonly IndexDefinition[];
  readonly foreignKeys: readonly ConstraintDefinition[];
}

export interface ConstraintDefinition {
  /** As the search path finds it, like every name here; quoted where it has to be. */
  readonly table: string;
  readonly name: string;
  /** What follows `ADD CONSTRAINT name`. */
  readonly body: string;
}

export interface KeyDefinition extends ConstraintDefinition {
  readonly kind: 'PRIMARY KEY' | 'UNIQUE';
  /** The statement that makes its index without the constraint. */
  readonly createIndex: string;
}

export interface IndexDefinition {
  readonly table: string;
  readonly name: string;
  readonly create: string;
}

export async function readDefinitions(client: pg.Client): Promise<TableDefinitions> {
  const constraints = await client.query<KeyDefinition & { type: 'p' | 'u' | 'f' }>(`
    SELECT conrelid::regclass::text AS "table", quote_ident(conname) AS name, contype AS type,
      pg_get_constraintdef(c.oid) AS body,
      CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS kind,
      CASE WHEN contype <> 'f' THEN pg_get_indexdef(conindid) END AS "createIndex"
    FROM pg_constraint c WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f')
    ORDER BY conrelid::regclass::text, contype, conname`);
  const indexes = await client.query<IndexDefinition>(`
    SELECT indrelid::regclass::text AS "table", indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS create
    FROM pg_index i JOIN pg_class r ON r.oid = indrelid
    WHERE r.relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
    ORDER BY indrelid::regclass::text, indexrelid::regclass::text`);
  const ofType = (...types: readonly string[]): KeyDefinition[] =>
    constraints.rows.filter(({ type }) => types.includes(type));
  return { keys: ofType('p', 'u'), indexes: indexes.rows, foreignKeys: ofType('f') };
}

/** Leaves bare tables: columns, NOT NULL, defaults, CHECKs. */
export function dropStatements({ keys, indexes, foreignKeys }: TableDefinitions): string[] {
  return [
    ...[...foreignKeys, ...keys].map(({ table, name }) => `ALTER TABLE ${table} DROP CONSTRAINT ${name}`),
    ...indexes.map(({ name }) => `DROP INDEX ${name}`),
  ];
}

/** In the order of pg_restore: keys, indexes, then foreign keys. */
export function createStatements({ keys, indexes, foreignKeys }: TableDefinitions): string[] {
  const add = ({ table, name, body }: ConstraintDefinition): string =>
    `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${body}`;
  return [...keys.map(add), ...indexes.map(({ create }) => create), ...foreignKeys.map(add)];
}

/** Makes constraints of indexes that {@link KeyDefinition.createIndex} has built: in the catalogs alone, no scan. */
export function attachStatements({ keys, foreignKeys }: TableDefinitions): string[] {
  return [
    ...keys.map(
      ({ table, name, kind }) => `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${kind} USING INDEX ${name}`,
    ),
    ...foreignKeys.map(({ table, name, body }) => `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${body}`),
  ];
}
