import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { inTransaction } from '#common/postgres/pool.js';
import { Column, Table } from '#core/dataset/columns.js';
import { numeric } from '#core/dataset/kinds.js';
import { migrate } from '#core/schema/migrate.js';
import { checkColumnTypes } from '#core/staging/checks/column-types.js';
import { createStaging } from '#core/staging/staging-tables.js';
import { MERGE_WAITS, SHOPS, finalizeJob, untilRow } from '#test/support/finalizing.js';
import { OLDEST_POSTGRES, type TestServer, startPostgresServer } from '#test/support/postgres.js';
import { SHOP_PLAN, type Shop, StagedJobs, deletesOf } from '#test/support/staged-job.js';

@Table({ name: 'shop', key: ['number'] })
class PricedShop {
  @Column({ source: 'number', kind: numeric({ precision: 8, scale: 2 }) }) number!: string;
}

/** What depends on the server: catalogs, settings, statements. All other specs run on the newest version. */
describe('PostgreSQL 15, the oldest that is supported', () => {
  const before = process.env.TEST_DATABASE_URL;
  let server: TestServer;
  let jobs: StagedJobs;

  beforeAll(async () => {
    server = await startPostgresServer(OLDEST_POSTGRES);
    process.env.TEST_DATABASE_URL = server.url;
    jobs = await StagedJobs.start();
  });
  afterAll(async () => {
    await jobs.stop();
    if (before === undefined) delete process.env.TEST_DATABASE_URL;
    else process.env.TEST_DATABASE_URL = before;
    await server.stop();
  });
  beforeEach(() => jobs.reset());

  const shop = (number: string, name: string, ...items: string[]): Shop => ({ number, name, items });

  it('is what runs here, and migrates', async () => {
    const { rows } = await jobs.pool.query<{ server_version: string }>('SHOW server_version');
    expect(rows[0]?.server_version).toMatch(/^15\./);
    expect(await migrate(jobs.url, [])).toEqual([]);
  });

  it.each([
    ['replace', ['1 a x', '2 b y']],
    ['append', ['1 old x', '2 b y', '9 old']],
    ['upsert', ['1 new x', '2 b y', '9 old']],
  ] as const)('%s: loads, settles repeats and orphans, and makes it visible', async (mode, shops) => {
    await jobs.pool.query(
      `INSERT INTO public.shop (number, name) VALUES ('1', 'old'), ('9', 'old');
       INSERT INTO public.sale (shop_number, item) VALUES ('1', 'x')`,
    );
    await jobs.loaded(
      [
        [shop('1', 'a', 'x'), shop('2', 'b', 'y')],
        mode === 'replace'
          ? [shop('1', 'again', 'z'), { ...shop('3', 'c', 'q'), itemsOf: '77' }]
          : [shop('1', 'new', 'x')],
      ],
      { mode, maxRefusedShare: 1 },
    );
    await finalizeJob(jobs);
    expect(await jobs.shops()).toEqual(shops);
  });

  it('replace: ids of a serial column are the snapshot’s, and others’ follow them', async () => {
    await jobs.pool.query('ALTER TABLE public.shop ADD no serial');
    try {
      for (const name of ['a', 'b']) {
        await jobs.loaded([[shop('1', name), shop('2', name)]]);
        await finalizeJob(jobs);
        const inserted = `INSERT INTO public.shop (number, name) VALUES ('3', 'c') RETURNING no`;
        expect((await jobs.pool.query(inserted)).rows).toEqual([{ no: 3 }]);
      }
    } finally {
      await jobs.pool.query('ALTER TABLE public.shop DROP no');
    }
  });

  it('upsert: refuses what a second unique index keeps out, and writes children by it', async () => {
    await jobs.pool.query(
      `INSERT INTO public.shop (number, name) VALUES ('1', 'one'), ('9', 'nine');
       INSERT INTO public.sale (shop_number, item) VALUES ('1', 'x'), ('9', 'q');
       CREATE UNIQUE INDEX other ON public.shop (name) NULLS NOT DISTINCT`,
    );
    try {
      const batch = [shop('1', 'uno', 'x', 'y'), shop('2', 'nine', 'z'), shop('3', 'three', 'z')];
      const id = await jobs.loaded([batch], { mode: 'upsert', maxRefusedShare: 1 });
      await finalizeJob(jobs);
      expect(await jobs.shops()).toEqual(['1 uno x+y', '3 three z', '9 nine q']);
      expect((await jobs.refusals(id))[0]?.refusals).toMatchObject([{ record: 1, sqlstate: '23505' }]);
      expect((await jobs.end(id)).counts).toMatchObject({ inserted: 1, updated: 1, refusedAtLoad: 1 });
    } finally {
      await jobs.pool.query('DROP INDEX public.other');
    }
  });

  // PostgreSQL before 15.15, 16.11, 17.7 and 18.1 does not compare the place again after it has waited; xmin does it for them.
  it('upsert: skips a row that another session has made newer while the UPDATE waited for it (MW4)', async () => {
    const [main, child] = SHOP_PLAN;
    const dataset = { ...SHOPS, tables: [{ ...main!, version: 'city' }, child!] };
    await jobs.pool.query(`INSERT INTO public.shop (number, name, city) VALUES ('1', 'one', 'v1')`);
    const id = await jobs.loaded([[{ ...shop('1', 'ours'), city: 'v1' }]], { mode: 'upsert' });
    const writer = await jobs.session('writer');
    await writer.query(`BEGIN; UPDATE public.shop SET name = 'theirs', city = 'v2'`);
    const merging = finalizeJob(jobs, { dataset });
    await untilRow(jobs.pool, MERGE_WAITS);
    await writer.query('COMMIT');
    await writer.end();
    await merging;
    expect(await jobs.shops()).toEqual(['1 theirs']);
    expect((await jobs.end(id)).counts).toMatchObject({ updated: 0, superseded: 1 });
  });

  it('upsert: deletes rows, among records of their keys', async () => {
    const [main, child] = SHOP_PLAN;
    const tables = [{ ...main!, version: 'city' }, child!];
    await jobs.pool.query(`
      INSERT INTO public.shop (number, name, city) VALUES ('1', 'one', 'v2'), ('2', 'two', 'v2');
      INSERT INTO public.sale (shop_number, item) VALUES ('1', 'x'), ('2', 'x')`);
    const again = { number: '2', name: 'again', city: 'v1' };
    const records = [{ deletes: ['1', 'v2'] }, { deletes: ['2', String.raw`\N`] }, again];
    const id = await jobs.loaded([records], { mode: 'upsert', takesDeletes: true }, tables);
    await finalizeJob(jobs, { dataset: { ...SHOPS, tables, deletes: deletesOf(tables) } });
    expect(await jobs.shops()).toEqual(['2 again']);
    expect((await jobs.end(id)).counts).toMatchObject({ deleted: 1, updated: 1, superseded: 1 });
  });

  it.each([
    ['ALTER TABLE public.shop ADD tenant int NOT NULL', 'TARGET_DOES_NOT_FIT'],
    [
      `CREATE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
       CREATE TRIGGER slug BEFORE INSERT ON public.shop FOR EACH ROW EXECUTE FUNCTION public.noop()`,
      'TARGET_HAS_TRIGGERS',
    ],
    ['CREATE PUBLICATION dbz FOR TABLES IN SCHEMA sluice_staging', 'TARGET_PUBLISHED'],
  ])('says at a job’s start what would stop it at its end: %s', async (alter, code) => {
    const start = inTransaction(jobs.pool, async (client) => {
      await client.query(alter);
      await createStaging(client, SHOP_PLAN, { id: '0199d1a2-7b3c-7def-8123-456789abcdef', mode: 'replace' });
    });
    await expect(start).rejects.toMatchObject({ code });
  });

  it('types of columns are compared with the contract’s', async () => {
    const check = inTransaction(jobs.pool, async (client) => {
      await client.query('ALTER TABLE public.sale DROP CONSTRAINT sale_shop_number_fkey');
      await client.query(
        'ALTER TABLE public.shop DROP CONSTRAINT shop_number_check, ALTER number TYPE integer USING number::integer',
      );
      await checkColumnTypes(client, { name: 'shops', contract: PricedShop });
    });
    await expect(check).rejects.toMatchObject({ code: 'TARGET_DOES_NOT_FIT' });
  });
});
