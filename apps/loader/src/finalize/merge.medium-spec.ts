import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { WriteMode } from '#core/dataset/dataset.js';
import { finalizeJob } from '../../../../test/support/finalizing.js';
import { type Shop, StagedJobs } from '../../../../test/support/staged-job.js';
import type { JobCounts } from '#core/job/job.entity.js';

describe('merging', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
    await jobs.pool.query(`
      INSERT INTO public.shop (number, name) VALUES ('1', 'old'), ('9', 'other');
      INSERT INTO public.sale (shop_number, item) VALUES ('1', 'x'), ('1', 'y'), ('9', 'q')`);
  });

  /** Runs dry first: it has to foresee what then happens, and touch nothing. */
  async function merge(mode: WriteMode, batches: Shop[][]): Promise<Partial<JobCounts>> {
    const present = await jobs.shops();
    const foreseen = await jobs.loaded(batches, { mode, dryRun: true, maxRefusedShare: 1 });
    await finalizeJob(jobs);
    expect(await jobs.shops()).toEqual(present);
    const id = await jobs.loaded(batches, { mode, maxRefusedShare: 1 });
    await finalizeJob(jobs);
    const { state, counts } = await jobs.end(id);
    expect(state).toBe('succeeded');
    expect((await jobs.end(foreseen)).counts).toEqual(counts);
    expect(await jobs.stagingTables()).toEqual([]);
    const { loaded, inserted, updated, unchanged, superseded, refusedAtLoad } = counts!;
    return { loaded, inserted, updated, unchanged, superseded, refusedAtLoad };
  }

  describe('by append', () => {
    it('adds what is new with its children, and leaves what is there with its own', async () => {
      expect(
        await merge('append', [
          [{ number: '1', name: 'new', items: ['z'] }],
          [
            { number: '2', name: 'b', items: ['x', 'y'] },
            { number: '3', name: 'c' },
          ],
        ]),
      ).toEqual({ loaded: 2, inserted: 2, updated: 0, unchanged: 0, superseded: 1, refusedAtLoad: 0 });
      expect(await jobs.shops()).toEqual(['1 old x+y', '2 b x+y', '3 c', '9 other q']);
    });

    it('refuses repeats within the job, as with replace', async () => {
      expect(
        await merge('append', [
          [{ number: '2', name: 'b', items: ['x'] }],
          [{ number: '2', name: 'again', items: ['y'] }],
        ]),
      ).toMatchObject({
        inserted: 1,
        superseded: 0,
        refusedAtLoad: 1,
      });
      expect(await jobs.shops()).toEqual(['1 old x+y', '2 b x', '9 other q']);
    });

    it('draws generated numbers from the table, not from staging', async () => {
      await merge('append', [[{ number: '2', name: 'b', items: ['x'] }]]);
      const { rows } = await jobs.pool.query<{ id: string }>('SELECT id FROM public.sale ORDER BY id');
      expect(rows.map(({ id }) => Number(id))).toEqual([1, 2, 3, 4]);
    });

    it('a second run of the same job adds nothing', async () => {
      const batches = [[{ number: '2', name: 'b', items: ['x'] }]];
      await merge('append', batches);
      expect(await merge('append', batches)).toMatchObject({ inserted: 0, superseded: 1 });
    });

    it('may refer to rows that are there already', async () => {
      expect(await merge('append', [[{ number: '2', name: 'b', items: ['z'], itemsOf: '9' }]])).toMatchObject(
        { inserted: 1 },
      );
      expect(await jobs.shops()).toEqual(['1 old x+y', '2 b', '9 other q+z']);
    });

    it('fails as a whole, with the constraint, when a child meets a row of somebody else', async () => {
      await jobs.loaded(
        [
          [
            { number: '2', name: 'b' },
            { number: '3', name: 'c', items: ['q'], itemsOf: '9' },
          ],
        ],
        { mode: 'append' },
      );
      await expect(finalizeJob(jobs)).rejects.toMatchObject({
        code: '23505',
        constraint: 'sale_shop_number_item_key',
      });
      expect(await jobs.shops()).toEqual(['1 old x+y', '9 other q']);
    });
  });

  describe('by upsert', () => {
    it('inserts, updates, and finds unchanged; the last record of a key wins, earlier ones are superseded', async () => {
      expect(
        await merge('upsert', [
          [
            { number: '1', name: 'newer', items: ['x'] },
            { number: '2', name: 'b', items: ['x'] },
          ],
          [
            { number: '1', name: 'newest', items: ['y', 'z'] },
            { number: '9', name: 'other', items: ['q'] },
          ],
        ]),
      ).toEqual({ loaded: 3, inserted: 1, updated: 1, unchanged: 1, superseded: 1, refusedAtLoad: 0 });
      expect(await jobs.shops()).toEqual(['1 newest y+z', '2 b x', '9 other q']);
    });

    it('is an update too when only the children differ, and keeps the children that stay', async () => {
      expect(await merge('upsert', [[{ number: '1', name: 'old', items: ['y', 'z'] }]])).toMatchObject({
        updated: 1,
        unchanged: 0,
      });
      const { rows } = await jobs.pool.query<{ id: string; item: string }>(
        `SELECT id, item FROM public.sale WHERE shop_number = '1' ORDER BY item`,
      );
      expect(rows).toEqual([
        { id: '2', item: 'y' },
        { id: '4', item: 'z' },
      ]);
    });

    it('takes the children of a record that has none any more', async () => {
      expect(await merge('upsert', [[{ number: '1', name: 'old' }]])).toMatchObject({ updated: 1 });
      expect(await jobs.shops()).toEqual(['1 old', '9 other q']);
    });

    it('a second run of the same job changes nothing, and writes nothing', async () => {
      const batches = [
        [
          { number: '1', name: 'new', items: ['x'] },
          { number: '2', name: 'b' },
        ],
      ];
      await merge('upsert', batches);
      const versions = async (): Promise<unknown> =>
        (await jobs.pool.query('SELECT xmin::text, number FROM public.shop ORDER BY number')).rows;
      const before = await versions();
      expect(await merge('upsert', batches)).toMatchObject({
        inserted: 0,
        updated: 0,
        unchanged: 2,
        superseded: 0,
      });
      expect(await versions()).toEqual(before);
    });
  });

  it('goes into a partitioned table too', async () => {
    const partitioned = await StagedJobs.start(`
      CREATE TABLE public.shop (number varchar(8) PRIMARY KEY, name text NOT NULL, city text) PARTITION BY HASH (number);
      CREATE TABLE public.shop_0 PARTITION OF public.shop FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE public.shop_1 PARTITION OF public.shop FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE public.sale (shop_number varchar(8) REFERENCES public.shop, item text);
      INSERT INTO public.shop VALUES ('1', 'old')`);
    try {
      for (const mode of ['append', 'upsert'] as const) {
        const batch = [
          { number: '1', name: 'new' },
          { number: '2', name: mode, items: ['x'] },
        ];
        await partitioned.loaded([batch], { mode });
        await finalizeJob(partitioned);
        expect(await partitioned.shops()).toEqual(
          mode === 'append' ? ['1 old', '2 append x'] : ['1 new', '2 upsert x'],
        );
      }
    } finally {
      await partitioned.stop();
    }
  });
});
