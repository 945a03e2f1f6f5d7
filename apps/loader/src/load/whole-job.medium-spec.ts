import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { FinalizedDataset } from '../finalize/finalizing-job.js';
import { MergeAtOnce } from '../finalize/merge-at-once.js';
import type { GroupLoader, GroupOutcome } from './group-loader.js';
import { LoadingHarness, THING_PLAN } from '#test/support/loading.js';

const THINGS: FinalizedDataset = { tables: THING_PLAN, keepOfDuplicates: 'first', contractVersion: 1 };

describe('GroupLoader with a whole job, on real PostgreSQL (LD10)', () => {
  let harness: LoadingHarness;
  let loader: GroupLoader;
  let batches: ReturnType<LoadingHarness['batch']>[];

  beforeAll(async () => {
    harness = await LoadingHarness.start();
    const logger = pino({ level: 'silent' });
    const atOnce = new MergeAtOnce({
      datasets: new Map([['things', THINGS]]),
      owner: 'here',
      leaseSeconds: 30,
      logger,
    });
    loader = harness.loaderWith(1_000, atOnce);
  });

  afterAll(() => harness.stop());

  beforeEach(async () => {
    await harness.pool.query('TRUNCATE public.thing, public.part');
    await harness.begin('upsert', 2);
    batches = [harness.batch(0), harness.batch(1)];
  });

  const load = (which: typeof batches): Promise<GroupOutcome> =>
    loader.load({ dataset: 'things', job: harness.job, batches: which }, harness.plan(), () => undefined);

  const state = async (): Promise<{ state: string; ledger: number; staging: number; visible: string[] }> => {
    const { rows } = await harness.pool.query<Awaited<ReturnType<typeof state>>>(
      `SELECT state, (SELECT count(*)::int FROM sluice.ledger WHERE job = job.id AND ledger.job = $1) AS ledger,
         (SELECT count(*)::int FROM pg_class WHERE relnamespace = 'sluice_staging'::regnamespace AND relkind = 'r'
          AND starts_with(relname, replace($1::text, '-', ''))) AS staging,
         ARRAY(SELECT code FROM public.thing ORDER BY code) AS visible
       FROM sluice.job WHERE id = $1`,
      [harness.job],
    );
    return rows[0]!;
  };

  it('makes a job visible with its batches, which are announced as any others', async () => {
    const outcome = await load(batches);
    expect(outcome).toMatchObject({
      kind: 'loaded',
      fresh: [{ batch: 0 }, { batch: 1 }],
      merged: { read: 4, loaded: 4, inserted: 4 },
    });
    expect(await state()).toEqual({
      state: 'succeeded',
      ledger: 2,
      staging: 0,
      visible: ['t0', 't1', 't2', 't3'],
    });
  });

  it('drops batches that come again to the job that has ended, and has them announced again (G3)', async () => {
    await load(batches);
    expect(await load(batches)).toMatchObject({
      kind: 'dropped',
      state: 'succeeded',
      loaded: [{ batch: 0 }, { batch: 1 }],
    });
    expect((await state()).visible).toEqual(['t0', 't1', 't2', 't3']);
  });

  it('loads the same job once when it is delivered twice at the same time (G3)', async () => {
    const outcomes = await Promise.all([load(batches), load(batches)]);
    expect(outcomes.filter((one) => one.kind === 'loaded' && one.merged !== null)).toHaveLength(1);
    expect(await state()).toMatchObject({ state: 'succeeded', ledger: 2, visible: ['t0', 't1', 't2', 't3'] });
  });

  it('leaves a job that comes in two groups to the sweep', async () => {
    expect(await load(batches.slice(0, 1))).toMatchObject({ kind: 'loaded', merged: null });
    expect(await load(batches.slice(1))).toMatchObject({ kind: 'loaded', merged: null });
    expect(await state()).toMatchObject({ state: 'running', ledger: 2, staging: 2, visible: [] });
  });

  it('keeps what COPY refused in the outbox of a job that succeeds without it', async () => {
    await harness.pool.query('UPDATE sluice.job SET max_refused_share = 1');
    const spoilt = harness.batch(0, { thing: '0\tt0\t1\n1\tt1\t5000\n', part: '0\tt0\ta\n1\tt1\tb\n' });
    expect(await load([spoilt, harness.batch(1)])).toMatchObject({ merged: { loaded: 3, refusedAtLoad: 1 } });
    const { rows } = await harness.pool.query(
      `SELECT load_refusals->0->'record' AS record, refusals_announced FROM sluice.ledger WHERE batch = 0`,
    );
    expect(rows).toEqual([{ record: 1, refusals_announced: false }]);
    expect((await state()).visible).toEqual(['t0', 't2', 't3']);
  });

  it('keeps the load when the merge fails, and tries no merge again when the load is repeated', async () => {
    await harness.pool.query(`
      CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER swallow BEFORE INSERT ON public.thing FOR EACH ROW EXECUTE FUNCTION public.swallow()`);
    expect(await load(batches)).toMatchObject({ kind: 'loaded', merged: null });
    expect(await state()).toMatchObject({ state: 'running', ledger: 2, staging: 2, visible: [] });
    await harness.pool.query('DROP FUNCTION public.swallow CASCADE');
  });

  it('loads nothing when the connection ends in the middle, and all of it when the batches come again (G5)', async () => {
    await harness.pool.query(`
      CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
      CREATE TRIGGER cut BEFORE INSERT ON public.thing FOR EACH ROW EXECUTE FUNCTION public.cut()`);
    await expect(load(batches)).rejects.toThrow();
    expect(await state()).toMatchObject({ state: 'running', ledger: 0, staging: 2, visible: [] });
    await harness.pool.query('DROP FUNCTION public.cut CASCADE');
    expect(await load(batches)).toMatchObject({ kind: 'loaded', merged: { inserted: 4 } });
  });
});
