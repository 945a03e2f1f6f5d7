import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { type TestDatabase, startTestDatabase } from '../../../../test/support/postgres.js';
import { Job } from '../job/job.entity.js';
import { LedgerRow } from '../ledger/ledger.entity.js';
import { controlDatabase } from './control-database.js';
import { assertSchemaIsCurrent, migrate } from './migrate.js';

describe('control tables', () => {
  let server: TestDatabase;
  let database: DataSource;

  beforeAll(async () => {
    server = await startTestDatabase();
    database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
  });

  afterAll(async () => {
    await database.destroy();
    await server.stop();
  });

  it('are asked for by name until they are there', async () => {
    await expect(assertSchemaIsCurrent(database)).rejects.toMatchObject({
      code: 'SCHEMA_OUTDATED',
      message: expect.stringContaining('ControlTables'),
    });
  });

  it('are made once, also by two migrations at the same time', async () => {
    const ran = await Promise.all([migrate(server.url, []), migrate(server.url, [])]);
    expect(ran.filter((names) => names.length > 0)).toHaveLength(1);
    await expect(assertSchemaIsCurrent(database)).resolves.toBeUndefined();
    expect(await migrate(server.url, [])).toEqual([]);
  });

  it.each([
    ['Job', Job],
    ['LedgerRow', LedgerRow],
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
