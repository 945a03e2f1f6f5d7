import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { StagedJobs } from '#test/support/staged-job.js';
import type { WriteMode } from '../dataset/dataset.js';
import { ChildTable, Children, Column, FromParent, Table } from '../dataset/columns.js';
import { isoDate } from '../dataset/kinds.js';
import { planTables } from '../record/compile-contract.js';
import { checkColumnTypes } from './checks/column-types.js';
import { createStaging } from './staging-tables.js';

const JOB = '0199d1a2-7b3c-7def-8123-456789abcdef';
const STARTER = 'sluice_test_schema_starter';

@ChildTable({ name: 'tax' })
class Tax {
  @FromParent('id', { target: 'item_id' }) item!: string;
  @Column({ source: 'rate' }) rate!: string;
}
@ChildTable({ name: 'item' })
class Item {
  @FromParent('no', { target: 'order_no' }) order!: string;
  @Column({ source: 'id' }) id!: string;
  @Column({ source: 'day', kind: isoDate() }) day!: string;
  @Children(() => Tax, { path: 'taxes' }) taxes!: Tax[];
}
@Table({ name: 'order', schema: 'My crm', key: ['no'] })
class Order {
  @Column({ source: 'no' }) no!: string;
  @Children(() => Item, { path: 'items' }) items!: Item[];
}
const DATASET = { name: 'orders', contract: Order };
const PLAN = planTables(DATASET);

/** Tables of the same names stand in `public`, and are none of the dataset's. */
const TABLES = ['public', '"My crm"']
  .map(
    (schema) => `
    CREATE TABLE ${schema}."order" (no text PRIMARY KEY);
    CREATE TABLE ${schema}.item (order_no text NOT NULL, id text NOT NULL, day date);
    CREATE TABLE ${schema}.tax (item_id text NOT NULL, rate text);`,
  )
  .join('');

