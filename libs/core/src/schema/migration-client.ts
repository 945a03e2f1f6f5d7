import pg from 'pg';

/** A connection for `sluice migrate`, by which the server's lists and a refused migration name it. */
export async function connectToMigrate(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'sluice migrate',
    connectionTimeoutMillis: 10_000,
  });
  // An error while it is idle is met by its next statement.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
