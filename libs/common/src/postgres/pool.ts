import pg from 'pg';

const TCP_USER_TIMEOUT_MS = 30_000;

export interface PoolOptions {
  readonly url: string;
  /** Shown in pg_stat_activity; at most 63 bytes. */
  readonly applicationName: string;
  readonly maxConnections: number;
}

/**
 * A pool of plain `pg` connections, for COPY and for SQL that TypeORM has no words for.
 * A connection that the server ends while it is idle is dropped from the pool, not thrown at the process.
 */
export function createPool({ url, applicationName, maxConnections }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max: maxConnections,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    verify: (client, done) => {
      // Of the server's end: it notices a client whose machine is gone, and frees its locks, without waiting for
      // TCP's own quarter of an hour; no other time-out reaches a backend that waits for COPY data. SET, because
      // poolers refuse start-up options; whoever cannot do it does without.
      const pass = (): void => {
        done();
      };
      client.query(`SET tcp_user_timeout = ${TCP_USER_TIMEOUT_MS}`).then(pass, pass);
    },
  });
  pool.on('error', () => {
    // The pool has already removed the connection; the next query opens another or reports the outage.
  });
  pool.on('connect', (client) => {
    // Without a listener an error between two queries would end the process (pg emits it on the client).
    client.on('error', () => {
      // The query that runs, or the next one, rejects with the same error.
    });
  });
  return pool;
}

/** Runs `work` in one transaction; rolls back on any error and never returns a broken connection to the pool. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query('BEGIN');
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
