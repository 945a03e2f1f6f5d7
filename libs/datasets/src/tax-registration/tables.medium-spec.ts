import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';

/** The tables of README section 7, as PostgreSQL understands them. */

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await startTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(await readFile(new URL('./migrations/001-tables.sql', import.meta.url), 'utf8'));
}, 60_000);

beforeEach(async () => {
  await client.query('TRUNCATE tax_registration, business_industry RESTART IDENTITY');
});

afterAll(async () => {
  await client.end();
  await database.stop();
});

async function insert(values: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const row = { ban: '10000009', business_name: 'n', ...values };
  const places = Object.keys(row).map((_, i) => `$${i + 1}`);
  await client.query(
    `INSERT INTO tax_registration (${Object.keys(row).join()}) VALUES (${places.join()})`,
    Object.values(row),
  );
}

async function insertIndustry(code: string, order: number, ban = '10000009'): Promise<void> {
  await client.query(
    `INSERT INTO business_industry (business_id, industry_code, industry_name, "order") VALUES ($1, $2, '', $3)`,
    [ban, code, order],
  );
}

describe('tables', () => {
  it('have the indexes of README section 7, and no others', async () => {
    const { rows } = await client.query<{ definition: string }>(
      `SELECT tablename || ' ' || regexp_replace(indexdef, '^CREATE (UNIQUE )?INDEX .* USING', '\\1') AS definition
       FROM pg_indexes WHERE schemaname = 'public'`,
    );
    expect(rows.map(({ definition }) => definition.replace(/ {2,}/, ' ')).sort()).toEqual([
      'business_industry UNIQUE btree (business_id, industry_code)',
      'business_industry UNIQUE btree (id)',
      'business_industry btree (industry_code, business_id)',
      'tax_registration UNIQUE btree (ban)',
      'tax_registration btree (business_name)',
      'tax_registration btree (business_type)',
      'tax_registration btree (capital_amount)',
      'tax_registration btree (created_at)',
      'tax_registration btree (headquarters_ban)',
    ]);
  });

  it('fill in what is not given', async () => {
    await insert();
    const { rows } = await client.query('SELECT * FROM tax_registration');
    expect(rows).toEqual([
      {
        ban: '10000009',
        headquarters_ban: null,
        business_name: 'n',
        business_address: '',
        capital_amount: '0',
        business_setup_date: '',
        setup_date: null,
        business_type: '',
        is_use_invoice: false,
        data_source_date: null,
        created_at: expect.any(Date),
        updated_at: expect.any(Date),
      },
    ]);
  });

  it.each([
    ['a number of seven digits', { ban: '1000000' }, '23514'],
    ['a number in full-width digits', { ban: '１００００００９' }, '23514'],
    ['a head office of ASCII letters', { headquarters_ban: 'abcdefgh' }, '23514'],
    ['a negative capital', { capital_amount: -1 }, '23514'],
    ['no name', { business_name: null }, '23502'],
    ['a name of 256 characters', { business_name: '長'.repeat(256) }, '22001'],
  ])('refuse %s', async (_, values, code) => {
    await expect(insert(values)).rejects.toMatchObject({ code });
  });

  it('take a head office that is not there, and 255 characters of four bytes', async () => {
    await insert({
      headquarters_ban: '24567899',
      business_name: '𠮷'.repeat(255),
      capital_amount: '9223372036854775807',
    });
  });

  it('keep an industry once for each number, in slots 1 to 4, and drop it with the number', async () => {
    await insert();
    await insertIndustry('472913', 4);
    await expect(insertIndustry('472913', 1)).rejects.toMatchObject({ code: '23505' });
    await expect(insertIndustry('1', 5)).rejects.toMatchObject({ code: '23514' });
    await expect(insertIndustry('1', 1, '24567899')).rejects.toMatchObject({ code: '23503' });
    await client.query('DELETE FROM tax_registration');
    expect((await client.query('SELECT * FROM business_industry')).rows).toEqual([]);
  });
});
