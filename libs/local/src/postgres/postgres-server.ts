import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, statSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { removeStalePidFile } from './stale-pid-file.js';
import type { ProcessPlan } from '../process-plan.js';
import { runToEnd } from '../start-process.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { type PostgresHome, preparePostgresHome } from './postgres-home.js';

/** One real PostgreSQL on 127.0.0.1, with a password, for one local system. */
export interface PostgresOptions {
  /** Made when missing; see PostgresHome for where the data really go. */
  readonly folder: string;
  readonly logFile: string;
  readonly port: number;
  /** Instead of or on top of POSTGRES_SETTINGS. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Those that are installed for local systems when left out. */
  readonly binaries?: PostgresBinaries;
}

export interface PostgresPlan extends ProcessPlan {
  readonly home: PostgresHome;
  /** Of the database `sluice`, which exists as soon as the probe resolves; holds the password. */
  readonly url: string;
}

/** Given at every start, so that a change here reaches data that are there already. */
export const POSTGRES_SETTINGS: Readonly<Record<string, string | number>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 60,
  // As measured (docs/performance.md): half the seconds of the defaults for a load of 1.6 million rows.
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',
  TimeZone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%a ',
  // A COPY error's context would put a record's content into the log.
  log_error_verbosity: 'terse',
};

/** For servers that live as long as a test run. What was committed still survives `kill -9`, only not a power cut. */
export const THROW_AWAY_SETTINGS: Readonly<Record<string, string | number>> = {
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '128MB',
  max_connections: 200,
};

const SUPERUSER = 'sluice';
const DATABASE = 'sluice';

/**
 * Finds a place, makes the data folder when there is none.
 * @throws SluiceError REQUIREMENT_MISSING, LOCAL_START_FAILED
 */
export async function planPostgres(options: PostgresOptions): Promise<PostgresPlan> {
  const home = await preparePostgresHome(options.folder, options.binaries);
  const data = join(home.folder, 'data');
  const password = await passwordOf(home);
  if (!existsSync(join(data, 'PG_VERSION'))) await initialize(home, data, password);
  await checkData(home, data);
  removeStalePidFile(data);
  const urlOf = (database: string): string =>
    `postgres://${SUPERUSER}:${password}@127.0.0.1:${options.port}/${database}`;
  const settings = { ...POSTGRES_SETTINGS, ...options.settings, port: options.port };
  return {
    name: 'postgres',
    command: join(home.binaries.folder, 'bin', 'postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    cwd: data,
    env: postgresEnvironment(),
    user: home.user,
    port: options.port,
    logFile: options.logFile,
    probe: () => ensureDatabase(urlOf('postgres'), DATABASE, data),
    // Fast shutdown, then the immediate one (postgres: "Shutting Down the Server").
    stopSteps: [
      { signal: 'SIGINT', waitMs: 30_000 },
      { signal: 'SIGQUIT', waitMs: 5_000 },
    ],
    home,
    url: urlOf(DATABASE),
  };
}

/** Without PGDATA, PGPORT and their like; LC_ALL also keeps macOS from starting a thread in the postmaster. */
function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: childEnvironment().PATH, LC_ALL: 'C' };
}

/** Kept with the data, because the data know only it. */
async function passwordOf(home: PostgresHome): Promise<string> {
  const file = join(home.folder, 'password');
  if (existsSync(file)) return (await readFile(file, 'utf8')).trim();
  const password = randomBytes(24).toString('hex');
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  return password;
}

/** Sorts by code points and knows upper and lower case of all scripts, the same on every machine. */
const BUILTIN_LOCALE = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'];

/** They came with PostgreSQL 17. */
function hasBuiltinLocales({ binaries }: PostgresHome): boolean {
  return Number(binaries.version.split('.')[0]) >= 17;
}

/** Under another name first: an interrupted initdb leaves nothing that counts as data. */
async function initialize(home: PostgresHome, data: string, password: string): Promise<void> {
  const partial = join(home.folder, 'data.partial');
  const passwordFile = join(home.folder, 'password.initdb');
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (home.user !== undefined) {
    for (const path of [partial, passwordFile]) chownSync(path, home.user.uid, home.user.gid);
  }
  try {
    const { code, stdout, stderr } = await runToEnd(
      join(home.binaries.folder, 'bin', 'initdb'),
      [
        ...['-D', partial, '-U', SUPERUSER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
        ...['--encoding=UTF8', '--locale=C', ...(hasBuiltinLocales(home) ? BUILTIN_LOCALE : [])],
        ...['--no-instructions', '--no-sync'],
      ],
      { cwd: home.folder, env: postgresEnvironment(), ...(home.user && { user: home.user }) },
    );
    if (code !== 0) throw initdbFailed(`${stdout}\n${stderr}`.trim());
    await chmod(partial, 0o700);
    await rename(partial, data);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(partial, { recursive: true, force: true });
  }
}

function initdbFailed(output: string): SluiceError {
  if (output.includes('could not look up effective user')) {
    return new SluiceError(
      'REQUIREMENT_MISSING',
      `PostgreSQL needs a name for the user it runs as, and user id ${process.getuid?.() ?? '?'} has none in /etc/passwd: run Sluice as a user with an entry there, or set DATABASE_URL to your own server.`,
    );
  }
  return new SluiceError(
    'LOCAL_START_FAILED',
    `PostgreSQL's data could not be made: ${output.slice(-1_000)}`,
  );
}

async function checkData(home: PostgresHome, data: string): Promise<void> {
  const us = home.user?.uid ?? process.getuid?.();
  const { uid } = statSync(data);
  if (uid !== us) {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `The PostgreSQL data in ${data} belong to user id ${uid}, but PostgreSQL would run as ${us ?? '?'}: start Sluice as the same user as before, or remove that folder to start from scratch.`,
    );
  }
  const made = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
  const major = home.binaries.version.split('.')[0];
  if (made !== major) {
    throw new SluiceError(
      'REQUIREMENT_MISSING',
      `The PostgreSQL data in ${data} are of version ${made}, the installed PostgreSQL is ${major ?? '?'}: remove that folder to start from scratch, or go back to the previous version.`,
    );
  }
}

/**
 * Makes a database unless it is there; rejects while the server does not answer, or when the one that answers has other
 * data than these: the password alone does not distinguish a checkout from its copy.
 */
export async function ensureDatabase(maintenanceUrl: string, name: string, data: string): Promise<void> {
  // Here, because every command of the command line loads this file, and few ask a database.
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: maintenanceUrl, connectionTimeoutMillis: 2_000 });
  // A server that ends while we are connected raises this beside the rejected query.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ folder: string }>(
      `SELECT current_setting('data_directory') AS folder`,
    );
    if (rows[0]?.folder !== data) {
      throw new SluiceError(
        'DATABASE_UNAVAILABLE',
        `The server at port ${client.port} has the data in ${rows[0]?.folder ?? '?'}, not ours in ${data}.`,
      );
    }
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
