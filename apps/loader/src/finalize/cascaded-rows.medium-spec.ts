import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { finalizeJob, untilRow } from '#test/support/finalizing.js';
import { StagedJobs } from '#test/support/staged-job.js';

/** Tables that are being made for a swap have the target's foreign keys already, and what those do to their rows. */
describe('rows that go from staging with rows of other tables', () => {
  let jobs: StagedJobs;
  let id: string;
  const untilWaiting = (table: string): Promise<void> =>
    untilRow(
      jobs.pool,
      `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND relation = $1::regclass
         AND application_name LIKE 'sluice-finalize:%'`,
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
    // The targets have been looked at when the finalizer waits here; it needs them again when it counts their rows.
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
