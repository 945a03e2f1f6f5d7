import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { inTransaction } from '#common/postgres/pool.js';
import { dropStaging } from '#core/staging/staging-tables.js';
import { SHOPS, finalizeJob, takeOver } from '#test/support/finalizing.js';
import { SHOP_PLAN, SHOP_TABLES, type Shop, StagedJobs } from '#test/support/staged-job.js';

const TABLES = `${SHOP_TABLES}
  ALTER TABLE public.shop ADD COLUMN no serial;
  ALTER SEQUENCE public.shop_no_seq RENAME TO "Shop's ""no""";
  ALTER SEQUENCE public."Shop's ""no""" START WITH 100 INCREMENT BY 5 MINVALUE 50 MAXVALUE 1000 RESTART`;
const NO = `public."Shop's ""no"""`;
const NO_LITERAL = pg.escapeLiteral(NO);

describe('sequences of tables that are swapped', () => {
  let jobs: StagedJobs;

  beforeAll(async () => {
    jobs = await StagedJobs.start(TABLES);
  });
  afterAll(() => jobs.stop());
  beforeEach(() => jobs.reset());

  const shop = (number: string, ...items: string[]): Shop => ({ number, name: `n${number}`, items });
  const values = async <T>(sql: string): Promise<T[]> =>
    (await jobs.pool.query<{ value: T }>(sql)).rows.map(({ value }) => value);
  const numbers = (): Promise<number[]> => values('SELECT no AS value FROM public.shop ORDER BY number');
  const state = async (sequence = NO): Promise<string | undefined> =>
    (await values<string>(`SELECT concat(last_value, ' ', is_called::text) AS value FROM ${sequence}`))[0];
  const insert = (number: string): Promise<number[]> =>
    values(`INSERT INTO public.shop (number, name) VALUES ('${number}', 'x') RETURNING no AS value`);
  const replace = async (...shops: Shop[]): Promise<void> => {
    await jobs.loaded(shops.length === 0 ? [] : [shops]);
    await finalizeJob(jobs);
  };

  /** What the catalogs say about the sequence, apart from the table's OID, which is another one after each swap. */
  const definition = async (): Promise<unknown> =>
    (
      await jobs.pool.query(
        `SELECT c.oid, c.relowner, c.relacl::text, q.*, pg_get_serial_sequence('public.shop', 'no') AS serial,
                (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute a ON attrelid = adrelid AND attnum = adnum
                 WHERE adrelid = 'public.shop'::regclass AND attname = 'no') AS default,
                ARRAY(SELECT concat_ws(' ', pg_describe_object(classid, objid, objsubid), deptype,
                                       pg_describe_object(refclassid, refobjid, refobjsubid))
                      FROM pg_depend WHERE c.oid IN (objid, refobjid) ORDER BY 1) AS dependencies
         FROM pg_class c JOIN pg_sequence q ON q.seqrelid = c.oid WHERE c.oid = $1::regclass`,
        [NO],
      )
    ).rows;

  it('serial: loads, failed ones too, draw nothing; ids are the snapshot’s, and others’ follow them', async () => {
    const before = await definition();
    await insert('7');
    for (const count of [1, 2]) {
      const failed = await jobs.loaded([[shop('1'), shop('2'), shop('3')]]);
      await inTransaction(jobs.pool, (client) => dropStaging(client, { id: failed }));
      await jobs.pool.query('DELETE FROM sluice.job');
      const drawn = await state();
      await jobs.loaded([[shop('1', 'x'), shop('2')].slice(0, count)]);
      expect(await state()).toBe(drawn);
      await finalizeJob(jobs);
      expect(await numbers()).toEqual([100, 105].slice(0, count));
      expect(await definition()).toEqual(before);
      expect(await jobs.stagingTables()).toEqual([]);
    }
    expect(await insert('8')).toEqual([110]);
    await jobs.pool.query('TRUNCATE public.shop, public.sale RESTART IDENTITY');
    expect(await insert('9')).toEqual([100]);
    expect(await definition()).toEqual(before);
  });

  it('serial: an empty snapshot begins at the start value', async () => {
    await insert('7');
    await insert('8');
    await replace();
    expect(await state()).toBe('100 false');
    expect(await insert('9')).toEqual([100]);
  });

  it('serial: a swap that is undone leaves the old table’s next id as it was (SQ2)', async () => {
    for (const number of ['5', '6', '7']) await insert(number);
    await jobs.pool.query(`
      CREATE FUNCTION public.stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE 'stopped with the sequence at %', (SELECT last_value FROM ${NO}) USING ERRCODE = '22023'; END $$;
      CREATE TRIGGER stop BEFORE UPDATE ON sluice.job FOR EACH ROW WHEN (NEW.state = 'succeeded')
        EXECUTE FUNCTION public.stop()`);
    try {
      await jobs.loaded([[shop('1')]]);
      await expect(finalizeJob(jobs)).rejects.toThrow('stopped with the sequence at 100');
    } finally {
      await jobs.pool.query('DROP FUNCTION public.stop CASCADE');
    }
    expect(await state()).toBe('110 true');
    expect(await insert('8')).toEqual([115]);
    await finalizeJob(jobs, { job: await takeOver(jobs) });
    expect(await numbers()).toEqual([100]);
    expect(await insert('9')).toEqual([105]);
  });

  it('serial: what has to be prepared again is swapped later with the same ids (SQ3)', async () => {
    for (const number of ['5', '6', '7']) await insert(number);
    await jobs.loaded([[shop('1'), shop('2')]]);
    let once: Promise<unknown> | undefined;
    const steps = await finalizeJob(jobs, {
      config: { snapshotWaitMs: 60_000 },
      onStep: (step) => {
        if (step === 'analyze') once ??= jobs.pool.query('CREATE INDEX shop_no ON public.shop (no)');
      },
    });
    await once;
    await jobs.pool.query('DROP INDEX public.shop_no');
    expect(steps.filter((step) => step === 'swap')).toHaveLength(2);
    expect(await numbers()).toEqual([100, 105]);
    expect(await insert('9')).toEqual([110]);
  });

  it('serial: the last number of a sequence may be used up', async () => {
    await jobs.pool.query(`ALTER SEQUENCE ${NO} MAXVALUE 105`);
    try {
      await replace(shop('1'), shop('2'));
      expect(await numbers()).toEqual([100, 105]);
      await expect(insert('3')).rejects.toMatchObject({ code: '2200H' });
    } finally {
      await jobs.pool.query(`ALTER SEQUENCE ${NO} MAXVALUE 1000`);
    }
  });

  it.each([
    [
      'another column draws from, too,',
      `CREATE TABLE public.other (no int DEFAULT nextval(${NO_LITERAL}))`,
      'DROP TABLE public.other',
    ],
    [
      'a view draws from, too,',
      `CREATE VIEW public.other AS SELECT nextval(${NO_LITERAL})`,
      'DROP VIEW public.other',
    ],
    ['no column owns', `ALTER SEQUENCE ${NO} OWNED BY NONE`, `ALTER SEQUENCE ${NO} OWNED BY public.shop.no`],
    [
      'is a part of a default only',
      `ALTER TABLE public.shop ALTER no SET DEFAULT 1 + nextval(${NO_LITERAL})`,
      `ALTER TABLE public.shop ALTER no SET DEFAULT nextval(${NO_LITERAL})`,
    ],
  ])('serial: a sequence that %s is drawn from, and not set back', async (_what, make, undo) => {
    await insert('7');
    await jobs.pool.query(make);
    try {
      const before = await definition();
      await replace(shop('1'), shop('2'));
      expect(await state()).toBe('110 true');
      expect((await numbers()).map((no) => no - (no % 5))).toEqual([105, 110]);
      expect(await definition()).toEqual(before);
    } finally {
      await jobs.pool.query(undo);
    }
    await jobs.pool.query(`ALTER SEQUENCE ${NO} RESTART`);
  });

  it.each([
    [
      'is shared meanwhile',
      `CREATE TABLE public.other (no int DEFAULT nextval(${NO_LITERAL}))`,
      'DROP TABLE public.other',
    ],
    [
      'ends before the snapshot’s numbers',
      `ALTER SEQUENCE ${NO} MAXVALUE 100`,
      `ALTER SEQUENCE ${NO} MAXVALUE 1000`,
    ],
    [
      'gives way to another default',
      'ALTER TABLE public.shop ALTER no SET DEFAULT 7',
      `ALTER TABLE public.shop ALTER no SET DEFAULT nextval(${NO_LITERAL})`,
    ],
  ])('serial: a sequence that %s fails the job, and is left', async (_what, make, undo) => {
    await insert('7');
    await jobs.loaded([[shop('1'), shop('2')]]);
    await jobs.pool.query(make);
    try {
      await expect(finalizeJob(jobs)).rejects.toMatchObject({ code: 'TARGET_CHANGED' });
    } finally {
      await jobs.pool.query(undo);
    }
    expect(await state()).toBe('100 true');
    expect(await insert('8')).toEqual([105]);
  });

  it('serial: a sequence that is shared after a first try of the swap fails the job, and is left (SQ3)', async () => {
    for (const number of ['6', '7']) await insert(number);
    await jobs.loaded([[shop('1')]]);
    const share = `CREATE TABLE public.other (no int DEFAULT nextval(${NO_LITERAL}))`;
    let once: Promise<unknown> | undefined;
    let analyzed = 0;
    const work = finalizeJob(jobs, {
      config: { snapshotWaitMs: 60_000 },
      onStep: (step) => {
        if (step !== 'analyze') return;
        analyzed += 1;
        if (analyzed === 1) once = jobs.pool.query('CREATE INDEX shop_no ON public.shop (no)');
        if (analyzed === 2) once = once?.then(() => jobs.pool.query(share));
      },
    });
    try {
      await expect(work).rejects.toMatchObject({
        code: 'TARGET_CHANGED',
        message: expect.stringContaining('column no of public.shop has none of its own any more'),
      });
    } finally {
      await once;
      await jobs.pool.query('DROP INDEX public.shop_no; DROP TABLE public.other');
    }
    expect(await state()).toBe('105 true');
  });

  it('identity: a column that the contract fills leaves the sequence where it was (SQ4)', async () => {
    const [main, child] = SHOP_PLAN;
    const plan = [main!, { ...child!, columns: ['shop_number', 'id'] }];
    await jobs.pool.query(
      `ALTER TABLE public.sale ALTER item SET DEFAULT '', DROP CONSTRAINT sale_shop_number_item_key;
       ALTER SEQUENCE public.sale_id_seq RESTART WITH 500`,
    );
    try {
      for (const [drawn, next] of [
        ['500 false', '500'],
        ['500 true', '501'],
      ] as const) {
        expect(await state('public.sale_id_seq')).toBe(drawn);
        await jobs.loaded([[shop('1', '1', '2')]], {}, plan);
        await finalizeJob(jobs, { dataset: { ...SHOPS, tables: plan } });
        expect(await values('SELECT id AS value FROM public.sale ORDER BY id')).toEqual(['1', '2']);
        expect(await state('public.sale_id_seq')).toBe(drawn);
        const inserted = `INSERT INTO public.sale (shop_number, item) VALUES ('1', 'z') RETURNING id AS value`;
        expect(await values(inserted)).toEqual([next]);
      }
    } finally {
      await jobs.pool.query(
        `TRUNCATE public.sale; ALTER TABLE public.sale ALTER item DROP DEFAULT,
           ADD CONSTRAINT sale_shop_number_item_key UNIQUE (shop_number, item)`,
      );
    }
    await replace(shop('1', 'x'));
    expect(await state('public.sale_id_seq')).toBe('1 true');
    await replace(shop('1'));
    expect(await state('public.sale_id_seq')).toBe('1 false');
  });
});
