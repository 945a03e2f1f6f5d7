import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { CONTROL_MIGRATIONS } from './control-database.js';

/** Indexes with NULLS NOT DISTINCT, publications by schema, and what the catalogs say of them. */
const OLDEST_VERSION = 15;

/**
 * A database that cannot hold what Sluice loads would refuse records one by one, or be unable to say why.
 * @throws SluiceError DATABASE_UNSUITABLE
 */
export async function assertDatabaseFits(client: SqlClient): Promise<void> {
  const { rows } = await client.query<{ name: string; encoding: string; version: number }>(
    `SELECT current_database() AS name, current_setting('server_encoding') AS encoding,
            current_setting('server_version_num')::int / 10000 AS version`,
  );
  const [{ name, encoding, version } = { name: '', encoding: 'UTF8', version: OLDEST_VERSION }] = rows;
  if (version < OLDEST_VERSION) {
    throw new SluiceError(
      'DATABASE_UNSUITABLE',
      `The server is PostgreSQL ${version}, and Sluice needs ${OLDEST_VERSION} or newer.`,
    );
  }
  if (encoding === 'UTF8') return;
  throw new SluiceError(
    'DATABASE_UNSUITABLE',
    `Database ${name} has the encoding ${encoding}, and Sluice loads UTF8 only.`,
  );
}

/**
 * Every service asks this at its start, and `migrate` before it changes anything.
 * @throws SluiceError SCHEMA_OUTDATED when `migrate` has to run first; SCHEMA_NEWER when a newer build has migrated
 */
export async function assertSchemaIsCurrent(client: SqlClient): Promise<void> {
  const done = await doneMigrations(client);
  assertNotNewer(done);
  const missing = controlMigrations().filter((name) => !done.includes(name));
  if (missing.length > 0) {
    throw new SluiceError('SCHEMA_OUTDATED', `Control tables lack ${missing.join(', ')}.`);
  }
}

/** @throws SluiceError SCHEMA_NEWER: what a newer build relies on, this one would not keep */
export async function assertSchemaIsNotNewer(client: SqlClient): Promise<void> {
  assertNotNewer(await doneMigrations(client));
}

function assertNotNewer(done: readonly string[]): void {
  const known = controlMigrations();
  const newer = done.filter((name) => !known.includes(name));
  if (newer.length === 0) return;
  throw new SluiceError(
    'SCHEMA_NEWER',
    `The control tables were migrated by a newer build, which added ${newer.join(', ')}.`,
  );
}

function controlMigrations(): string[] {
  return CONTROL_MIGRATIONS.map((migration) => migration.name);
}

async function doneMigrations(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query<{ present: boolean }>(
    `SELECT to_regclass('sluice.migration') IS NOT NULL AS present`,
  );
  if (rows[0]?.present !== true) return [];
  const done = await client.query<{ name: string }>('SELECT name FROM sluice.migration ORDER BY id');
  return done.rows.map(({ name }) => name);
}
