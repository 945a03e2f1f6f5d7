import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { Column, Table } from '../../dataset/columns.js';
import { flag, int64, isoDate, jsonb, numeric, text, timestamptz } from '../../dataset/kinds.js';
import { checkColumnTypes } from './column-types.js';

@Table({ name: 'mixed', key: ['name'] })
class Mixed {
  @Column({ source: 'name', kind: text() }) name!: string;
  @Column({ source: 'pieces', kind: int64() }) pieces!: string;
  @Column({ source: 'total', kind: numeric({ precision: 12, scale: 2 }) }) total!: string;
  @Column({ source: 'open', kind: flag({ true: ['Y'], false: ['N'] }) }) open!: string;
  @Column({ source: 'day', kind: isoDate() }) day!: string;
  @Column({ source: 'at', kind: timestamptz() }) at!: string;
  @Column({ source: 'more', kind: jsonb() }) more!: string;
}

const DATASET = { name: 'mixed', contract: Mixed };

describe('types of columns', () => {
  let server: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    server = await startTestDatabase();
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(`
      CREATE DOMAIN price AS integer;
      CREATE TABLE mixed (name text, pieces integer, total numeric(12,2), open boolean, day date, at timestamptz, more jsonb)`);
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
  });

  async function check(alter = ''): Promise<void> {
    await client.query('BEGIN');
    try {
      await client.query(alter);
      await checkColumnTypes(client, DATASET);
      // The transaction continues.
      await client.query('SELECT 1');
    } finally {
      await client.query('ROLLBACK');
    }
  }

  it.each([
    ['as the dataset made them', 'SELECT 1'],
    [
      'wider ones',
      'ALTER TABLE mixed ALTER pieces TYPE bigint, ALTER total TYPE numeric, ALTER more TYPE json USING more::json',
    ],
    [
      'text',
      'ALTER TABLE mixed ALTER pieces TYPE text, ALTER total TYPE varchar(20), ALTER at TYPE text, ALTER more TYPE text',
    ],
    ['a type of the user’s own, which may take anything', 'ALTER TABLE mixed ALTER total TYPE price'],
    ['another one for a text, which its rules may fit', 'ALTER TABLE mixed ALTER name TYPE uuid USING NULL'],
  ])('may be %s', async (_, alter) => {
    await check(alter);
  });

  it.each([
    ['total', 'integer', 'numeric, e.g. 12.5'],
    ['total', 'numeric(12,1)', 'numeric, e.g. 0.01'],
    ['pieces', 'date', 'int64, e.g. 7'],
    ['open', 'integer', 'flag, e.g. true'],
    ['day', 'integer', 'isoDate, e.g. 2026-09-01'],
    ['at', 'integer', 'timestamptz, e.g. 2026-09-01T08:30:00Z'],
    ['more', 'integer', 'jsonb, e.g. {"a":1}'],
  ])('that refuse what the contract stores are named once: %s %s', async (column, type, words) => {
    await expect(check(`ALTER TABLE mixed DROP ${column}, ADD ${column} ${type}`)).rejects.toMatchObject({
      code: 'TARGET_DOES_NOT_FIT',
      message: expect.stringContaining(
        `column ${column} of mixed is ${type}, and the dataset stores ${words}`,
      ),
    });
  });
});
