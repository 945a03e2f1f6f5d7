import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { lastValueFrom, toArray } from 'rxjs';
import type { JobDetail } from '#api/jobs.js';
import { eventually } from '#test/support/eventually.js';
import { JobStreams } from './job-streams.js';
import type { LiveTiming } from './live-timing.js';

const EVERY_MILLISECOND = { pollIntervalMs: 1, heartbeatIntervalMs: 1_000 };
const ONLY_ONCE = { pollIntervalMs: 1_000_000, heartbeatIntervalMs: 1_000_000 };

describe('JobStreams', () => {
  it('queries once for any number of watchers, and never without a watcher (LS1)', async () => {
    const { watcher, asked } = watching([running('1')], ONLY_ONCE);
    const watch = watcher.watch('job');
    expect(asked()).toBe(0);
    const seen: string[] = [];
    const first = watch.subscribe(({ step }) => seen.push(`first ${step}`));
    const second = watcher.watch('job').subscribe(({ step }) => seen.push(`second ${step}`));
    await until(() => seen.length === 2);
    // LS2: a late joiner gets the latest view without another query.
    const third = watch.subscribe(({ step }) => seen.push(`third ${step}`));
    expect(seen).toEqual(['first 1', 'second 1', 'third 1']);
    expect(asked()).toBe(1);
    expect(watcher.watchedJobs).toBe(1);
    for (const subscription of [first, second, third]) subscription.unsubscribe();
    expect(watcher.watchedJobs).toBe(0);
  });

  it('sends changes only; passing time is none (LS2)', async () => {
    const { watcher } = watching([
      running('a', 10),
      running('a', 11),
      running('b', 12),
      running('b', 13),
      succeeded('c', false),
      succeeded('d', true),
    ]);
    expect(await all(watcher)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('queries at once after an event of the job, and of no other job (LS2)', async () => {
    const { watcher, asked } = watching([running('a'), succeeded('b', true)], ONLY_ONCE);
    const seen: (string | null)[] = [];
    watcher.watch('job').subscribe(({ step }) => seen.push(step));
    await until(() => seen.length === 1);
    watcher.refresh(['another']);
    expect(asked()).toBe(1);
    watcher.refresh(['another', 'job']);
    await until(() => seen.length === 2);
    expect(seen).toEqual(['a', 'b']);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('sees the end of a young job before the next query, and nothing else (LS1)', async () => {
    const { watcher, asked } = watching([running('a'), running('b'), running('c'), succeeded('d', true)], {
      ...ONLY_ONCE,
      early: { intervalMs: 1, looks: 100 },
    });
    expect(await all(watcher)).toEqual(['a', 'd']);
    expect(asked()).toBe(4);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('checks for an early end for two seconds only (LS1)', async () => {
    const { watcher, asked } = watching([running('a')], { ...ONLY_ONCE, early: { intervalMs: 1, looks: 3 } });
    const seen: (string | null)[] = [];
    watcher.watch('job').subscribe(({ step }) => seen.push(step));
    await until(() => asked() === 4);
    watcher.refresh(['job']);
    await until(() => asked() === 5);
    expect(seen).toEqual(['a']);
    watcher.endAll();
  });

  it('ends with the view after which nothing changes, and leaves nothing behind (LS3)', async () => {
    const { watcher, asked } = watching([running('a'), succeeded('b', true), running('c')]);
    expect(await all(watcher)).toEqual(['a', 'b']);
    expect(asked()).toBe(2);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('watches again when a failed job was resumed after its watch had ended (LS3)', async () => {
    const failed = { ...succeeded('a', true), state: 'failed' } as JobDetail;
    const { watcher } = watching([failed, running('b'), succeeded('c', true)]);
    expect(await all(watcher)).toEqual(['a']);
    expect(await all(watcher)).toEqual(['b', 'c']);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('ends when the job is gone (LS3)', async () => {
    expect(await all(watching([running('a'), null]).watcher)).toEqual(['a']);
  });

  it('continues after an outage of the database (LS3)', async () => {
    const away = new TypeError('away');
    expect(await all(watching([running('a'), away, away, succeeded('b', true)]).watcher)).toEqual(['a', 'b']);
  });

  it('ends at shutdown (LS3)', async () => {
    const { watcher, asked } = watching([running('a')]);
    const everything = all(watcher);
    await until(() => asked() > 2);
    watcher.endAll();
    expect(await everything).toEqual(['a']);
    expect(watcher.watchedJobs).toBe(0);
  });
});

/** As much of a view as the watcher reads; views differ in `step`. */
function running(step: string, seconds = 0): JobDetail {
  const deadLetters = { known: 0, expected: null, complete: false };
  return { state: 'running', counts: null, step, seconds, deadLetters } as unknown as JobDetail;
}

function succeeded(step: string, complete: boolean): JobDetail {
  return {
    state: 'succeeded',
    counts: null,
    step,
    seconds: 20,
    deadLetters: { known: 0, expected: 1, complete },
  } as JobDetail;
}

/** A watcher over a database that answers so, one after the other, and stays with the last. */
function watching(
  answers: (JobDetail | Error | null)[],
  timing: LiveTiming = EVERY_MILLISECOND,
): { watcher: JobStreams; asked: () => number } {
  let asked = 0;
  const detail = (): Promise<JobDetail | null> => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? null);
  };
  return { watcher: new JobStreams({ detail }, pino({ level: 'silent' }), timing), asked: () => asked };
}

/** The steps of every view until the watch ends. */
async function all(watcher: JobStreams): Promise<(string | null)[]> {
  const views = await lastValueFrom(watcher.watch('job').pipe(toArray()));
  return views.map(({ step }) => step);
}

function until(holds: () => boolean): Promise<true> {
  return eventually(holds, 'what the test waits for', 4_000);
}
