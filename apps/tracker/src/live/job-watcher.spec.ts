import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { lastValueFrom, toArray } from 'rxjs';
import type { JobDetail } from '#core/job/job-view.js';
import { eventually } from '#test/support/eventually.js';
import { JobWatcher } from './job-watcher.js';
import type { LiveTiming } from './live-timing.js';

const EVERY_MILLISECOND = { pollIntervalMs: 1, heartbeatIntervalMs: 1_000 };
const ONLY_ONCE = { pollIntervalMs: 1_000_000, heartbeatIntervalMs: 1_000_000 };

describe('JobWatcher', () => {
  it('asks once for any number of watchers, and not at all when nobody watches (W1)', async () => {
    const { watcher, asked } = watching([running('1')], ONLY_ONCE);
    const watch = watcher.watch('job');
    expect(asked()).toBe(0);
    const seen: string[] = [];
    const first = watch.subscribe(({ step }) => seen.push(`first ${step}`));
    const second = watcher.watch('job').subscribe(({ step }) => seen.push(`second ${step}`));
    await until(() => seen.length === 2);
    // W2: a late joiner gets the latest view without another question.
    const third = watch.subscribe(({ step }) => seen.push(`third ${step}`));
    expect(seen).toEqual(['first 1', 'second 1', 'third 1']);
    expect(asked()).toBe(1);
    expect(watcher.watchedJobs).toBe(1);
    for (const subscription of [first, second, third]) subscription.unsubscribe();
    expect(watcher.watchedJobs).toBe(0);
  });

  it('tells of changes only; time going by is none (W2)', async () => {
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

  it('asks at once when an event has told of the job, and of no other (W2)', async () => {
    const { watcher, asked } = watching([running('a'), succeeded('b', true)], ONLY_ONCE);
    const seen: (string | null)[] = [];
    watcher.watch('job').subscribe(({ step }) => seen.push(step));
    await until(() => seen.length === 1);
    watcher.look(['another']);
    expect(asked()).toBe(1);
    watcher.look(['another', 'job']);
    await until(() => seen.length === 2);
    expect(seen).toEqual(['a', 'b']);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('hears of the end of a young job before the next question, and of nothing else (W1)', async () => {
    const { watcher, asked } = watching([running('a'), running('b'), running('c'), succeeded('d', true)], {
      ...ONLY_ONCE,
      early: { intervalMs: 1, looks: 100 },
    });
    expect(await all(watcher)).toEqual(['a', 'd']);
    expect(asked()).toBe(4);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('looks for an early end for a while only (W1)', async () => {
    const { watcher, asked } = watching([running('a')], { ...ONLY_ONCE, early: { intervalMs: 1, looks: 3 } });
    const seen: (string | null)[] = [];
    watcher.watch('job').subscribe(({ step }) => seen.push(step));
    await until(() => asked() === 4);
    watcher.look(['job']);
    await until(() => asked() === 5);
    expect(seen).toEqual(['a']);
    watcher.endAll();
  });

  it('ends with the view after which nothing changes, and leaves nothing behind (W3)', async () => {
    const { watcher, asked } = watching([running('a'), succeeded('b', true), running('c')]);
    expect(await all(watcher)).toEqual(['a', 'b']);
    expect(asked()).toBe(2);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('watches again when a failed job was resumed after its watch had ended (W3)', async () => {
    const failed = { ...succeeded('a', true), state: 'failed' } as JobDetail;
    const { watcher } = watching([failed, running('b'), succeeded('c', true)]);
    expect(await all(watcher)).toEqual(['a']);
    expect(await all(watcher)).toEqual(['b', 'c']);
    expect(watcher.watchedJobs).toBe(0);
  });

  it('ends when the job is gone (W3)', async () => {
    expect(await all(watching([running('a'), null]).watcher)).toEqual(['a']);
  });

  it('goes on after the database was away (W3)', async () => {
    const away = new TypeError('away');
    expect(await all(watching([running('a'), away, away, succeeded('b', true)]).watcher)).toEqual(['a', 'b']);
  });

  it('ends at shutdown (W3)', async () => {
    const { watcher, asked } = watching([running('a')]);
    const everything = all(watcher);
    await until(() => asked() > 2);
    watcher.endAll();
    expect(await everything).toEqual(['a']);
    expect(watcher.watchedJobs).toBe(0);
  });
});

/** As much of a view as the watcher looks at; `step` tells one from another. */
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
): { watcher: JobWatcher; asked: () => number } {
  let asked = 0;
  const detail = (): Promise<JobDetail | null> => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? null);
  };
  return { watcher: new JobWatcher({ detail }, pino({ level: 'silent' }), timing), asked: () => asked };
}

/** The steps of every view until the watch ends. */
async function all(watcher: JobWatcher): Promise<(string | null)[]> {
  const views = await lastValueFrom(watcher.watch('job').pipe(toArray()));
  return views.map(({ step }) => step);
}

function until(holds: () => boolean): Promise<true> {
  return eventually(holds, 'what the test waits for', 4_000);
}
