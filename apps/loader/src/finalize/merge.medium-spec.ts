import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { JobCounts } from '#api/job-facts.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import { eventually } from '#test/support/eventually.js';
import { SHOPS, finalizeJob, takeOver, untilRow } from '#test/support/finalizing.js';
import { type JobOptions, SHOP_PLAN, type Shop, StagedJobs } from '#test/support/staged-job.js';
import type { FinalizedDataset } from './finalizing-job.js';

interface MergeParts {
  readonly on?: StagedJobs;
  readonly into?: FinalizedDataset;
}

const MERGE_WAITS = `datname = current_database() AND application_name LIKE 'sluice-finalize:%' AND wait_event_type = 'Lock'`;

/**
 * Where each row stands and who wrote it: equal when nothing was written, not even the same values again.
 * @param locks false leaves out who has locked it: a transaction that was rolled back leaves that behind
 */
async function versions({ pool }: StagedJobs, locks = true): Promise<unknown> {
  const xmax = locks ? 'xmax::text' : `''`;
  const { rows } = await pool.query(`
    SELECT 'shop' AS table, ctid, xmin::text, ${xmax} AS xmax, shop::text AS row FROM public.shop
    UNION ALL SELECT 'sale', ctid, xmin::text, ${xmax}, sale::text FROM public.sale ORDER BY 1, 2`);
  return rows;
}

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
  async function merge(
    mode: WriteMode,
    batches: Shop[][],
    { on = jobs, into: dataset = SHOPS, ...options }: JobOptions & MergeParts = {},
  ): Promise<Partial<JobCounts>> {
    const present = await versions(on);
    const all = { mode, maxRefusedShare: 1, ...options };
    const foreseen = await on.loaded(batches, { ...all, dryRun: true });
    await finalizeJob(on, { dataset });
    expect(await versions(on)).toEqual(present);
    const id = await on.loaded(batches, all);
    await finalizeJob(on, { dataset });
    const { state, counts } = await on.end(id);
    expect(state).toBe('succeeded');
    expect((await on.end(foreseen)).counts).toEqual(counts);
    expect(await on.stagingTables()).toEqual([]);
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

    it('a second run of the same job supersedes every record, and writes nothing', async () => {
      const batches = [
        [{ number: '2', name: 'b', items: ['x'] }],
        [
          { number: '3', name: 'c', items: ['x', 'y'] },
          { number: '1', name: 'old' },
        ],
      ];
      await merge('append', batches);
      const before = await versions(jobs);
      expect(await merge('append', batches)).toEqual({
        loaded: 0,
        inserted: 0,
        updated: 0,
        unchanged: 0,
        superseded: 3,
        refusedAtLoad: 0,
      });
      expect(await versions(jobs)).toEqual(before);
    });

    it.each([false, true])(
      'fails for keys that are there, if asked to, naming no value (dry run: %s)',
      async (dryRun) => {
        const options = { mode: 'append', existingKeys: 'fail', dryRun } as const;
        await jobs.loaded([[{ number: '2', name: 'b' }], [{ number: '1', name: 'new' }]], options);
        const before = await versions(jobs);
        await expect(finalizeJob(jobs)).rejects.toMatchObject({
          code: 'EXISTING_KEYS',
          message: "1 of the job's records have a key (shopNo) that is in shop already.",
        });
        expect(await versions(jobs)).toEqual(before);
      },
    );

    it('does not fail for new keys, if asked to fail for those that are there', async () => {
      expect(
        await merge('append', [[{ number: '2', name: 'b' }], [{ number: '3', name: 'c' }]], {
          existingKeys: 'fail',
        }),
      ).toMatchObject({ inserted: 2, superseded: 0 });
    });

    it('may refer to rows that are there already', async () => {
      expect(await merge('append', [[{ number: '2', name: 'b', items: ['z'], itemsOf: '9' }]])).toMatchObject(
        { inserted: 1 },
      );
      expect(await jobs.shops()).toEqual(['1 old x+y', '2 b', '9 other q+z']);
    });

    it('refuses the record whose child meets a row of another parent, and adds its neighbours', async () => {
      const id = await jobs.loaded(
        [
          [
            { number: '2', name: 'b' },
            { number: '3', name: 'c', items: ['q'], itemsOf: '9' },
          ],
        ],
        { mode: 'append' },
      );
      await finalizeJob(jobs);
      expect(await jobs.shops()).toEqual(['1 old x+y', '2 b', '9 other q']);
      expect((await jobs.refusals(id))[0]?.refusals).toMatchObject([
        {
          record: 1,
          sqlstate: '23505',
          findings: [
            {
              code: 'REFUSED_BY_DATABASE',
              field: 'shop_number, sales.item',
              message:
                'Another row of sale has this shop_number, sales.item already (unique index sale_shop_number_item_key).',
            },
          ],
        },
      ]);
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

    it('a second run of the same job changes nothing, and writes nothing (MJ3)', async () => {
      const batches = [
        [
          { number: '1', name: 'new', items: ['x', 'z'] },
          { number: '2', name: 'b' },
        ],
        [{ number: '1', name: 'newer', items: ['x'] }],
      ];
      expect(await merge('upsert', batches)).toMatchObject({ inserted: 1, updated: 1, superseded: 1 });
      const before = await versions(jobs);
      expect(await merge('upsert', batches)).toMatchObject({
        inserted: 0,
        updated: 0,
        unchanged: 2,
        superseded: 1,
      });
      expect(await versions(jobs)).toEqual(before);
    });

    it.each([
      ['as numbered', [0, 1, 2, 3]],
      ['backwards', [3, 2, 1, 0]],
      ['shuffled', [2, 0, 3, 1]],
    ])(
      'the last record of a key in the source wins when batches are loaded %s (MJ1)',
      async (_how, loadOrder) => {
        const batches = ['a', 'b', 'c', 'd'].map((name) => [
          { number: '1', name, items: [name] },
          { number: '2', name, items: [name, 'all'] },
        ]);
        expect(await merge('upsert', batches, { loadOrder })).toMatchObject({
          inserted: 1,
          updated: 1,
          superseded: 6,
        });
        expect(await jobs.shops()).toEqual(['1 d d', '2 d all+d', '9 other q']);
      },
    );

    describe('with a version column', () => {
      let versioned: StagedJobs;
      const [shop, sale] = SHOP_PLAN;
      const dataset = { ...SHOPS, tables: [{ ...shop!, version: 'city' }, sale!] };
      const NO_VERSION = '\\N';

      beforeAll(async () => {
        versioned = await StagedJobs.start(`
          CREATE TABLE public.shop (number varchar(8) PRIMARY KEY, name text, city date);
          CREATE TABLE public.sale (shop_number varchar(8), item text)`);
      });
      afterAll(() => versioned.stop());
      beforeEach(async () => {
        await versioned.reset();
        await versioned.pool.query(`
          INSERT INTO public.shop VALUES ('1', 'old', '2026-05-10');
          INSERT INTO public.sale VALUES ('1', 'x')`);
      });

      const upsert = (batches: Shop[][], options: JobOptions = {}): Promise<Partial<JobCounts>> =>
        merge('upsert', batches, { on: versioned, into: dataset, ...options });

      it.each([
        ['an older one', '2026-05-09', 'old', 'superseded'],
        ['none', NO_VERSION, 'old', 'superseded'],
        // As text it would be older.
        ['a newer one', '2026-10-01', 'new', 'updated'],
        ['the same', '2026-05-10', 'new', 'updated'],
      ])(
        'a record that has %s: the present row is kept, with its children, or replaced (MJ2, MJ4)',
        async (_what, city, name, fate) => {
          const before = await versions(versioned);
          expect(await upsert([[{ number: '1', name: 'new', city, items: ['y'] }]])).toMatchObject({
            [fate]: 1,
          });
          if (fate === 'superseded') expect(await versions(versioned)).toEqual(before);
          expect(await versioned.shops()).toEqual([name === 'old' ? '1 old x' : '1 new y']);
        },
      );

      it('a row without a version is overwritten by any record (MJ2)', async () => {
        await versioned.pool.query('UPDATE public.shop SET city = NULL');
        expect(await upsert([[{ number: '1', name: 'a', city: NO_VERSION }]])).toMatchObject({ updated: 1 });
        expect(await upsert([[{ number: '1', name: 'b', city: '1912-01-01' }]])).toMatchObject({
          updated: 1,
        });
        expect(await versioned.shops()).toEqual(['1 b']);
      });

      it('of the records with one key the newest wins, among equals the last in the source, shuffled or not (MJ1)', async () => {
        const of = (number: string, ...cities: [name: string, city: string][]): Shop[] =>
          cities.map(([name, city]) => ({ number, name, city, items: [name] }));
        const batches = [
          of('2', ['a', '2026-01-02'], ['b', '2026-01-03']),
          of('2', ['c', '2026-01-03'], ['d', NO_VERSION]),
          of('3', ['a', NO_VERSION], ['b', NO_VERSION]),
          of('2', ['e', '2026-01-01']),
        ];
        expect(await upsert(batches, { loadOrder: [3, 1, 0, 2] })).toMatchObject({
          inserted: 2,
          superseded: 5,
        });
        expect(await versioned.shops()).toEqual(['1 old x', '2 c c', '3 b b']);
      });

      it('child rows that are all alike are as many as the record has (MJ4)', async () => {
        const twice = [[{ number: '1', name: 'old', city: '2026-05-10', items: ['x', 'x', 'y'] }]];
        expect(await upsert(twice)).toMatchObject({ updated: 1 });
        expect(await versioned.shops()).toEqual(['1 old x+x+y']);
        expect(await upsert(twice)).toMatchObject({ unchanged: 1 });
        expect(
          await upsert([[{ number: '1', name: 'old', city: '2026-05-10', items: ['x'] }]]),
        ).toMatchObject({ updated: 1 });
        expect(await versioned.shops()).toEqual(['1 old x']);
      });

      it('a row that another session makes newer meanwhile is not overwritten (MJ5)', async () => {
        const record = { number: '1', name: 'new', city: '2026-06-01', items: ['y'] };
        const id = await versioned.loaded([[record]], { mode: 'upsert' });
        const writer = await versioned.session('writer');
        await writer.query(`BEGIN; UPDATE public.shop SET name = 'newest', city = '2026-07-01'`);
        const merging = finalizeJob(versioned, { dataset });
        await untilRow(versioned.pool, `SELECT FROM pg_stat_activity WHERE ${MERGE_WAITS}`);
        await writer.query('COMMIT');
        await writer.end();
        await merging;
        expect(await versioned.shops()).toEqual(['1 newest x']);
        expect((await versioned.end(id)).counts).toMatchObject({ updated: 0, superseded: 1 });
      });
    });
  });

  describe.each(['append', 'upsert'] as const)('whole or not at all, by %s:', (mode) => {
    const batches = [
      [{ number: '2', name: 'b', items: ['x'] }],
      [
        { number: '3', name: 'c', items: ['y'] },
        { number: '9', name: 'other', items: ['q', 'r'] },
      ],
    ];
    const after =
      mode === 'append'
        ? ['1 old x+y', '2 b x', '3 c y', '9 other q']
        : ['1 old x+y', '2 b x', '3 c y', '9 other q+r'];

    let details: string[];

    /** The main table is merged, and the child table cannot be: another session holds it. */
    async function inTheMiddle(): Promise<{ id: string; merging: Promise<unknown>; blocker: pg.Client }> {
      const id = await jobs.loaded(batches, { mode });
      const blocker = await jobs.session('blocker');
      await blocker.query('BEGIN; LOCK TABLE public.sale IN SHARE MODE');
      details = [];
      const onStep = (_step: string, detail?: string): unknown =>
        detail !== undefined && details.push(detail);
      const merging = finalizeJob(jobs, { onStep }).then(
        () => 'done',
        (error: unknown) => error,
      );
      await untilRow(jobs.pool, `SELECT FROM pg_stat_activity WHERE ${MERGE_WAITS}`);
      return { id, merging, blocker };
    }

    it('a merge whose connection alone is cut leaves the tables as they were, and is done by the next (G5, G8)', async () => {
      const before = await versions(jobs, false);
      const { id, merging, blocker } = await inTheMiddle();
      await jobs.pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${MERGE_WAITS}`);
      expect(await merging).toMatchObject({ code: '57P01' });
      await blocker.end();
      expect(await versions(jobs, false)).toEqual(before);
      expect(await jobs.end(id)).toMatchObject({ state: 'finalizing', counts: null });
      await finalizeJob(jobs, { job: await takeOver(jobs) });
      expect(await jobs.shops()).toEqual(after);
    });

    it('readers see the old rows until it is over, wait for nothing, and nothing waits for them (G5)', async () => {
      const reader = await jobs.session();
      await reader.query('BEGIN; LOCK TABLE public.shop, public.sale IN ACCESS SHARE MODE');
      const before = await jobs.shops();
      const { id, merging, blocker } = await inTheMiddle();
      expect(await jobs.shops()).toEqual(before);
      // Readers never are in the way; a session that writes to the same table is, and is named.
      await eventually(() => details.length > 0, 'the blocker to be named');
      expect(details).toEqual([expect.stringMatching(/^waiting for session \d+ \(blocker of /)]);
      const { rows } = await blocker.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      await blocker.query('COMMIT');
      expect(await merging).toBe('done');
      expect(await jobs.end(id)).toMatchObject({ state: 'succeeded' });
      // The job ends when its merge does, not when that began.
      const late = 'SELECT FROM sluice.job WHERE id = $1 AND finished_at > $2';
      expect((await jobs.pool.query(late, [id, rows[0]?.now])).rowCount).toBe(1);
      expect(await jobs.shops()).toEqual(after);
      await Promise.all([reader.end(), blocker.end()]);
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
