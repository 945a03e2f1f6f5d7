import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { Health } from '#common/http/health.controller.js';
import { JobPoller } from './job-poller.js';

describe('JobPoller', () => {
  let looks: number;
  let poller: JobPoller;
  /** Ends of the jobs that run, by id. */
  let running: Map<string, () => void>;
  /** Jobs that wait, the oldest first. */
  let queued: string[];

  beforeEach(() => {
    jest.useFakeTimers();
    looks = 0;
    running = new Map();
    queued = [];
    const jobs = {
      claimNext: () => {
        looks += 1;
        const id = queued.shift();
        return Promise.resolve(id === undefined ? null : { id, epoch: 1 });
      },
    };
    const logger = pino({ level: 'silent' });
    poller = new JobPoller(
      jobs as never,
      {
        run: ({ id }: { id: string }) => new Promise<void>((resolve) => running.set(id, resolve)),
        close: () => Promise.resolve(),
      } as never,
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

  it('polls for jobs once a second, a tenth sooner or later, and at once when it is woken', async () => {
    await settle();
    expect(looks).toBe(1);
    poller.wake();
    await settle();
    expect(looks).toBe(2);
    await settle(899);
    expect(looks).toBe(2);
    await settle(201);
    expect(looks).toBe(3);
    expect(await endsAtOnce()).toBe(true);
  });

  it('runs a job that is made here at once, claimed as it is made, while it has a place for it', async () => {
    const owners: (string | null)[] = [];
    const create = (id: string) => (owner: string | null) => {
      owners.push(owner);
      return Promise.resolve({ id });
    };
    await settle();
    // The first has the only place from the moment that it is being made.
    await Promise.all([poller.begin(create('first')), poller.begin(create('second'))]);
    expect(owners).toEqual(['i', null]);
    expect([...running.keys()]).toEqual(['first']);
    running.get('first')?.();
    await settle();
    await poller.begin(create('third'));
    expect(owners).toEqual(['i', null, 'i']);
    const ending = endsAtOnce();
    expect(await ending).toBe(false);
    running.get('third')?.();
    await settle();
    await poller.begin(create('fourth'));
    expect(owners.at(-1)).toBeNull();
    expect([...running.keys()]).toEqual(['first', 'third']);
  });

  it('runs jobs that wait before one that is made later, as soon as a run ends', async () => {
    queued.push('first', 'second');
    poller.wake();
    await settle();
    expect([...running.keys()]).toEqual(['first']);
    const owners: (string | null)[] = [];
    running.get('first')?.();
    // The place is free, and the poller has not looked yet.
    const beginning = poller.begin((owner) => {
      owners.push(owner);
      queued.push('third');
      return Promise.resolve({ id: 'third' });
    });
    await settle();
    await beginning;
    expect(owners).toEqual([null]);
    expect([...running.keys()]).toEqual(['first', 'second']);
    running.get('second')?.();
    await settle();
    expect([...running.keys()]).toEqual(['first', 'second', 'third']);
    running.get('third')?.();
  });

  it('keeps no place for a job that could not be made', async () => {
    await settle();
    const failing = poller.begin(() => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    await poller.begin((owner) => Promise.resolve({ id: String(owner) }));
    expect([...running.keys()]).toEqual(['i']);
    running.get('i')?.();
  });

  it('ends at once, and does not look again', async () => {
    await settle();
    expect(await endsAtOnce()).toBe(true);
    await settle(5_000);
    expect(looks).toBe(1);
  });
});
