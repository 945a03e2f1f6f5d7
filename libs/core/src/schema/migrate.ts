import pg from 'pg';
import type { DataSource } from 'typeorm';
import { SluiceError } from '#common/errors/sluice-error.js';
import { CONTROL_MIGRATIONS, controlDatabase } from './control-database.js';
import { type MigratedDataset, migrateDatasets } from './dataset-migrations.js';

/** Any 64-bit number will do, as long as every `migrate` takes the same one. */
const MIGRATION_LOCK = 8_420_371_001;

/**
 * Brings control tables and data tables up to date: the one command that changes schemas.
 *
 * TypeORM takes no lock of its own, so a session lock is held around everything, on a connection that
 * does nothing else: a second `migrate` waits and then finds nothing to do.
 * @returns names of the migrations that ran
 */
export async function migrate(databaseUrl: string, datasets: readonly MigratedDataset[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'sluice migrate' });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query('CREATE SCHEMA IF NOT EXISTS sluice');
    const control = await migrateControlTables(databaseUrl);
    return [...control, ...(await migrateDatasets(client, datasets))];
  } finally {
    await client.end();
  }
}

async function migrateControlTables(databaseUrl: string): Promise<string[]> {
  const database = controlDatabase({
    url: databaseUrl,
    applicationName: 'sluice migrate',
    maxConnections: 1,
  });
  await database.initialize();
  try {
    return (await database.runMigrations()).map((migration) => migration.name);
  } finally {
    await database.destroy();
  }
}

/** Every service calls this at its start. @throws SluiceError SCHEMA_OUTDATED when `migrate` has to run first */
export async function assertSchemaIsCurrent(database: DataSource): Promise<void> {
  const wanted = CONTROL_MIGRATIONS.map((migration) => migration.name);
  const [present] = await database.query<{ name: string | null }[]>(
    `SELECT to_regclass('sluice.migration')::text AS name`,
  );
  const done = present?.name
    ? (await database.query<{ name: string }[]>('SELECT name FROM sluice.migration')).map((row) => row.name)
    : [];
  const missing = wanted.filter((name) => !done.includes(name));
  if (missing.length > 0) {
    throw new SluiceError('SCHEMA_OUTDATED', `Control tables lack ${missing.join(', ')}.`);
  }
}
