import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ApiServer, JOB_ID, jobDetail } from '#test/support/cli/api-server.js';
import { SluiceClient } from '../client.js';
import type { Progress } from '../render/progress.js';
import { followJob, type Followed, type Waiting } from './follow-job.js';

const succeeded = jobDetail({ state: 'succeeded', deadLetters: { known: 5, expected: 5, complete: true } });

describe('following a job', () => {
  let api: ApiServer;
  let notes: string[];
  let updates: string[];
  const controller = new AbortController();

  beforeEach(async () => {
    api = await ApiServer.start();
    notes = [];
    updates = [];
  });

  afterEach(() => api.close());

  const progress: Progress = {
    update: (job) => updates.push(job.state),
    note: (text) => notes.push(text),
    stop: () => undefined,
  };

  function follow(waiting: Partial<Waiting> = {}, signal = controller.signal): Promise<Followed> {
    const client = new SluiceClient({ ingestorUrl: api.url, trackerUrl: api.url });
    const all = { quietMs: 10, pollMs: 10, patienceMs: 60_000, settleMs: 60_000, ...waiting };
    return followJob(client, JOB_ID, progress, signal, all);
  }

  it('FJ1: asks by itself when the event stream stands and says nothing', async () => {
    api.tell(jobDetail({ state: 'running' }));
    const followed = follow();
    await api.until(() => api.listeners === 1);
    api.jobs.set(JOB_ID, succeeded); // and no event
    expect((await followed).job.state).toBe('succeeded');
  });

  it('FJ1: takes an event that it does not understand for a hint', async () => {
    api.tell(jobDetail({ state: 'running' }));
    const followed = follow({ quietMs: 60_000 });
    await api.until(() => api.listeners === 1);
    api.jobs.set(JOB_ID, succeeded);
    api.sendEvent('something new');
    expect((await followed).job.state).toBe('succeeded');
  });

  it('FJ2: waits until the tracker knows every refused record', async () => {
    const known = (count: number): void => {
      api.tell(
        jobDetail({ state: 'succeeded', deadLetters: { known: count, expected: 5, complete: count === 5 } }),
      );
    };
    known(3);
    const followed = follow();
    await api.until(() => api.listeners === 1);
    known(4);
    const asked = api.asked.length;
    await api.until(() => api.asked.length > asked + 1);
    known(5);
    expect((await followed).job.deadLetters.known).toBe(5);
    expect(notes).toEqual([]);
  });

  it('FJ2: does not wait for ever for dead letters that never come', async () => {
    api.tell(jobDetail({ state: 'succeeded', deadLetters: { known: 3, expected: 5, complete: false } }));
    expect((await follow({ settleMs: 50 })).job.state).toBe('succeeded');
    expect(notes).toEqual(['The tracker knows 3 of 5 refused records so far; the rest will follow.']);
  });

  it('FJ3: waits for a tracker that falls silent, and says so once', async () => {
    api.tell(jobDetail({ state: 'running' }));
    const followed = follow();
    await api.until(() => api.listeners === 1);
    api.isSilent = true;
    api.dropStreams();
    await api.until(() => api.turnedAway >= 4);
    api.jobs.set(JOB_ID, succeeded);
    api.isSilent = false;
    expect((await followed).job.state).toBe('succeeded');
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain('The job continues; asking again.');
  });

  it('FJ3: gives up when its patience is over', async () => {
    api.tell(jobDetail({ state: 'running' }));
    const followed = follow({ patienceMs: 0 });
    await api.until(() => api.listeners === 1);
    api.isSilent = true;
    api.dropStreams();
    await expect(followed).rejects.toMatchObject({ code: 'SYSTEM_UNREACHABLE' });
  });

  it('FJ4: lets go at once, without touching the job', async () => {
    api.tell(jobDetail({ state: 'running' }));
    const detach = new AbortController();
    const followed = follow({ quietMs: 60_000, pollMs: 60_000 }, detach.signal);
    await api.until(() => api.listeners === 1);
    detach.abort();
    expect(await followed).toMatchObject({ detached: true, job: { state: 'running' } });
    expect(api.posted).toEqual([]);
  });

  it.each([
    ['paused', { state: 'paused', pauseReason: 'operator' }],
    [
      'stuck',
      {
        state: 'running',
        problem: { code: 'BATCHES_MISSING', message: '', action: '', firstMissingBatch: 1 },
      },
    ],
  ] as const)('FJ5: does not wait with a job that is %s, now or later', async (_what, facts) => {
    const waiting = jobDetail(facts);
    api.tell(waiting);
    expect(await follow()).toEqual({ job: waiting, detached: false });
    api.tell(jobDetail({ state: 'running' }));
    const followed = follow({ quietMs: 60_000 });
    await api.until(() => api.listeners === 1);
    api.tell(waiting);
    expect(await followed).toEqual({ job: waiting, detached: false });
  });

  it('an unknown job is reported at once', async () => {
    await expect(follow()).rejects.toMatchObject({ code: 'JOB_UNKNOWN' });
  });

  it('a job that is over needs no waiting', async () => {
    api.tell(succeeded);
    expect(await follow()).toMatchObject({ detached: false });
    expect(updates).toEqual(['succeeded']);
    expect(api.listeners).toBe(0);
  });
});
