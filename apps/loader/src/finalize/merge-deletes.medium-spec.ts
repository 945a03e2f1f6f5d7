import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobCounts } from '#api/job-facts.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { MERGE_WAITS, SHOPS, finalizeJob, untilRow } from '#test/support/finalizing.js';
import {
  type Deletes,
  type JobOptions,
  SHOP_PLAN,
  type Shop,
  StagedJobs,
  deletesOf,
} from '#test/support/staged-job.js';

const [shop, sale] = SHOP_PLAN;
const VERSIONED: readonly TablePlan[] = [{ ...shop!, version: 'city' }, sale!];
const NO_VERSION = String.raw`\N`;

/** MJ6, in tables as users have them; random ones: merge.property.medium-spec.ts. */
describe('deletes in a merge', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start(`
      CREATE TABLE public.shop (number varchar(8) PRIMARY KEY, name text NOT NULL, city text);
      CREATE TABLE public.sale (
        shop_number varchar(8) NOT NULL REFERENCES public.shop, item text NOT NULL, PRIMARY KEY (shop_number, item)
      );
      CREATE TABLE public.visit (shop_number varchar(8), day date DEFAULT '2026-11-29')`);
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
    await jobs.pool.query(`
      TRUNCATE public.visit;
      INSERT INTO public.shop VALUES ('1', 'one', '3'), ('2', 'two', '3'), ('3', 'three', '3');
      INSERT INTO public.sale VALUES ('1', 'x'), ('1', 'y'), ('2', 'x'), ('3', 'x')`);
  });

  interface Merged {
    readonly id: string;
    readonly counts: JobCounts | null;
    /** Record, SQLSTATE. */
    readonly refused: readonly (readonly [number, string | null])[];
  }

  function staged(
    records: readonly (Shop | Deletes)[],
    options: JobOptions = {},
    plan: readonly TablePlan[] = SHOP_PLAN,
  ): Promise<string> {
    const given = { mode: 'upsert', maxRefusedShare: 1, takesDeletes: true, ...options } as const;
    return jobs.loaded([records], given, plan);
  }

  async function finalized(id: string, plan: readonly TablePlan[] = SHOP_PLAN): Promise<Merged> {
    await finalizeJob(jobs, { dataset: { ...SHOPS, tables: plan, deletes: deletesOf(plan) } });
    const [row] = await jobs.refusals(id);
    const refused = (row?.refusals ?? []).map(({ record, sqlstate }) => [record, sqlstate] as const);
    return { id, counts: (await jobs.end(id)).counts, refused };
  }

  async function merged(
    records: readonly (Shop | Deletes)[],
    options: JobOptions = {},
    plan: readonly TablePlan[] = SHOP_PLAN,
  ): Promise<Merged> {
    return finalized(await staged(records, options, plan), plan);
  }

  /** Makes something in the database for one test. */
  async function having(make: string, unmake: string, work: () => Promise<void>): Promise<void> {
    await jobs.pool.query(make);
    try {
      await work();
    } finally {
      await jobs.pool.query(unmake);
    }
  }

  it('take rows and their children away, and are counted; without a row they are superseded', async () => {
    const { counts } = await merged([
      { deletes: ['1'] },
      { number: '2', name: 'two', city: '3', items: ['x'] },
      { deletes: ['7'] },
      { number: '4', name: 'four', items: ['z'] },
    ]);
    expect(counts).toMatchObject({
      ...{ read: 4, accepted: 4, loaded: 3, inserted: 1, updated: 0, unchanged: 1, deleted: 1 },
      ...{ superseded: 1, refused: 0 },
    });
    expect(await jobs.shops()).toEqual(['2 two x', '3 three x', '4 four z']);
    expect(await jobs.stagingTables()).toEqual([]);
  });

  it('alone make a job, which changes nothing when it comes again', async () => {
    const records = [{ deletes: ['1'] }, { deletes: ['3'] }];
    expect((await merged(records)).counts).toMatchObject({ loaded: 2, deleted: 2, superseded: 0 });
    expect((await merged(records)).counts).toMatchObject({ loaded: 0, deleted: 0, superseded: 2 });
    expect(await jobs.shops()).toEqual(['2 two x']);
  });

  it.each<[what: string, records: (Shop | Deletes)[], counts: Partial<JobCounts>, row: string | null]>([
    ['a delete of an older version', [{ deletes: ['1', '2'] }], { superseded: 1 }, '1 one x+y'],
    ['one of the same version', [{ deletes: ['1', '3'] }], { deleted: 1 }, null],
    ['one without a version', [{ deletes: ['1', NO_VERSION] }], { deleted: 1 }, null],
    [
      'a newer record before it',
      [{ number: '1', name: 'new', city: '5' }, { deletes: ['1', '4'] }],
      { updated: 1, superseded: 1 },
      '1 new',
    ],
    [
      'an older record behind it',
      [{ deletes: ['1', '5'] }, { number: '1', name: 'new', city: '4' }],
      { deleted: 1, superseded: 1 },
      null,
    ],
    [
      'a newer record before it, and no version',
      [{ number: '1', name: 'new', city: '5' }, { deletes: ['1', NO_VERSION] }],
      { deleted: 1, superseded: 1 },
      null,
    ],
    [
      'a record behind it that is older than the row, and no version',
      [{ deletes: ['1', NO_VERSION] }, { number: '1', name: 'again', city: '1' }],
      { updated: 1, superseded: 1 },
      '1 again',
    ],
    [
      'a record without a version behind it, and no version itself',
      [{ deletes: ['1', NO_VERSION] }, { number: '1', name: 'again', city: NO_VERSION }],
      { updated: 1, superseded: 1 },
      '1 again',
    ],
    [
      'records around two of them',
      [
        { number: '1', name: 'a', city: '9' },
        { deletes: ['1', NO_VERSION] },
        { number: '1', name: 'b', city: '8' },
        { deletes: ['1', NO_VERSION] },
        { number: '1', name: 'c', city: '2' },
        { number: '1', name: 'd', city: '1' },
      ],
      { updated: 1, superseded: 5 },
      '1 c',
    ],
  ])('follow the order of versions and records: %s', async (_what, records, counts, row) => {
    expect((await merged(records, {}, VERSIONED)).counts).toMatchObject(counts);
    const [first] = await jobs.shops();
    expect(first).toBe(row ?? '2 two x');
  });

  it('take children that are found by another column than the key, which a delete does not have', async () => {
    const plan = [shop!, { ...sale!, parent: { table: 'shop', columns: { shop_number: 'name' } } }];
    const own = `CREATE TABLE public.sale (shop_number varchar(8), item text)`;
    await having(
      `ALTER TABLE public.sale RENAME TO kept; ${own}`,
      'DROP TABLE public.sale; ALTER TABLE public.kept RENAME TO sale',
      async () => {
        await jobs.pool.query(
          `TRUNCATE public.kept; INSERT INTO public.sale VALUES ('one', 'x'), ('two', 'y')`,
        );
        expect((await merged([{ deletes: ['1'] }], {}, plan)).counts).toMatchObject({ deleted: 1 });
        expect((await jobs.pool.query('SELECT shop_number, item FROM public.sale')).rows).toEqual([
          { shop_number: 'two', item: 'y' },
        ]);
      },
    );
  });

  it('make place in a unique index for what arrives', async () => {
    await having('CREATE UNIQUE INDEX once ON public.shop (name)', 'DROP INDEX public.once', async () => {
      const { counts, refused } = await merged([
        { number: '4', name: 'one' },
        { number: '2', name: 'three', city: '3', items: ['x'] },
        { deletes: ['3'] },
        { deletes: ['1'] },
      ]);
      expect(refused).toEqual([]);
      expect(counts).toMatchObject({ inserted: 1, updated: 1, deleted: 2 });
      expect(await jobs.shops()).toEqual(['2 three x', '4 one']);
    });
  });

  it('leave clashes of others to be settled: a record that meets a row which stays is refused', async () => {
    await having('CREATE UNIQUE INDEX once ON public.shop (name)', 'DROP INDEX public.once', async () => {
      const { counts, refused } = await merged([
        { number: '4', name: 'two' },
        { number: '5', name: 'one' },
        { deletes: ['1'] },
      ]);
      expect(refused).toEqual([[0, '23505']]);
      expect(counts).toMatchObject({ inserted: 1, deleted: 1, refusedAtLoad: 1 });
      expect(await jobs.shops()).toEqual(['2 two x', '3 three x', '5 one']);
    });
  });

  it.each(['', 'DEFERRABLE INITIALLY DEFERRED'])(
    'that a foreign key of another table refuses are dead letters, and the rest is merged (%s)',
    async (when) => {
      await having(
        `ALTER TABLE public.visit ADD CONSTRAINT seen FOREIGN KEY (shop_number) REFERENCES public.shop ${when};
         INSERT INTO public.visit VALUES ('1')`,
        'ALTER TABLE public.visit DROP CONSTRAINT seen',
        async () => {
          const { counts, refused } = await merged([
            { deletes: ['1'] },
            { deletes: ['3'] },
            { number: '2', name: 'changed', items: ['x'] },
          ]);
          expect(refused).toEqual([[0, '23503']]);
          expect(counts).toMatchObject({ deleted: 1, updated: 1, refusedAtLoad: 1, read: 3, loaded: 2 });
          expect(await jobs.shops()).toEqual(['1 one x+y', '2 changed x']);
        },
      );
    },
  );

  it.each([
    ['ON DELETE CASCADE', []],
    ['ON DELETE SET NULL', [{ shop_number: null }]],
  ])('do to rows of other tables what their owner has declared: %s', async (action, left) => {
    await having(
      `ALTER TABLE public.visit ADD CONSTRAINT seen FOREIGN KEY (shop_number) REFERENCES public.shop ${action};
       INSERT INTO public.visit VALUES ('1')`,
      'ALTER TABLE public.visit DROP CONSTRAINT seen',
      async () => {
        expect((await merged([{ deletes: ['1'] }])).counts).toMatchObject({ deleted: 1, refused: 0 });
        expect((await jobs.pool.query('SELECT shop_number FROM public.visit')).rows).toEqual(left);
      },
    );
  });

  it.each([
    [
      'a trigger that keeps the row',
      `CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER keep BEFORE DELETE ON public.shop FOR EACH ROW EXECUTE FUNCTION public.keep()`,
      'DROP FUNCTION public.keep CASCADE',
      /0 of 1 rows deleted from public\."shop" were there/,
    ],
    [
      'a trigger that keeps a child’s row',
      `CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER keep BEFORE DELETE ON public.sale FOR EACH ROW WHEN (OLD.item = 'y') EXECUTE FUNCTION public.keep();
       ALTER TABLE public.sale DISABLE TRIGGER USER; ALTER TABLE public.sale ENABLE TRIGGER keep;
       ALTER TABLE public.sale DROP CONSTRAINT sale_shop_number_fkey`,
      `DROP FUNCTION public.keep CASCADE; DELETE FROM public.sale; ALTER TABLE public.sale
       ADD CONSTRAINT sale_shop_number_fkey FOREIGN KEY (shop_number) REFERENCES public.shop`,
      /1 of 2 rows deleted from public\."sale" were there/,
    ],
    [
      'a rule',
      'CREATE RULE keep AS ON DELETE TO public.shop DO INSTEAD NOTHING',
      'DROP RULE keep ON public.shop',
      /0 of 1 rows deleted from public\."shop" were there/,
    ],
  ])('that %s swallows fail the job, and nothing of it is visible', async (_, make, unmake, message) => {
    await having(make, unmake, async () => {
      const before = await jobs.shops();
      await expect(merged([{ deletes: ['1'] }, { number: '4', name: 'four' }])).rejects.toMatchObject({
        code: 'TARGET_LOSES_ROWS',
        message: expect.stringMatching(message),
      });
      expect(await jobs.shops()).toEqual(before);
    });
  });

  it('are merged beside a trigger on a child’s rows that writes to their parent (MW6)', async () => {
    await having(
      `CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN UPDATE public.shop SET city = 'told' WHERE number = OLD.shop_number; RETURN NULL; END $$;
       CREATE TRIGGER tell AFTER DELETE ON public.sale FOR EACH ROW EXECUTE FUNCTION public.tell()`,
      'DROP FUNCTION public.tell CASCADE',
      async () => {
        const { counts } = await merged([{ deletes: ['1'] }, { number: '2', name: 'changed', items: ['z'] }]);
        expect(counts).toMatchObject({ deleted: 1, updated: 1, refused: 0 });
        expect(await jobs.shops()).toEqual(['2 changed z', '3 three x']);
      },
    );
  });

  it('that a trigger refuses by an error are dead letters', async () => {
    await having(
      `CREATE FUNCTION public.deny() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
       CREATE TRIGGER deny BEFORE DELETE ON public.shop FOR EACH ROW WHEN (OLD.number = '1') EXECUTE FUNCTION public.deny()`,
      'DROP FUNCTION public.deny CASCADE',
      async () => {
        const { counts, refused } = await merged([{ deletes: ['1'] }, { deletes: ['2'] }]);
        expect(refused).toEqual([[0, 'P0001']]);
        expect(counts).toMatchObject({ deleted: 1, refusedAtLoad: 1 });
        expect(await jobs.shops()).toEqual(['1 one x+y', '3 three x']);
      },
    );
  });

  it('are foreseen by a dry run, which changes nothing', async () => {
    const before = await jobs.shops();
    const { counts } = await merged(
      [{ deletes: ['1'] }, { deletes: ['7'] }, { number: '2', name: 'changed' }],
      { dryRun: true },
    );
    expect(counts).toMatchObject({ deleted: 1, superseded: 1, updated: 1, loaded: 2 });
    expect(await jobs.shops()).toEqual(before);
  });

  it.each(['append', 'replace'] as const)('have no staging table in a job of mode %s', async (mode) => {
    const id = await staged([{ number: '8', name: 'eight' }], { mode });
    expect((await jobs.stagingTables()).filter((name) => name.includes('deleted'))).toEqual([]);
    expect((await finalized(id)).counts).toMatchObject({ inserted: 1, deleted: 0 });
  });

  it('are staged in the types of the target, and never without a key', async () => {
    const id = await staged([{ deletes: ['1', '3'] }], {}, VERSIONED);
    const name = `sluice_staging."${id.replaceAll('-', '')}__sluice_deleted"`;
    const { rows } = await jobs.pool.query<{ column: string }>(
      `SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS column
       FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
      [name],
    );
    expect(rows.map(({ column }) => column)).toEqual([
      '_sluice_record bigint NOT NULL',
      'number character varying(8) NOT NULL',
      'city text',
    ]);
    await expect(jobs.pool.query(`INSERT INTO ${name} VALUES (1, NULL, '3')`)).rejects.toMatchObject({
      code: '23502',
    });
    await finalized(id, VERSIONED);
  });

  it('are counted again before the end: a row of them that is missing in staging fails the job (G2)', async () => {
    const id = await staged([{ deletes: ['1'] }, { number: '4', name: 'four' }]);
    await jobs.pool.query(`DELETE FROM sluice_staging."${id.replaceAll('-', '')}__sluice_deleted"`);
    await expect(finalized(id)).rejects.toMatchObject({
      code: 'JOB_UNBALANCED',
      message: expect.stringContaining('rows of _sluice_deleted: 0 staged and 0 refused, of 1 loaded'),
    });
    expect(await jobs.shops()).toHaveLength(3);
  });

  describe('beside other writers', () => {
    /** Shop 2 is held while the merge waits to lock it; what the holder has done is committed then. */
    async function race(hold: string, records: readonly (Shop | Deletes)[]): Promise<Merged> {
      const writer = await jobs.session('writer');
      const id = await staged(records, {}, VERSIONED);
      await writer.query(`BEGIN; ${hold}`);
      const merging = finalized(id, VERSIONED);
      await untilRow(jobs.pool, MERGE_WAITS);
      await writer.query('COMMIT');
      return merging;
    }

    it.each<[what: string, hold: string, counts: Partial<JobCounts>, row: string[]]>([
      ['moves', `UPDATE public.shop SET name = 'moved' WHERE number = '2'`, { deleted: 1 }, []],
      [
        'is made newer',
        `UPDATE public.shop SET name = 'newer', city = '9' WHERE number = '2'`,
        { superseded: 1 },
        ['2 newer x'],
      ],
      [
        'is deleted',
        `DELETE FROM public.sale WHERE shop_number = '2'; DELETE FROM public.shop WHERE number = '2'`,
        { deleted: 0, superseded: 1 },
        [],
      ],
      ['gets a child', `INSERT INTO public.sale VALUES ('2', 'theirs')`, { deleted: 1, refused: 0 }, []],
    ])('a row that %s meanwhile is judged again', async (_what, hold, counts, row) => {
      const found = await race(hold, [
        { deletes: ['2', '3'] },
        { number: '1', name: 'changed', city: '3', items: ['x'] },
      ]);
      expect(found.counts).toMatchObject({ updated: 1, ...counts });
      expect(await jobs.shops()).toEqual(['1 changed x', ...row, '3 three x']);
    });

    it('rows are locked in the order of their keys, whatever the order of the records (ME4)', async () => {
      const numbers = Array.from({ length: 40 }, (_, at) => String(100 + at));
      await jobs.pool.query(`INSERT INTO public.shop SELECT unnest($1::text[]), 'x', '3'`, [numbers]);
      const writer = await jobs.session('writer');
      await writer.query(`BEGIN; SELECT FROM public.shop WHERE number = '120' FOR UPDATE`);
      const id = await staged(
        numbers.toReversed().map((number) => ({ deletes: [number, '3'] })),
        {},
        VERSIONED,
      );
      const merging = finalized(id, VERSIONED);
      await untilRow(jobs.pool, MERGE_WAITS);
      // Rows before the one that is waited for are held by the merge, those behind it are not: key order (ME4).
      await expect(
        jobs.pool.query(`SELECT FROM public.shop WHERE number = '110' FOR UPDATE NOWAIT`),
      ).rejects.toMatchObject({ code: '55P03' });
      await jobs.pool.query(`SELECT FROM public.shop WHERE number = '130' FOR UPDATE NOWAIT`);
      await writer.query('COMMIT');
      expect((await merging).counts).toMatchObject({ deleted: 40 });
    });
  });
});
