import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { Health } from '#common/http/health.controller.js';
import { JobPoller } from './job-poller.js';

describe('JobPoller', () => {
  let looks: number;
  let poller: JobPoller;

  beforeEach(() => {
    jest.useFakeTimers();
    looks = 0;
    const jobs = {
      claimNext: () => {
        looks += 1;
        return Promise.resolve(null);
      },
    };
    const logger = pino({ level: 'silent' });
    poller = new JobPoller(
      jobs as never,
      { close: () => Promise.resolve() } as never,
      { jobsAtOnce: 1 } as never,
      new Health(),
      'i',
      logger,
    );
    poller.onApplicationBootstrap();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  const settle = (ms = 0): Promise<void> => jest.advanceTimersByTimeAsync(ms);

  /** Without the pause between two looks. */
  const endsAtOnce = async (): Promise<boolean> => {
    let hasEnded = false;
    void poller.beforeApplicationShutdown().then(() => (hasEnded = true));
    await settle();
    return hasEnded;
  };

  it('looks for jobs twice a second, a tenth sooner or later, and at once when it is woken', async () => {
    await settle();
    expect(looks).toBe(1);
    poller.wake();
    await settle();
    expect(looks).toBe(2);
    await settle(449);
    expect(looks).toBe(2);
    await settle(101);
    expect(looks).toBe(3);
    expect(await endsAtOnce()).toBe(true);
  });

  it('ends at once, and does not look again', async () => {
    await settle();
    expect(await endsAtOnce()).toBe(true);
    await settle(5_000);
    expect(looks).toBe(1);
  });
});
