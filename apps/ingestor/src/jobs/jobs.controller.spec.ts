import { beforeEach, describe, expect, it } from '@jest/globals';
import { JobsController } from './jobs.controller.js';

const JOB = { id: '01890000-0000-7000-8000-000000000001', dataset: 'shops', state: 'queued' } as const;

describe('JobsController', () => {
  let said: string[];
  let controller: JobsController;

  beforeEach(() => {
    said = [];
    const done = (what: string) => () => {
      said.push(what);
      return Promise.resolve(JOB);
    };
    controller = new JobsController(
      { start: done('queued') } as never,
      { resume: done('resumed'), resumeNewest: done('newest resumed') } as never,
      {
        wake: () => said.push('woken'),
        begin: (create: (owner: string) => Promise<unknown>) => {
          said.push('begun here');
          return create('here');
        },
      } as never,
      { isProvedBy: () => false } as never,
    );
  });

  it('has a job begun as soon as it is queued or resumed, not at the next look', async () => {
    await controller.start({ dataset: 'shops' }, undefined, { setHeader: () => undefined });
    await controller.resume(JOB.id, {});
    await controller.resumeNewest({});
    expect(said).toEqual(['begun here', 'queued', 'resumed', 'woken', 'newest resumed', 'woken']);
  });
});
