import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { JobWait } from '#api/job-facts.js';
import { JOB_STATES } from '#api/job-words.js';
import { StagedJobs } from '#test/support/staged-job.js';
import { clearWait, declareWait, isWaitOf } from './job-wait.js';

describe('the declared wait of a job', () => {
  let jobs: StagedJobs;
  let id: string;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    id = await jobs.loaded([['skipped']]);
  });
  afterAll(() => jobs.stop());

  async function wait(): Promise<JobWait | null> {
    const { rows } = await jobs.pool.query<{ wait: JobWait | null }>('SELECT wait FROM sluice.job');
    return rows[0]?.wait ?? null;
  }

  it('keeps its beginning while stage and code stay the same, and is news once (JW-2)', async () => {
    const behind = { stage: 'load', code: 'STAGE_BEHIND', message: '3 messages wait' } as const;
    expect(await declareWait(jobs.pool, id, behind)).toBe(true);
    const first = await wait();
    expect(first).toEqual({ ...behind, since: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T/) });
    expect(await declareWait(jobs.pool, id, { ...behind, message: '2 messages wait' })).toBe(false);
    expect(await wait()).toEqual({ ...first, message: '2 messages wait' });
    expect(await declareWait(jobs.pool, id, { ...behind, stage: 'validate' })).toBe(true);
    expect((await wait())?.since).not.toBe(first?.since);
  });

  it('is cleared by stage (JW-3)', async () => {
    await declareWait(jobs.pool, id, { stage: 'finalize', code: 'SLOT_TAKEN', message: 'full' });
    await clearWait(jobs.pool, id, ['load', 'validate']);
    expect(await wait()).toMatchObject({ code: 'SLOT_TAKEN' });
    await clearWait(jobs.pool, id, ['finalize']);
    expect(await wait()).toBeNull();
  });

  it('is true of states in which its stage can wait', () => {
    const states = (stage: JobWait['stage']): string[] =>
      JOB_STATES.filter((state) => isWaitOf(state, { stage, code: 'STAGE_BEHIND', message: '', since: '' }));
    expect(states('load')).toEqual(['queued', 'running']);
    expect(states('finalize')).toEqual(['running', 'finalizing']);
    expect(states('announce')).toEqual(['succeeded', 'failed', 'cancelled']);
  });
});
