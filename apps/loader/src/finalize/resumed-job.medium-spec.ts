import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import type { ResumeRequest } from '#api/jobs.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { SweepHarness, untilRow } from '#test/support/finalizing.js';
import { type JobOptions, type Shop, StagedJobs, type Unaccepted } from '#test/support/staged-job.js';

const shops = (count: number): Shop[] =>
  Array.from({ length: count }, (_, i) => ({ number: String(100 + i), name: `s${i}`, items: ['x'] }));

/** FZ1 once more: a job that had failed is finalized from what is there. */
describe('a failed job that is resumed', () => {
  let jobs: StagedJobs;
  let database: DataSource;
  let operator: OperatorRepository;
  let harness: SweepHarness;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    database = await controlDatabase({ url: jobs.url, applicationName: 'test' }).initialize();
    operator = new OperatorRepository(database);
  });
  afterAll(async () => {
    await database.destroy();
    await jobs.stop();
  });
  beforeEach(async () => {
    await jobs.reset();
    harness = new SweepHarness(jobs);
  });
  afterEach(() => harness.stop());

  const until = (id: string, condition: string): Promise<void> =>
    untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND ${condition}`, [id]);

  /** Runs a job that fails with `code`, fixes what made it fail, and resumes it. @returns its end */
  async function failAndResume(
    records: (Shop | Unaccepted)[],
    options: JobOptions,
    code: string,
    fix: () => Promise<ResumeRequest>,
  ): Promise<void> {
    const before = await jobs.shops();
    const id = await jobs.loaded([records], options);
    harness.sweep();
    await until(id, `state = 'failed' AND announced`);
    expect((await jobs.end(id)).error).toMatchObject({ code });
    expect(await jobs.shops()).toEqual(before);
    await operator.resume(id, await fix());
    await until(id, `state <> 'running' AND state <> 'finalizing' AND announced`);
    expect(await jobs.end(id)).toMatchObject({ state: 'succeeded', error: null });
    expect(harness.announced.filter((what) => what !== 'refusals')).toEqual(['failed', 'succeeded']);
    expect(await jobs.stagingTables()).toEqual([]);
  }

  it('may shrink the table if the operator allows it', async () => {
    await jobs.pool.query(`INSERT INTO public.shop SELECT i, 'old' FROM generate_series(1, 9) AS i`);
    await failAndResume(
      [...shops(2), ...shops(1)],
      { maxShrinkShare: 0.2, maxRefusedShare: 1 },
      'JOB_SHRINKS',
      () => Promise.resolve({ allowShrink: true }),
    );
    expect(await jobs.shops()).toEqual(['100 s0 x', '101 s1 x']);
  });

  it.each(['replace', 'append', 'upsert'] as const)(
    'may have a higher refused share, by %s',
    async (mode) => {
      const records = [...shops(95), ...Array.from({ length: 5 }, () => 'refused' as const)];
      await failAndResume(records, { mode, maxRefusedShare: 0.01 }, 'JOB_REFUSED_SHARE', () =>
        Promise.resolve({ maxRefusedShare: 0.05 }),
      );
      expect(await jobs.shops()).toHaveLength(95);
    },
  );

  it('may have its duplicates refused, which were counted only after settling', async () => {
    await failAndResume([...shops(97), ...shops(3)], { maxRefusedShare: 0.01 }, 'JOB_REFUSED_SHARE', () =>
      Promise.resolve({ maxRefusedShare: 0.05 }),
    );
    expect(await jobs.shops()).toHaveLength(97);
  });

  it('is merged when the target was fixed', async () => {
    await jobs.pool.query(`
      CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER swallow BEFORE INSERT ON public.sale FOR EACH ROW EXECUTE FUNCTION public.swallow()`);
    const record = { number: '3', name: 'c', items: ['q'] };
    await failAndResume([record], { mode: 'append' }, 'TARGET_LOSES_ROWS', async () => {
      await jobs.pool.query('DROP FUNCTION public.swallow CASCADE');
      return {};
    });
    expect(await jobs.shops()).toEqual(['3 c q']);
  });

  it('goes in when a column that was altered is as it was', async () => {
    await jobs.pool.query('ALTER TABLE public.sale ADD note text');
    const id = await jobs.loaded([shops(2)]);
    await jobs.pool.query('ALTER TABLE public.sale DROP note');
    harness.sweep();
    await until(id, `state = 'failed'`);
    expect((await jobs.end(id)).error).toMatchObject({ code: 'TARGET_CHANGED' });
    await jobs.pool.query('ALTER TABLE public.sale ADD note text');
    await operator.resume(id);
    await until(id, `state = 'succeeded'`);
    await jobs.pool.query('ALTER TABLE public.sale DROP note');
  });

  it('fails once more when nothing was fixed, and can still be resumed', async () => {
    await jobs.pool.query(`INSERT INTO public.shop SELECT i, 'old' FROM generate_series(1, 9) AS i`);
    const id = await jobs.loaded([shops(2)], { maxShrinkShare: 0.2 });
    harness.sweep();
    await until(id, `state = 'failed'`);
    await operator.resume(id);
    await until(id, `state = 'failed' AND epoch = 3 AND resumable`);
    expect(await jobs.stagingTables()).not.toEqual([]);
  });
});