describe('a dataset with a schema of its own', () => {
  let jobs: StagedJobs;
  let starter: pg.Pool;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    await jobs.pool.query(`CREATE ROLE ${STARTER} LOGIN PASSWORD 'secret'`);
    const url = new URL(jobs.url);
    url.username = STARTER;
    url.password = 'secret';
    starter = createPool({ url: url.href, applicationName: 'sluice-test', maxConnections: 1 });
  });
  afterAll(async () => {
    await starter.end();
    await jobs.pool.query(`DROP OWNED BY ${STARTER}; DROP ROLE ${STARTER}`);
    await jobs.stop();
  });
  beforeEach(() =>
    jobs.pool.query(`
      DROP SCHEMA IF EXISTS "My crm" CASCADE; DROP TABLE IF EXISTS public."order", public.item, public.tax;
      CREATE SCHEMA "My crm"; ${TABLES}
      CREATE UNIQUE INDEX item_id ON "My crm".item (id);
      GRANT USAGE, CREATE ON SCHEMA sluice_staging TO ${STARTER};
      GRANT USAGE ON SCHEMA sluice TO ${STARTER};
      GRANT SELECT ON ALL TABLES IN SCHEMA sluice TO ${STARTER}`),
  );

  const start = (mode: WriteMode, pool = jobs.pool): Promise<void> =>
    inTransaction(pool, async (client) => {
      await createStaging(client, PLAN, { id: JOB, mode });
      await checkColumnTypes(client, DATASET);
      throw new Error('nothing stands in the way');
    });

  it.each(['replace', 'append', 'upsert'] as const)('begins a job: %s', async (mode) => {
    await expect(start(mode)).rejects.toThrow('nothing stands in the way');
  });

  it('says that the schema is missing, and that tables are', async () => {
    await jobs.pool.query('DROP TABLE "My crm".tax');
    await expect(start('append')).rejects.toMatchObject({
      code: 'TARGET_MISSING',
      message: 'There is no table My crm.tax.',
    });
    await jobs.pool.query('DROP SCHEMA "My crm" CASCADE');
    await expect(start('append')).rejects.toMatchObject({
      code: 'TARGET_MISSING',
      message: expect.stringMatching(
        /^There is no schema My crm, and so no table My crm.order, .*sluice migrate/,
      ),
    });
  });

  it.each<[what: string, change: string, mode: WriteMode, code: string, words: string]>([
    [
      'a column that is missing',
      'ALTER TABLE "My crm".item DROP id',
      'append',
      'TARGET_MISSING',
      'Table "My crm"."item" has no column id',
    ],
    [
      'a column that nothing fills',
      'ALTER TABLE "My crm".tax ADD tenant int NOT NULL',
      'append',
      'TARGET_DOES_NOT_FIT',
      'column tenant of "My crm".tax is NOT NULL',
    ],
    [
      'a column of another type',
      'ALTER TABLE "My crm".item ALTER day TYPE uuid USING NULL',
      'append',
      'TARGET_DOES_NOT_FIT',
      'column day of item is uuid',
    ],
    [
      'a trigger',
      `CREATE FUNCTION "My crm".noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
       CREATE TRIGGER slug BEFORE INSERT ON "My crm".tax FOR EACH ROW EXECUTE FUNCTION "My crm".noop()`,
      'replace',
      'TARGET_HAS_TRIGGERS',
      'puts new tables into My crm and fires no triggers: trigger slug of "My crm".tax',
    ],
    [
      'a view that a swap cannot keep',
      'CREATE MATERIALIZED VIEW "My crm".rates AS SELECT rate FROM "My crm".tax',
      'replace',
      'TARGET_CANNOT_BE_SWAPPED',
      'depends on "My crm".tax',
    ],
    [
      'rows of a child of a child that nothing assigns to a record',
      'DROP INDEX "My crm".item_id',
      'upsert',
      'TARGET_CANNOT_BE_MERGED',
      'rows of "My crm"."tax" hold neither the key of "My crm"."order" nor columns by which a unique index distinguishes the rows of ' +
        '"My crm"."item": CREATE UNIQUE INDEX ON "My crm"."item" (id)',
    ],
    [
      'a unique index with nulls, which distinguishes none',
      'ALTER TABLE "My crm".item ALTER id DROP NOT NULL',
      'upsert',
      'TARGET_CANNOT_BE_MERGED',
      'rows of "My crm"."tax" hold neither',
    ],
  ])('says at the start that there is %s', async (_, change, mode, code, words) => {
    await jobs.pool.query(change);
    await expect(start(mode)).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  });

  it('appends, and replaces, what no merge could find again', async () => {
    await jobs.pool.query('DROP INDEX "My crm".item_id');
    await expect(start('append')).rejects.toThrow('nothing stands in the way');
    await expect(start('replace')).rejects.toThrow('nothing stands in the way');
  });

  it('names the rights that are missing, of the schema and of its tables, until they are given', async () => {
    const missing: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const error: unknown = await start('append', starter).catch((thrown: unknown) => thrown);
      const { code, message } = error as { code?: string; message: string };
      if (code !== 'TARGET_FORBIDDEN') {
        expect(message).toBe('nothing stands in the way');
        break;
      }
      const statements = message
        .replace(/^Rights are missing: /, '')
        .replace(/\.$/, '')
        .split('; ');
      missing.push(...statements);
      await jobs.pool.query(statements.join(';'));
    }
    expect(missing).toEqual([
      `GRANT USAGE ON SCHEMA "My crm" TO ${STARTER}`,
      `GRANT SELECT, INSERT ON "My crm"."order" TO ${STARTER}`,
      `GRANT SELECT, INSERT ON "My crm".item TO ${STARTER}`,
      `GRANT SELECT, INSERT ON "My crm".tax TO ${STARTER}`,
    ]);
  });

  it('is published by a statement that names it', async () => {
    await jobs.pool.query('CREATE PUBLICATION dbz FOR ALL TABLES');
    await expect(start('append')).rejects.toMatchObject({
      code: 'TARGET_PUBLISHED',
      message: expect.stringContaining('CREATE PUBLICATION dbz FOR TABLES IN SCHEMA "My crm"'),
    });
    await jobs.pool.query('DROP PUBLICATION dbz');
  });
});
