import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SHOP_PLAN, StagedJobs } from '../../../../test/support/staged-job.js';
import { FinalizeConfig } from './finalize.config.js';
import { FinalizeRepository } from './finalize.repository.js';
import { Finalizer } from './finalizer.js';
import type { FinalizingJob } from './finalizing-job.js';

const DATASET = { tables: SHOP_PLAN, keepOfDuplicates: 'first' } as const;

describe('Finalizer', () => {
  let jobs: StagedJobs;
  let config: FinalizeConfig;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    config = new FinalizeConfig();
    await jobs.pool.query(`TRUNCATE public.shop, public.sale; DELETE FROM sluice.job`);
  });

  async function claim(owner = 'tester'): Promise<FinalizingJob> {
    const job = await new FinalizeRepository(jobs.pool, owner, 30).claimNext(['shops']);
    expect(job).not.toBeNull();
    return job!;
  }

  it('swaps in a whole snapshot, parents and children', async () => {
    await jobs.pool.query(`INSERT INTO public.shop VALUES ('9', 'old')`);
    const id = await jobs.loaded([
      [{ number: '1', name: 'a', items: ['x', 'y'] }, 'skipped'],
      [{ number: '2', name: 'b' }, 'refused'],
    ]);
    const steps: string[] = [];
    await new Finalizer(jobs.pool, config).finalize(await claim(), DATASET, (step) => steps.push(step));
    expect(await jobs.shops()).toEqual(['1 a x+y', '2 b']);
    expect(await jobs.end(id)).toMatchObject({
      state: 'succeeded',
      announced: false,
      counts: { read: 4, loaded: 2, inserted: 2 },
    });
    expect(await jobs.stagingTables()).toEqual([]);
    expect(steps).toEqual(['check', 'index', 'constraints', 'analyze', 'check', 'snapshots', 'swap']);
  });
});
