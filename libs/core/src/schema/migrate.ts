import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { databaseProblem } from '#common/postgres/database-problem.js';
import { assertDatabaseFits, assertSchemaIsNotNewer } from './check-database.js';
import { controlDatabase } from './control-database.js';
import { type MigratedDataset, migrateDataset, prepareDatasetMigrations } from './dataset-migrations.js';
import { connectToMigrate } from './migration-client.js';
import { withMigrationLock } from './migration-lock.js';

export { assertSchemaIsCurrent } from './check-database.js';

const DEFAULT_LOCK_WAIT_MS = 60_000;

export interface MigrateOptions {
  /** Datasets whose tables are there already: what their files would make counts as made. */
  readonly adopt?: readonly string[];
  /** How long another migration is waited for. */
  readonly lockWaitMs?: number;
  /** Receives the name of each migration as soon as it is committed. */
  readonly onApplied?: (name: string) => void;
}

export interface MigrationReport {
  /** Names of the migrations that ran, or were adopted. */
  readonly applied: readonly string[];
  /** Of datasets that could not be brought up to date, each its first; the others are. */
  readonly problems: readonly SluiceError[];
}

/**
 * Brings control tables and data tables up to date: the one command that changes schemas.
 *
 * - MG1: one at a time (`migration-lock.ts`): TypeORM takes no lock of its own. A second one waits and then finds
 *   nothing to do.
 * - MG2: nothing that is there is made again, not even by IF NOT EXISTS: PostgreSQL asks for the right first.
 * - MG3: a dataset that cannot be migrated keeps no other from it.
 * @throws SluiceError DATABASE_UNSUITABLE, SCHEMA_NEWER, MIGRATION_LOCKED, and what `databaseProblem` makes of settings
 *   and rights, before anything is changed
 */
export async function migrateAll(
  databaseUrl: string,
  datasets: readonly MigratedDataset[],
  options: MigrateOptions = {},
): Promise<MigrationReport> {
  const { adopt = [], lockWaitMs = DEFAULT_LOCK_WAIT_MS, onApplied } = options;
  const applied: string[] = [];
  const done = (name: string): void => {
    applied.push(name);
    onApplied?.(name);
  };
  try {
    return await withMigrationLock(databaseUrl, lockWaitMs, async () => {
      await onConnection(databaseUrl, async (client) => {
        await assertDatabaseFits(client);
        await assertSchemaIsNotNewer(client);
        await makeSchema(client);
      });
      for (const name of await migrateControlTables(databaseUrl)) done(name);
      const problems: SluiceError[] = [];
      await onConnection(databaseUrl, async (client) => {
        await prepareDatasetMigrations(client);
        for (const dataset of datasets) {
          const problem = await migrateDataset(client, dataset, adopt.includes(dataset.name), done);
          if (problem !== null) problems.push(problem);
        }
      });
      return { applied, problems };
    });
  } catch (error) {
    throw databaseProblem(error) ?? error;
  }
}

/** @returns names of the migrations that ran. @throws SluiceError the first problem, when all others are migrated */
export async function migrate(
  databaseUrl: string,
  datasets: readonly MigratedDataset[],
  options: MigrateOptions = {},
): Promise<string[]> {
  const { applied, problems } = await migrateAll(databaseUrl, datasets, options);
  const [problem] = problems;
  if (problem !== undefined) throw problem;
  return [...applied];
}

/** MG2: a DBA may have made the schema for a role that may make none. */
async function makeSchema(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regnamespace('sluice') IS NOT NULL AS there`,
  );
  if (rows[0]?.there === true) return;
  try {
    await client.query('CREATE SCHEMA sluice');
  } catch (error) {
    throw withoutSchemas(error) ?? error;
  }
}

function withoutSchemas(error: unknown): SluiceError | null {
  const problem = databaseProblem(error);
  if (problem?.code !== 'DATABASE_REFUSED') return problem;
  return new SluiceError(
    problem.code,
    `${problem.message} For schemas: GRANT CREATE ON DATABASE … TO …, or let the DBA make them (CREATE SCHEMA sluice ` +
      'AUTHORIZATION …; CREATE SCHEMA sluice_staging AUTHORIZATION …).',
    {},
    { cause: error },
  );
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
  } catch (error) {
    throw withoutSchemas(error) ?? error;
  } finally {
    await database.destroy();
  }
}

async function onConnection<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectToMigrate(databaseUrl);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
