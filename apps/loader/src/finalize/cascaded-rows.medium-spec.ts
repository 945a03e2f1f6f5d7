import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { TablePlan } from '#core/staging/table-plan.js';
import { eventually } from '#test/support/eventually.js';
import { finalizeJob, SHOPS, takeOver, untilRow } from '#test/support/finalizing.js';
import { SHOP_PLAN, StagedJobs } from '#test/support/staged-job.js';

/** Tables that are being made for a swap have the target's foreign keys already, and what those do to their rows. */
describe('rows that go from staging with rows of other tables', () => {
  let jobs: StagedJobs;
  let id: string;
  const untilWaiting = (table: string): Promise<void> =>
    untilRow(
      jobs.pool,
      `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND relation = $1::regclass
         AND datname = current_database() AND application_name LIKE 'sluice-finalize:%'`,
      [table],
    );

  beforeAll(async () => {
    jobs = await StagedJobs.start(`
      CREATE TABLE public.city (name text PRIMARY KEY);
      CREATE TABLE public.shop (
        number varchar(8) PRIMARY KEY, name text NOT NULL, city text NOT NULL REFERENCES public.city ON DELETE CASCADE
      );
      CREATE TABLE public.sale (shop_number varchar(8) NOT NULL REFERENCES public.shop ON DELETE CASCADE, item text)`);
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.pool.query(`
      DELETE FROM sluice.job; TRUNCATE public.city CASCADE;
      INSERT INTO public.city VALUES ('Taipei'), ('Tainan');
      INSERT INTO public.shop VALUES ('7', 'old', 'Taipei')`);
    id = await jobs.loaded([
      [
        { number: '1', name: 'stays', city: 'Taipei', items: ['x'] },
        { number: '2', name: 'goes', city: 'Tainan', items: ['x', 'y'] },
      ],
    ]);
  });

  it('fail the job in words of their own when they are gone before rows are counted', async () => {
    // The targets have been inspected when the finalizer waits here; it needs them again when it counts their rows.
    const [gate, holder] = [await jobs.session(), await jobs.session()];
    const staged = `sluice_staging."${id.replaceAll('-', '')}_shop"`;
    await gate.query(`BEGIN; LOCK TABLE ${staged} IN ACCESS SHARE MODE`);
    const outcome = finalizeJob(jobs).catch((error: unknown) => error);
    await untilWaiting(staged);
    await holder.query('BEGIN; LOCK TABLE public.shop IN ACCESS EXCLUSIVE MODE');
    await gate.query('COMMIT');
    await gate.end();
    await untilWaiting('public.shop');
    await holder.query(`DELETE FROM public.city WHERE name = 'Tainan'; COMMIT`);
    await holder.end();
    expect(await outcome).toMatchObject({
      code: 'ROWS_CASCADED',
      message:
        'Rows of the new tables were deleted (foreign key shop_city_fkey, which refers to public.city): ' +
        'rows of shop: 1 staged and 0 refused, of 2 loaded; rows of sale: 1 staged and 0 refused, of 3 loaded.',
    });
    expect(await jobs.shops()).toEqual(['7 old']);
  });

  it('fail it when they are gone between counting and the swap', async () => {
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.sale');
    let isWaiting = false;
    const outcome = finalizeJob(jobs, {
      config: { swapLockTimeoutMs: 50, snapshotWaitMs: 1 },
      onStep: (step, detail) => {
        isWaiting ||= step === 'swap' && detail !== undefined;
      },
    }).catch((error: unknown) => error);
    await eventually(() => isWaiting, 'a swap that waits for the reader');
    await jobs.pool.query(`DELETE FROM public.city WHERE name = 'Tainan'`);
    await reader.query('COMMIT');
    await reader.end();
    expect(await outcome).toMatchObject({
      code: 'ROWS_CASCADED',
      message: expect.stringContaining('rows of public.shop: 1 of 2'),
    });
    expect(await jobs.shops()).toEqual(['7 old']);
  });
});

