import { describe, expect, it } from '@jest/globals';
import type { JobState } from '#api/job-words.js';
import { nextStep } from './replay.js';

const open = (...states: JobState[]): { job: string; state: JobState }[] =>
  states.map((state, at) => ({ job: `job ${at}`, state }));

describe('the next step of a replay', () => {
  it.each<[string, JobState[], boolean, number, unknown]>([
    ['begins the first one', [], true, 1, { do: 'begin' }],
    ['begins another one while there is room (RE1)', ['running', 'queued'], true, 3, { do: 'begin' }],
    ['waits while there is none (RE1)', ['running', 'queued'], true, 2, { do: 'wait', standing: null }],
    ['waits for the last ones', ['finalizing'], false, 4, { do: 'wait', standing: null }],
    ['begins beside a paused one', ['paused'], true, 2, { do: 'begin' }],
    [
      'names a paused one that it waits for',
      ['running', 'paused'],
      false,
      2,
      { do: 'wait', standing: { job: 'job 1', state: 'paused' } },
    ],
    [
      'waits behind a failed one (RE2)',
      ['running', 'failed'],
      true,
      9,
      { do: 'wait', standing: { job: 'job 1', state: 'failed' } },
    ],
    ['ends (RE3)', [], false, 4, { do: 'end' }],
  ])('%s', (_what, states, isWaiting, atOnce, step) => {
    expect(nextStep(open(...states), isWaiting, atOnce)).toEqual(step);
  });
});
