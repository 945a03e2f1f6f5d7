import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { MERGE_WAITS, SHOPS, finalizeJob, untilRow } from '#test/support/finalizing.js';
import { SHOP_PLAN, StagedJobs } from '#test/support/staged-job.js';

/** Other sessions write to the same rows while a merge is under way: what moved since it was judged is judged again. */
describe('a merge beside other writers', () => {
  let jobs: StagedJobs;
  let writer: pg.Client;
  const [shop, sale] = SHOP_PLAN;
  const dataset = { ...SHOPS, tables: [{ ...shop!, version: 'city' }, sale!] };

  beforeAll(async () => {
    jobs = await StagedJobs.start(`
      CREATE TABLE public.shop (number varchar(8) PRIMARY KEY, name text, city text);
      CREATE TABLE public.sale (
        shop_number varchar(8) NOT NULL REFERENCES public.shop ON DELETE CASCADE, item text NOT NULL,
        PRIMARY KEY (shop_number, item)
      )`);
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
    await jobs.pool.query(`
      INSERT INTO public.shop VALUES ('1', 'one', 'v1'), ('2', 'two', 'v1');
      INSERT INTO public.sale VALUES ('1', 'x'), ('2', 'x')`);
    writer = await jobs.session('writer');
  });

  /**
   * Shop 2 is held while the merge, which has judged everything, waits to lock it; `meanwhile` is committed by another
   * session, and shop 2 is let go.
   */
  async function race(
    records: { number: string; name: string; city: string; items?: string[] }[],
    meanwhile: string,
    mode: 'append' | 'upsert' = 'upsert',
    hold = `UPDATE public.shop SET name = name WHERE number = '2'`,
  ): Promise<unknown> {
    const id = await jobs.loaded([records], { mode });
    await writer.query(`BEGIN; ${hold}`);
    const merging = finalizeJob(jobs, { dataset });
    await untilRow(jobs.pool, MERGE_WAITS);
    await jobs.pool.query(meanwhile);
    await writer.query('COMMIT');
    await writer.end();
    await merging;
    return (await jobs.end(id)).counts;
  }

  /**
   * Finalizes while other sessions commit between two statements of the merge: each act comes before the statement that
   * holds its words, as often as it says.
   */
  async function between(acts: { before: RegExp; times?: number; sql: string }[]): Promise<void> {
    const left = acts.map(({ times = 1 }) => times);
    const prototype = pg.Client.prototype as unknown as { query: (...args: unknown[]) => Promise<unknown> };
    const { query } = prototype;
    prototype.query = function (this: pg.Client, ...args: unknown[]): Promise<unknown> {
      const at = acts.findIndex(
        ({ before }, index) => (left[index] ?? 0) > 0 && typeof args[0] === 'string' && before.test(args[0]),
      );
      if (at < 0) return query.apply(this, args);
      left[at]! -= 1;
      return jobs.pool.query(acts[at]!.sql).then(() => query.apply(this, args));
    };
    try {
      await finalizeJob(jobs, { dataset });
    } finally {
      prototype.query = query;
    }
    expect(left).toEqual(acts.map(() => 0));
  }

  const SHOP_1 = { number: '1', name: 'one', city: 'v1', items: ['x'] };
  const SHOP_2 = { number: '2', name: 'changed', city: 'v1', items: ['x'] };

  it.each([
    ['moves', `UPDATE public.shop SET name = name WHERE number = '2'`, { updated: 1, superseded: 1 }],
    // Nothing is judged again: that is as if we had come before the writer who made shop 1 newer.
    ['stays', `SELECT FROM public.shop WHERE number = '2' FOR UPDATE`, { updated: 1, unchanged: 1 }],
  ])(
    'a row found unchanged stays, with its children, as another session leaves it meanwhile (the row that is waited for %s)',
    async (_what, hold, counts) => {
      const found = await race(
        [SHOP_1, SHOP_2],
        `UPDATE public.shop SET name = 'newer', city = 'v2' WHERE number = '1';
         DELETE FROM public.sale WHERE shop_number = '1'; INSERT INTO public.sale VALUES ('1', 'n')`,
        'upsert',
        hold,
      );
      expect(found).toMatchObject(counts);
      expect(await jobs.shops()).toEqual(['1 newer n', '2 changed x']);
    },
  );

  it('a row that is deleted meanwhile is inserted, and counted as that', async () => {
    const counts = await race(
      [{ number: '3', name: 'three', city: 'v1', items: ['a'] }, { ...SHOP_1, items: ['x', 'y'] }, SHOP_2],
      'SELECT 1',
      'upsert',
      `DELETE FROM public.shop WHERE number = '1'`,
    );
    expect(counts).toMatchObject({ inserted: 2, updated: 1, unchanged: 0, superseded: 0 });
    expect(await jobs.shops()).toEqual(['1 one x+y', '2 changed x', '3 three a']);
  });

  it.each([
    ['append', { inserted: 1, superseded: 1 }, ['1 one x', '2 two x', '3 theirs', '4 four b']],
    ['upsert', { inserted: 1, updated: 1 }, ['1 one x', '2 two x', '3 three a', '4 four b']],
  ] as const)(
    'a row that is inserted meanwhile is judged as one that is there (%s)',
    async (mode, counts, after) => {
      const found = await race(
        [
          { number: '3', name: 'three', city: 'v1', items: ['a'] },
          { number: '4', name: 'four', city: 'v1', items: ['b'] },
        ],
        'SELECT 1',
        mode,
        `INSERT INTO public.shop VALUES ('3', 'theirs', 'v1')`,
      );
      expect(found).toMatchObject(counts);
      expect(await jobs.shops()).toEqual(after);
    },
  );

  it('a row that is made newer meanwhile is not overwritten, and its children are left (MJ5)', async () => {
    const counts = await race(
      [SHOP_1, { ...SHOP_2, items: ['y'] }],
      'SELECT 1',
      'upsert',
      `UPDATE public.shop SET name = 'newest', city = 'v2' WHERE number = '2'`,
    );
    expect(counts).toMatchObject({ unchanged: 1, superseded: 1 });
    expect(await jobs.shops()).toEqual(['1 one x', '2 newest x']);
  });

  it('a row that comes and goes while a record is judged takes none of its children with it (MJ3)', async () => {
    const record = { number: '3', name: 'three', city: 'v1', items: ['a', 'b'] };
    const id = await jobs.loaded([[record]], { mode: 'upsert' });
    await between([
      {
        before: /CREATE TEMP TABLE children_1/,
        sql: `INSERT INTO public.shop VALUES ('3', 'theirs', 'v1'); INSERT INTO public.sale VALUES ('3', 'a')`,
      },
      { before: /INSERT INTO public\."shop"/, sql: `DELETE FROM public.shop WHERE number = '3'` },
    ]);
    expect((await jobs.end(id)).counts).toMatchObject({ inserted: 1, updated: 0 });
    expect(await jobs.shops()).toEqual(['1 one x', '2 two x', '3 three a+b']);
  });

  it('a row that is gone when its record is written is no fault of the record, however often (MW5)', async () => {
    const id = await jobs.loaded([[{ ...SHOP_1, name: 'changed', items: ['x', 'y'] }]], { mode: 'upsert' });
    await between([
      {
        before: /CREATE TEMP TABLE arriving/,
        times: 2,
        sql: `INSERT INTO public.shop VALUES ('1', 'theirs', 'v1') ON CONFLICT DO NOTHING`,
      },
      {
        before: /UPDATE public\."shop"/,
        times: 2,
        // Once the merge holds the row, it stays.
        sql: `DO $$ BEGIN
          PERFORM FROM public.shop WHERE number = '1' FOR UPDATE NOWAIT;
          DELETE FROM public.shop WHERE number = '1';
        EXCEPTION WHEN lock_not_available THEN NULL; END $$`,
      },
    ]);
    expect((await jobs.end(id)).counts).toMatchObject({ updated: 1, refused: 0 });
    expect(await jobs.shops()).toEqual(['1 changed x+y', '2 two x']);
  });

  it('a child that is removed meanwhile is judged again, and put back', async () => {
    const counts = await race(
      [{ ...SHOP_1, items: ['z'] }, SHOP_2],
      'SELECT 1',
      'upsert',
      `DELETE FROM public.sale WHERE shop_number = '1' AND item = 'x'`,
    );
    expect(counts).toMatchObject({ updated: 2 });
    expect(await jobs.shops()).toEqual(['1 one z', '2 changed x']);
  });

  it.each(['append', 'upsert'] as const)(
    'a row of another table that is deleted meanwhile refuses the record that refers to it, and no other (%s)',
    async (mode) => {
      await jobs.pool.query(`
        CREATE TABLE public.version (name text PRIMARY KEY);
        INSERT INTO public.version VALUES ('v1'), ('v2');
        ALTER TABLE public.shop ADD CONSTRAINT shop_version FOREIGN KEY (city) REFERENCES public.version`);
      try {
        const id = await jobs.loaded(
          [
            [
              { number: '3', name: 'three', city: 'v2', items: ['a'] },
              { number: '4', name: 'four', city: 'v1', items: ['b'] },
            ],
          ],
          { mode, maxRefusedShare: 1 },
        );
        // It is there when orphans are settled, and gone when the merge has waited for its row.
        await writer.query(`BEGIN; DELETE FROM public.version WHERE name = 'v2'`);
        const merging = finalizeJob(jobs, { dataset });
        await untilRow(jobs.pool, MERGE_WAITS);
        await writer.query('COMMIT');
        await merging;
        expect(await jobs.end(id)).toMatchObject({
          state: 'succeeded',
          counts: { inserted: 1, refusedAtLoad: 1 },
        });
        expect(await jobs.refusals(id)).toMatchObject([{ refusals: [{ record: 0, sqlstate: '23503' }] }]);
        expect(await jobs.shops()).toEqual(['1 one x', '2 two x', '4 four b']);
      } finally {
        await jobs.pool.query('DROP TABLE public.version CASCADE');
      }
    },
  );
});
