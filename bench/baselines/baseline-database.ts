import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { loadRegistry } from '#core/registry/registry.js';
import { type TableDefinitions, readDefinitions } from './table-definitions.js';
import { openClient } from '../system/open-client.js';

export const DATASET = 'tax-registration';
const DATABASE = 'bench_baseline';

/**
 * A database of the baselines' own on the server that Sluice uses: same binaries, same settings, same disk. Its tables
 * come from the dataset's own migrations, so they are the same to the last constraint.
 */
export class BaselineDatabase {
  readonly url: string;

  /** @param serverUrl of any other database of the server; its user may make databases */
  constructor(private readonly serverUrl: string) {
    const url = new URL(serverUrl);
    url.pathname = `/${DATABASE}`;
    this.url = url.href;
  }

  /** Drops what earlier runs left and makes the tables again, empty, with all keys and indexes. */
  async reset(): Promise<void> {
    await this.remove();
    await this.onServer(`CREATE DATABASE ${DATABASE}`);
    const { folder } = (await loadRegistry()).entry(DATASET);
    const files = await readdir(join(folder, 'migrations'));
    for (const file of files.filter((name) => name.endsWith('.sql')).sort()) {
      await this.query(await readFile(join(folder, 'migrations', file), 'utf8'));
    }
  }

  async remove(): Promise<void> {
    await this.onServer(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`);
  }

  /** Of the tables as the migrations made them. */
  async definitions(): Promise<TableDefinitions> {
    return this.withClient((client) => readDefinitions(client));
  }

  async query<R extends pg.QueryResultRow>(sql: string): Promise<R[]> {
    return this.withClient(async (client) => (await client.query<R>(sql)).rows);
  }

  private async withClient<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    return withClient(this.url, work);
  }

  private async onServer(statement: string): Promise<void> {
    await withClient(this.serverUrl, (client) => client.query(statement));
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await openClient(url);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
