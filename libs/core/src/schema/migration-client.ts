import pg from 'pg';
import { prepareConnection } from '#common/postgres/pool.js';

/**
 * A connection for `sluice migrate`, by which the server's lists and a refused migration name it. Limits of the database's
 * for idle transactions are lifted before the first one begins: the lock's stays open around all others.
 */
export async function connectToMigrate(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'sluice migrate',
    connectionTimeoutMillis: 10_000,
  });
  // An error while it is idle is met by its next statement.
  client.on('error', () => undefined);
  await client.connect();
  await prepareConnection(client);
  return client;
}
