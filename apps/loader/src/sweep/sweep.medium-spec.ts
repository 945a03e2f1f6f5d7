import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { loggerTo } from '#common/telemetry/logger.js';
import { eventually } from '#test/support/eventually.js';
import { SHOPS, SweepHarness, untilRow } from '#test/support/finalizing.js';
import { StagedJobs } from '#test/support/staged-job.js';
import { AnnounceRepository } from '../announce/announce.repository.js';
import { Registry } from 'prom-client';
import { loadRegistry } from '#core/registry/registry.js';
import { LoaderMetrics } from '../loader.metrics.js';
import type { Announcer, EndedJob } from '../announce/announcer.js';
import type { Sweep } from './sweep.js';
import type { FinalizeStep, FinalizedDataset } from '../finalize/finalizing-job.js';

/** Refuses every row that is inserted into `shop`. */
const spoiler = (code: string): string => `
  CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the moon is full' USING ERRCODE = '${code}'; END $$;
  CREATE TRIGGER spoil BEFORE INSERT ON public.shop FOR EACH ROW EXECUTE FUNCTION public.spoil()`;

const SHOP = { number: '1', name: 'a', items: ['x'] };

describe('Sweep', () => {
  let jobs: StagedJobs;
  let harness: SweepHarness;
  let announced: readonly string[];
  let announcer: Announcer;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
    harness = new SweepHarness(jobs);
    ({ announced, announcer } = harness);
  });
  afterEach(() => harness.stop());

  const sweep = (...parts: Parameters<SweepHarness['sweep']>): Sweep => harness.sweep(...parts);
  const until = (id: string, condition: string): Promise<void> =>
    untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND ${condition}`, [id]);

  it('finalizes a job that is complete, and announces its refusals before its end', async () => {
    const id = await jobs.loaded([[SHOP, { number: '1', name: 'again' }]], { maxRefusedShare: 1 });
    sweep();
    await until(id, `state = 'succeeded' AND announced`);
    expect(announced.at(-1)).toBe('succeeded');
    expect(announced).toContain('refusals');
    expect(await jobs.shops()).toEqual(['1 a x']);
  });

  it('sweeps at once when woken', async () => {
    const one = sweep({ sweepIntervalMs: 3_600_000 });
    // It has had its first look when it has announced what was there.
    const earlier = await jobs.loaded([['skipped']], { dataset: 'other' });
    await jobs.pool.query(
      `UPDATE sluice.job SET state = 'failed', finished_at = now(), announced = false WHERE id = $1`,
      [earlier],
    );
    one.wake();
    await until(earlier, 'announced');
    const id = await jobs.loaded([[SHOP]]);
    one.wake();
    await until(id, `state = 'succeeded'`);
  });

  it('leaves jobs alone that are incomplete, held by another loader, or of a dataset that it does not know', async () => {
    const id = await jobs.loaded([[SHOP]]);
    await jobs.pool.query(`UPDATE sluice.job SET lease_until = now() + interval '1 hour' WHERE id = $1`, [
      id,
    ]);
    const strange = await jobs.loaded([[SHOP]], { dataset: 'unknown' });
    const incomplete = await jobs.loaded([[SHOP]], { dataset: 'shops-too' });
    await jobs.pool.query(`DELETE FROM sluice.ledger WHERE job = $1`, [incomplete]);
    const done = await jobs.loaded([[SHOP]], { dataset: 'shops-three' });
    sweep({}, { datasets: new Map(['shops', 'shops-too', 'shops-three'].map((name) => [name, SHOPS])) });
    await until(done, 'announced AND counts IS NOT NULL');
    for (const job of [id, strange, incomplete])
      expect(await jobs.end(job)).toMatchObject({ state: 'running', epoch: 1 });
  });

  it('fails a job that the finalizer decides against, with what to do, and keeps its staging and ledger', async () => {
    await jobs.pool.query(`INSERT INTO public.shop SELECT i, 'old' FROM generate_series(1, 5) AS i`);
    const id = await jobs.loaded([[SHOP, 'refused']], { maxShrinkShare: 0.2 });
    sweep();
    await until(id, `state = 'failed' AND announced`);
    expect(await jobs.end(id)).toMatchObject({
      error: { code: 'JOB_SHRINKS', action: expect.stringContaining('run the job again') },
      counts: { read: 2, accepted: 1, refused: 1, loaded: 0 },
      findings: { BAD_NAME: 1 },
    });
    expect(await jobs.stagingTables()).not.toEqual([]);
    expect(await jobs.refusals(id)).toHaveLength(1);
    expect(await jobs.shops()).toHaveLength(5);
    expect(announced).toEqual(['failed']);
  });

  it('fails a job whose rows the table does not keep, naming the table and no value', async () => {
    await jobs.pool.query(`
      CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER swallow BEFORE INSERT ON public.sale FOR EACH ROW EXECUTE FUNCTION public.swallow()`);
    try {
      const id = await jobs.loaded([[{ number: '3', name: 'secret', items: ['q'] }]], { mode: 'append' });
      sweep();
      await until(id, `state = 'failed'`);
      expect((await jobs.end(id)).error).toMatchObject({
        code: 'TARGET_LOSES_ROWS',
        message: expect.stringContaining('0 of 1 rows inserted into public."sale" came back.'),
      });
      expect(await jobs.shops()).toEqual([]);
    } finally {
      await jobs.pool.query('DROP FUNCTION public.swallow CASCADE');
    }
  });

  it('waits out what says nothing about the job, and continues by itself', async () => {
    const id = await jobs.loaded([[SHOP]], { mode: 'append' });
    await jobs.pool.query(`
      CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON public.shop FOR EACH ROW EXECUTE FUNCTION public.full()`);
    const steps: string[] = [];
    sweep({}, { onStep: (_job, step) => steps.push(step) });
    await eventually(() => steps.filter((step) => step === 'check').length > 1, 'a second try');
    expect(await jobs.end(id)).toMatchObject({ state: 'finalizing', error: null });
    await jobs.pool.query('DROP FUNCTION public.full CASCADE');
    await until(id, `state = 'succeeded'`);
  });

  it('says in the job what it waits for, and no longer once that is over (JW-3)', async () => {
    const id = await jobs.loaded([[SHOP]], { mode: 'append' });
    await jobs.pool.query(spoiler('disk_full'));
    sweep();
    await until(
      id,
      `wait @> '{"stage": "finalize", "code": "SERVER_AWAY"}' AND wait->>'message' LIKE '%the moon%'`,
    );
    await jobs.pool.query('DROP FUNCTION public.spoil CASCADE');
    await until(id, `state = 'succeeded' AND wait IS NULL`);
  });

  it('says which sessions are in the way of a step', async () => {
    const id = await jobs.loaded([[SHOP]]);
    const reader = await jobs.session('nosy');
    await reader.query('BEGIN; SELECT FROM public.shop');
    sweep({ swapLockTimeoutMs: 20 });
    await until(id, `wait->>'code' = 'SESSIONS_IN_THE_WAY' AND wait->>'message' LIKE '%nosy%'`);
    await reader.end();
    await until(id, `state = 'succeeded' AND wait IS NULL`);
  });

  it('survives that its connections are cut in the middle', async () => {
    const id = await jobs.loaded([[SHOP]]);
    let cuts = 0;
    let cut: Promise<unknown> = Promise.resolve();
    sweep(
      {},
      {
        onStep: (_job, step) => {
          if (step !== 'constraints' || cuts++ > 0) return;
          cut = jobs.pool.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
          );
        },
      },
    );
    await eventually(
      () =>
        until(id, `state = 'succeeded'`).then(
          () => true,
          () => false,
        ),
      'success',
    );
    await cut;
    expect(await jobs.shops()).toEqual(['1 a x']);
  });

  it('takes over when the lease of a finalization has run out, and not before', async () => {
    const id = await jobs.loaded([[SHOP]]);
    await jobs.pool.query(
      `UPDATE sluice.job SET state = 'finalizing', epoch = 5, owner = 'dead', lease_until = now() + interval '1 hour' WHERE id = $1`,
      [id],
    );
    const other = await jobs.loaded([['skipped']], { dataset: 'shops-too', mode: 'append' });
    sweep(
      {},
      {
        datasets: new Map([
          ['shops', SHOPS],
          ['shops-too', SHOPS],
        ]),
      },
    );
    await until(other, 'announced AND counts IS NOT NULL');
    expect(await jobs.end(id)).toMatchObject({ state: 'finalizing', epoch: 5 });
    await jobs.pool.query(`UPDATE sluice.job SET lease_until = now() WHERE id = $1`, [id]);
    await until(id, `state = 'succeeded' AND epoch = 6`);
  });

  it('renews its lease while it works, so that no other loader takes the job', async () => {
    const id = await jobs.loaded([[SHOP]]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    sweep({ finalizeLeaseSeconds: 2, swapLockTimeoutMs: 20 });
    await until(id, `state = 'finalizing'`);
    const { rows } = await jobs.pool.query<{ lease_until: Date }>(
      'SELECT lease_until FROM sluice.job WHERE id = $1',
      [id],
    );
    // Two more of them, each by another process that would take over.
    sweep({ finalizeLeaseSeconds: 2 });
    await untilRow(
      jobs.pool,
      `SELECT FROM sluice.job WHERE id = $1 AND lease_until > $2::timestamptz + interval '2 seconds'`,
      [id, rows[0]?.lease_until],
    );
    expect(await jobs.end(id)).toMatchObject({ state: 'finalizing', epoch: 2 });
    await reader.end();
    await until(id, `state = 'succeeded' AND epoch = 2`);
  });

  it('says that another loader took the job that it finalized', async () => {
    const id = await jobs.loaded([[SHOP]]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    let lost = 0;
    sweep({ finalizeLeaseSeconds: 1, swapLockTimeoutMs: 20 }, { onLeaseLost: () => (lost += 1) });
    await until(id, `state = 'finalizing'`);
    await jobs.pool.query(
      `UPDATE sluice.job SET epoch = epoch + 1, owner = 'other', lease_until = now() + interval '1 hour' WHERE id = $1`,
      [id],
    );
    await eventually(() => lost === 1, 'the loss to be noticed');
    await reader.end();
  });

  it('leaves a job within seconds when it is cancelled, drops its staging, and says what was read', async () => {
    const id = await jobs.loaded([[SHOP, 'refused']]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    sweep({ swapLockTimeoutMs: 20 });
    await untilRow(
      jobs.pool,
      `SELECT FROM pg_class WHERE relname LIKE '%shop_pkey' AND relnamespace = 'sluice_staging'::regnamespace`,
    );
    await jobs.pool.query(
      `UPDATE sluice.job SET state = 'cancelled', finished_at = now(), owner = NULL, lease_until = NULL, epoch = epoch + 1,
         announced = false WHERE id = $1`,
      [id],
    );
    await until(id, 'announced AND counts IS NOT NULL');
    await reader.end();
    await eventually(async () => (await jobs.stagingTables()).length === 0, 'staging to go');
    expect(await jobs.end(id)).toMatchObject({ state: 'cancelled', counts: { read: 2, loaded: 0 } });
    expect(announced).toContain('cancelled');
  });

  it('releases a job when it is stopped, and the next one continues where it was', async () => {
    const id = await jobs.loaded([[SHOP]]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    const one = sweep({ swapLockTimeoutMs: 20 });
    await untilRow(
      jobs.pool,
      `SELECT FROM pg_class WHERE relname LIKE '%sale_item_idx' AND relnamespace = 'sluice_staging'::regnamespace`,
    );
    await one.stop();
    const { rows } = await jobs.pool.query(`SELECT state, owner, lease_until FROM sluice.job WHERE id = $1`, [
      id,
    ]);
    expect(rows).toEqual([{ state: 'finalizing', owner: null, lease_until: null }]);
    await reader.end();
    sweep();
    await until(id, `state = 'succeeded' AND epoch = 3`);
  });

  it('counts and logs the ends of jobs, counts those whose sums do not add up, and the time of each step', async () => {
    const registry = new Registry();
    const metrics = new LoaderMetrics(registry, await loadRegistry());
    const linesOf = async (name: string): Promise<string[]> =>
      (await registry.getSingleMetricAsString(name)).split('\n');
    expect(await linesOf('sluice_balance_failures_total')).toContain(
      'sluice_balance_failures_total{dataset="tax-registration"} 0',
    );
    const good = await jobs.loaded([[SHOP]]);
    const lines: { ended?: string; msg: string }[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as (typeof lines)[number]);
    const endLines = (): unknown[] => lines.filter(({ ended }) => ended !== undefined);
    const counted = {
      logger: loggerTo({ write }, 'loader', 'info'),
      onUnbalanced: (dataset: string) => {
        metrics.unbalanced(dataset);
      },
      onAnnounced: (job: EndedJob) => {
        metrics.ended(job);
      },
      onStepEnd: (_job: unknown, step: FinalizeStep, seconds: number) => {
        metrics.stepEnded(step, seconds);
      },
    };
    sweep({}, counted);
    const linesWith = (name: string, line: string): Promise<unknown> =>
      eventually(async () => (await linesOf(name)).includes(line), line);
    await linesWith(
      'sluice_jobs_ended_total',
      'sluice_jobs_ended_total{dataset="shops",state="succeeded"} 1',
    );
    await until(good, 'announced');
    // AN3.
    const line = {
      msg: 'the job has ended',
      dataset: 'shops',
      records: 1,
      loaded: 1,
      refused: 0,
      superseded: 0,
    };
    expect(endLines()).toMatchObject([{ ...line, job: good, ended: 'succeeded', level: 'info' }]);
    expect(await linesOf('sluice_finalize_step_seconds')).toContain(
      'sluice_finalize_step_seconds_count{step="swap"} 1',
    );
    await harness.stop();
    const bad = await jobs.loaded([[SHOP]]);
    await jobs.pool.query('UPDATE sluice.job SET total_records = 2 WHERE id = $1', [bad]);
    sweep({}, counted);
    await linesWith('sluice_jobs_ended_total', 'sluice_jobs_ended_total{dataset="shops",state="failed"} 1');
    expect(await linesOf('sluice_balance_failures_total')).toContain(
      'sluice_balance_failures_total{dataset="shops"} 1',
    );
    const failed = { job: bad, ended: 'failed', level: 'warn', code: 'JOB_UNBALANCED', loaded: 0 };
    expect(endLines().slice(1)).toMatchObject([{ ...line, ...failed }]);
  });

  it('announces until it is announced', async () => {
    const id = await jobs.loaded([[SHOP]]);
    let tries = 0;
    const { announceJob } = announcer;
    sweep(
      {},
      {
        announcer: {
          ...announcer,
          announceJob: (job) =>
            tries++ < 2 ? Promise.reject(new RangeError('no broker')) : announceJob(job),
        },
      },
    );
    await until(id, 'announced AND counts IS NOT NULL');
    expect(announced).toEqual(['succeeded']);
  });

  it('announces the end of a job that its ingestor failed once its counts are written, not before', async () => {
    const id = await jobs.loaded([[SHOP, 'refused']]);
    await jobs.pool.query(
      `UPDATE sluice.job SET state = 'failed', finished_at = now(), announced = false WHERE id = $1`,
      [id],
    );
    const repository = new AnnounceRepository(jobs.pool, 'tester');
    expect(await repository.take(id)).toMatchObject({ end: false });
    await repository.giveBack(id);
    sweep();
    await until(id, 'announced');
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 2, refused: 1 }, findings: { BAD_NAME: 1 } });
    expect(announced).toContain('failed');
  });

  it('announces refusals while the job still runs', async () => {
    const id = await jobs.loaded([[SHOP], [SHOP]]);
    await jobs.pool.query('DELETE FROM sluice.ledger WHERE job = $1 AND batch = 1', [id]);
    await jobs.pool.query('UPDATE sluice.ledger SET refusals_announced = false WHERE job = $1', [id]);
    sweep();
    await untilRow(jobs.pool, 'SELECT FROM sluice.ledger WHERE job = $1 AND refusals_announced', [id]);
    expect(announced).toEqual(['refusals']);
  });

  it('announces other jobs though one cannot be announced, which says so when it has ended (AN1, AN2)', async () => {
    const ids = [
      await jobs.loaded([[SHOP]], { mode: 'append' }),
      await jobs.loaded([['skipped', SHOP]], { mode: 'append', dataset: 'shops-too' }),
    ];
    // The one that comes first, and the second held back until that has failed.
    const [stuck = '', other = ''] = ids.sort();
    const { announceRefusals } = announcer;
    let isWell = false;
    let failures = 0;
    await jobs.pool.query('UPDATE sluice.ledger SET refusals_announced = false WHERE job = $1', [stuck]);
    const hold = `UPDATE sluice.job SET lease_until = now() + $2 * interval '1 hour' WHERE id = $1`;
    await jobs.pool.query(hold, [other, 1]);
    sweep(
      {},
      {
        datasets: new Map(['shops', 'shops-too'].map((name) => [name, SHOPS])),
        onAnnounceFailure: () => (failures += 1),
        announcer: {
          ...announcer,
          announceRefusals: (job) =>
            job === stuck && !isWell ? Promise.reject(new RangeError('unreadable')) : announceRefusals(job),
        },
      },
    );
    await eventually(() => failures > 0, 'a failure');
    await jobs.pool.query(hold, [other, -1]);
    await until(other, 'announced AND counts IS NOT NULL');
    await until(stuck, `state = 'succeeded' AND wait->>'code' = 'OUTBOX_BEHIND' AND NOT announced`);
    isWell = true;
    await until(stuck, 'announced AND wait IS NULL');
  });

  it('finalizes while something cannot be announced, and announces while a job is finalized', async () => {
    const slow = await jobs.loaded([[SHOP]]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    sweep({ finalizeAtOnce: 1, swapLockTimeoutMs: 20 });
    await until(slow, `state = 'finalizing'`);
    const ended = await jobs.loaded([['refused']], { dataset: 'other' });
    await jobs.pool.query(
      `UPDATE sluice.job SET state = 'failed', finished_at = now(), announced = false WHERE id = $1`,
      [ended],
    );
    await until(ended, 'announced');
    expect(await jobs.end(slow)).toMatchObject({ state: 'finalizing' });
  });

  it('finalizes a small job before large ones that wait, and a large one says that it waits for a place (DJ1)', async () => {
    const names = ['large-1', 'large-2', 'large-3', 'small'];
    const datasets = new Map(names.map((name) => [name, SHOPS]));
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    const large: string[] = [];
    for (const dataset of names.slice(0, 3)) {
      const id = await jobs.loaded([[SHOP]], { dataset });
      await jobs.pool.query('UPDATE sluice.job SET expected_bytes = $2 WHERE id = $1', [id, 2 ** 30]);
      large.push(id);
    }
    sweep({ finalizeAtOnce: 3, swapLockTimeoutMs: 20, sweepIntervalMs: 20 }, { datasets });
    const finalizing = `SELECT FROM sluice.job WHERE state = 'finalizing' HAVING count(*) = 2`;
    await untilRow(jobs.pool, finalizing);
    await untilRow(
      jobs.pool,
      `SELECT FROM sluice.job WHERE id = ANY($1) AND state = 'running' AND wait->>'code' = 'SLOT_TAKEN'`,
      [large],
    );
    const small = await jobs.loaded([[SHOP]], { dataset: 'small', dryRun: true });
    await until(small, `state = 'succeeded'`);
    await untilRow(jobs.pool, finalizing);
    await reader.end();
    for (const id of large) await until(id, `state = 'succeeded' AND wait IS NULL`);
  });

  it('two loaders finalize each job once', async () => {
    const names = ['shops', 'more-shops'];
    const datasets = new Map<string, FinalizedDataset>(names.map((name) => [name, SHOPS]));
    const ids = [
      await jobs.loaded([[SHOP]], { mode: 'append' }),
      await jobs.loaded([[SHOP]], { mode: 'append', dataset: 'more-shops' }),
    ];
    sweep({}, { datasets });
    sweep({}, { datasets });
    for (const id of ids) await until(id, 'announced AND counts IS NOT NULL');
    const ends = await Promise.all(ids.map((id) => jobs.end(id)));
    expect(ends.map(({ epoch }) => epoch)).toEqual([2, 2]);
    expect(ends.map(({ counts }) => counts?.inserted).sort()).toEqual([0, 1]);
  });
});
