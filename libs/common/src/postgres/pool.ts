import pg from 'pg';
import { noteConnection, prepared } from './prepared.js';
import type { SqlClient } from './sql-client.js';

export interface PoolOptions {
  /** A function is asked for each new connection: a rotated password is used without a restart. */
  readonly url: string | (() => string);
  /** Shown in pg_stat_activity; at most 63 bytes. */
  readonly applicationName: string;
  readonly maxConnections: number;
}

const TCP_USER_TIMEOUT_MS = 30_000;

/**
 * What a role, a database or a server may say otherwise, and Sluice relies on. Set on every connection; within
 * transactions that read the catalogs or write to the user's tables also by {@link SETTINGS_OF_A_TRANSACTION}.
 *
 * Left as they are, on purpose: TimeZone (every moment travels with its offset, and defaults and triggers of the user's
 * tables may go by it), search_path (the same; names of ours are qualified), statement_timeout and lock_timeout (a
 * limit for short statements is the DBA's; long ones lift it in their own transaction),
 * default_transaction_read_only (it says that this server is not to be written to).
 */
const SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  array_nulls: 'on',
  xmloption: 'content',
  quote_all_identifiers: 'off',
  // Rows that a policy hides make the statement fail instead of being skipped silently.
  row_security: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  // Between two statements of a transaction runs Sluice's own code, which has its own limits.
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
};

/** Behind a pooler in transaction mode a connection's settings are lost; these matter within a transaction. */
const SETTINGS_OF_A_TRANSACTION: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  row_security: 'off',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0',
};

/** Settings that the server does not have are skipped: `transaction_timeout` came with PostgreSQL 17. */
const SET = `
  SELECT set_config(wanted.key, wanted.value, $2) FROM json_each_text($1::json) AS wanted
  WHERE current_setting(wanted.key, true) IS NOT NULL`;

/** To open a connection takes a login; with pg's own 10 s an idle service opened one again every few seconds. */
const IDLE_CONNECTION_MS = 60_000;

/** What every connection of Sluice's is opened with: fit for `pg.Pool`, and for TypeORM's `extra`. */
export function poolConfig({ url, applicationName, maxConnections }: PoolOptions): pg.PoolConfig {
  return {
    // Parsed for each new connection as well, and the files that it names are read then.
    ...(typeof url === 'string' ? { connectionString: url } : { Client: clientAt(url) }),
    application_name: applicationName,
    max: maxConnections,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    keepAlive: true,
    verify: (client, done) => {
      // Without a listener an error between two queries would end the process (pg emits it on the client).
      client.on('error', () => {
        // The query that runs, or the next one, rejects with the same error.
      });
      prepareConnection(client).then(() => {
        done();
      }, done);
    },
  };
}

/** What the pool makes its connections of, when the address may change. */
function clientAt(urlNow: () => string): typeof pg.Client {
  return class extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super({ ...config, connectionString: urlNow() });
    }
  };
}

/** SET, because poolers refuse start-up options. @throws the database's error when the connection is not usable */
export async function prepareConnection(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  await client.query(SET, [SETTINGS, false]);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  noteConnection(client, rows[0]?.pid ?? 0);
  // Of the server's end: it notices a client whose machine is gone, and frees its locks, without waiting for TCP's own
  // quarter of an hour; no other time-out reaches a backend that waits for COPY data. A server that cannot do without.
  await client.query(`SET tcp_user_timeout = ${TCP_USER_TIMEOUT_MS}`).catch(() => undefined);
}

/**
 * The same for one transaction, which a pooler may give another connection of the server's.
 * @param more settings of this transaction's own
 */
export async function pinWithin(
  client: Pick<pg.ClientBase, 'query'>,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  await prepared(client as SqlClient).query(SET, [{ ...SETTINGS_OF_A_TRANSACTION, ...more }, true]);
}

/**
 * A pool of plain `pg` connections, for COPY and for SQL that TypeORM cannot express.
 * A connection that the server ends while it is idle is dropped from the pool, not thrown at the process.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const pool = new pg.Pool(poolConfig(options));
  pool.on('error', () => {
    // The pool has already removed the connection; the next query opens another or reports the outage.
  });
  return pool;
}

/** Set with each one, because a pooler may give it a connection on which nothing was set. */
const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE';

/** Runs `work` in one transaction; rolls back on any error and never returns a broken connection to the pool. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query(BEGIN);
    const result = await work(client);
    const { command } = await client.query('COMMIT');
    // After an error inside, COMMIT resolves with the tag ROLLBACK.
    if (command !== 'COMMIT') throw new pg.DatabaseError(`transaction ended with ${command}`, 0, 'error');
    broken = false;
    return result;
  } catch (error) {
    broken = !(await rollsBack(client));
    throw error;
  } finally {
    client.release(broken);
  }
}

async function rollsBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}