/** Labels stand below sales, and those below shops; shops refer to a city, and sales to an item of others. */
describe('rows of three levels that go from staging', () => {
  const LABEL_PLAN: TablePlan = {
    schema: 'public',
    table: 'label',
    columns: ['shop_number', 'item', 'label'],
    key: [],
    version: null,
    sources: {},
    parent: { table: 'sale', columns: { shop_number: 'shop_number', item: 'item' } },
  };
  const dataset = { ...SHOPS, tables: [...SHOP_PLAN, LABEL_PLAN] };
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start(`
      CREATE TABLE public.city (name text PRIMARY KEY);
      CREATE TABLE public.item (name text PRIMARY KEY);
      CREATE TABLE public.shop (
        number varchar(8) PRIMARY KEY, name text NOT NULL, city text NOT NULL REFERENCES public.city ON DELETE CASCADE
      );
      CREATE TABLE public.sale (
        shop_number varchar(8) NOT NULL REFERENCES public.shop ON DELETE CASCADE,
        item text NOT NULL REFERENCES public.item ON DELETE CASCADE, PRIMARY KEY (shop_number, item)
      );
      CREATE TABLE public.label (
        shop_number varchar(8) NOT NULL, item text NOT NULL, label text,
        FOREIGN KEY (shop_number, item) REFERENCES public.sale ON DELETE CASCADE
      )`);
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.pool.query(`
      DELETE FROM sluice.job; TRUNCATE public.city, public.item CASCADE;
      INSERT INTO public.city VALUES ('Taipei'), ('Tainan'); INSERT INTO public.item VALUES ('x'), ('y');
      INSERT INTO public.shop VALUES ('7', 'old', 'Taipei')`);
    const rows = (number: string, city: string, items: readonly string[]): string[][][] => [
      [[number, 'new', city]],
      items.map((item) => [number, item]),
      items.flatMap((item) => ['a', 'b'].map((label) => [number, item, label])),
    ];
    const records = [rows('1', 'Taipei', ['x']), rows('2', 'Tainan', ['x', 'y'])];
    await jobs.loadedRows([records], {}, dataset.tables);
  });

  it.each([
    [
      'with the record',
      `DELETE FROM public.city WHERE name = 'Tainan'`,
      [
        'rows of shop: 1 staged',
        'rows of sale: 1 staged',
        'rows of label: 2 staged and 0 refused, of 6 loaded',
      ],
      'rows of public.shop: 1 of 2',
    ],
    [
      'with a row of the middle',
      `DELETE FROM public.item WHERE name = 'y'`,
      ['(foreign key', 'rows of sale: 2 staged', 'rows of label: 4 staged and 0 refused, of 6 loaded'],
      'rows of public.sale: 2 of 3',
    ],
  ])(
    'fail the job %s, before rows are counted and between counting and the swap',
    async (_, remove, before, between) => {
      const reader = await jobs.session();
      await reader.query('BEGIN; SELECT FROM public.label');
      let isWaiting = false;
      const outcome = finalizeJob(jobs, {
        dataset,
        config: { swapLockTimeoutMs: 50, snapshotWaitMs: 1 },
        onStep: (step, detail) => {
          isWaiting ||= step === 'swap' && detail !== undefined;
        },
      }).catch((error: unknown) => error);
      await eventually(() => isWaiting, 'a swap that waits for the reader');
      await jobs.pool.query(remove);
      await reader.query('COMMIT');
      await reader.end();
      expect(await outcome).toMatchObject({
        code: 'ROWS_CASCADED',
        message: expect.stringContaining(between),
      });
      const job = await takeOver(jobs);
      const second = await finalizeJob(jobs, { dataset, job }).catch((error: unknown) => error);
      expect(second).toMatchObject({ code: 'ROWS_CASCADED' });
      for (const words of before) expect(second).toMatchObject({ message: expect.stringContaining(words) });
      expect((await jobs.pool.query('SELECT number, name FROM public.shop')).rows).toEqual([
        { number: '7', name: 'old' },
      ]);
    },
  );
});
