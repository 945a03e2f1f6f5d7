import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { inTransaction } from '#common/postgres/pool.js';
import { KnownTargets } from '#core/staging/known-targets.js';
import { SHOPS, claimJob } from '#test/support/finalizing.js';
import { targetsOf } from '#core/staging/table-plan.js';
import { SHOP_PLAN, StagedJobs } from '#test/support/staged-job.js';
import { FinalizeConfig } from './finalize.config.js';
import { Merging } from './merging.js';
import { Preparation } from './prepare.js';
import { StepRunner } from './step-runner.js';

let jobs: StagedJobs;
beforeAll(async () => {
  jobs = await StagedJobs.start();
});
afterAll(() => jobs.stop());

it('a merge that fails forgets what was known of its tables (KT3)', async () => {
  await jobs.pool.query(`
    CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER swallow BEFORE INSERT ON public.shop FOR EACH ROW EXECUTE FUNCTION public.swallow()`);
  const known = new KnownTargets();
  /** @returns how many queries it took: one when they are known */
  const look = (): Promise<number> =>
    inTransaction(jobs.pool, async (client) => {
      let queries = 0;
      const counting = {
        query: (sql: string, parameters?: unknown[]) => {
          queries += 1;
          return client.query(sql, parameters);
        },
      } as Parameters<KnownTargets['forMerge']>[0];
      await known.forMerge(counting, targetsOf(SHOP_PLAN));
      return queries;
    });
  await jobs.loaded([[{ number: '1', name: 'a' }]], { mode: 'append' });
  await look();
  expect(await look()).toBe(1);
  const config = new FinalizeConfig();
  const runner = new StepRunner(jobs.pool, await claimJob(jobs), config);
  const onStep = (): void => undefined;
  const merging = new Merging(runner, new Preparation(runner, SHOPS, config, onStep), SHOPS, onStep, known);
  await expect(merging.run()).rejects.toMatchObject({ code: 'TARGET_LOSES_ROWS' });
  expect(await look()).toBeGreaterThan(1);
});
