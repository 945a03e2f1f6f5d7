import pg from 'pg';

/** A connection for questions and baselines. The caller ends it. Its server may be ended under it, by Ctrl-C: that is no error of its own. */
export async function openClient(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'sluice-bench' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
