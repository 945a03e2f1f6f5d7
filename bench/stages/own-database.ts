import { loadRegistry } from '#core/registry/registry.js';
import { migrate } from '#core/schema/migrate.js';
import { openClient } from '../system/open-client.js';

/**
 * Does some work in a database of its own, with all of Sluice's tables and no service that looks at them.
 * @param serverUrl of any other database of the server; its user may make databases
 * @param name of the database; what an earlier run left under it is dropped
 */
export async function inOwnDatabase<T>(
  serverUrl: string,
  name: string,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const drop = `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`;
  await onServer(serverUrl, drop, `CREATE DATABASE ${name}`);
  try {
    await migrate(url.href, (await loadRegistry()).entries());
    return await work(url.href);
  } finally {
    await onServer(serverUrl, drop);
  }
}

async function onServer(url: string, ...statements: readonly string[]): Promise<void> {
  const client = await openClient(url);
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
