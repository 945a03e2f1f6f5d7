import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { Job } from '../job/job.entity.js';
import { LedgerRow } from '../ledger/ledger.entity.js';
import { Stream } from '../stream/stream.entity.js';
import { controlDatabase } from './control-database.js';
import { assertSchemaIsCurrent } from './check-database.js';
import { migrate } from './migrate.js';

describe('control tables', () => {
  let server: TestDatabase;
  let database: DataSource;
  let client: pg.Client;

  beforeAll(async () => {
    server = await startTestDatabase();
    await migrate(server.url, []);
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
    database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
  });

  afterAll(async () => {
    await client.end();
    await database.destroy();
    await server.stop();
  });

  it('are asked for by name until they are there, and made once, also by two migrations at the same time', async () => {
    const empty = await startTestDatabase();
    const other = new pg.Client({ connectionString: empty.url });
    await other.connect();
    try {
      await expect(assertSchemaIsCurrent(other)).rejects.toMatchObject({
        code: 'SCHEMA_OUTDATED',
        message: expect.stringContaining('ControlTables'),
      });
      const ran = await Promise.all([migrate(empty.url, []), migrate(empty.url, [])]);
      expect(ran.filter((names) => names.length > 0)).toHaveLength(1);
      await expect(assertSchemaIsCurrent(other)).resolves.toBeUndefined();
      expect(await migrate(empty.url, [])).toEqual([]);
    } finally {
      await other.end();
      await empty.stop();
    }
  });

  it('of a newer build are refused: by services, and by migrate', async () => {
    await client.query(
      `INSERT INTO sluice.migration (timestamp, name) VALUES (9000000000000, 'FromTheFuture9000000000000')`,
    );
    const newer = { code: 'SCHEMA_NEWER', message: expect.stringContaining('FromTheFuture') };
    try {
      await expect(assertSchemaIsCurrent(client)).rejects.toMatchObject(newer);
      await expect(migrate(server.url, [])).rejects.toMatchObject(newer);
    } finally {
      await client.query(`DELETE FROM sluice.migration WHERE name LIKE 'FromTheFuture%'`);
    }
  });

  it.each([
    ['Job', Job],
    ['LedgerRow', LedgerRow],
    ['Stream', Stream],
  ])('have the columns that %s says, of the same types', async (_, entity) => {
    const { columns, tableName } = database.getMetadata(entity);
    const found = await database.query<{ column_name: string; data_type: string; is_nullable: string }[]>(
      `SELECT column_name, data_type, is_nullable FROM information_schema.columns
       WHERE table_schema = 'sluice' AND table_name = $1`,
      [tableName],
    );
    const inTable = found.map(({ column_name, data_type, is_nullable }) => [
      column_name,
      data_type,
      is_nullable === 'YES',
    ]);
    const typeNames: Record<string, string> = { timestamptz: 'timestamp with time zone' };
    const inEntity = columns.map(({ databaseName, type, isNullable }) => [
      databaseName,
      typeNames[String(type)] ?? type,
      isNullable,
    ]);
    expect(inEntity.sort()).toEqual(inTable.sort());
  });
});
