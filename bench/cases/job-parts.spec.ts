import { describe, expect, it } from '@jest/globals';
import { jobParts, stepsInLog } from './job-parts.js';

const JOB = '01a1fe3b-c7f5-76f8-b792-ccac69724fa7';
const TIMES = {
  createdAt: 1_000,
  startedAt: 1_100,
  ingestedAt: 4_000,
  validatedAt: 6_000,
  loadedAt: 7_000,
  visibleAt: 12_000,
  reportedAt: 13_500,
};
const STEPS = [
  { step: 'check', at: 7_200 },
  { step: 'index', at: 7_300 },
  { step: 'settle', at: 9_300 },
  { step: 'index', at: 9_800 },
  { step: 'swap', at: 11_800 },
];

const sum = (parts: Record<string, number>): number => Object.values(parts).reduce((a, b) => a + b, 0);

describe('parts of a job', () => {
  it('add up to the time from the request to the report, a step that comes twice being one', () => {
    const parts = jobParts(TIMES, STEPS);
    expect(parts).toEqual({
      'until started': 0.1,
      'until all ingested': 2.9,
      'until all validated': 2,
      'until all loaded': 1,
      'until finalizing': 0.2,
      check: 0.1,
      index: 4,
      settle: 0.5,
      swap: 0.2,
      'until reported': 1.5,
    });
    expect(sum(parts)).toBeCloseTo(12.5, 9);
  });

  it('add up, and none is negative, when events overtake each other', () => {
    const parts = jobParts({ ...TIMES, validatedAt: 7_020, loadedAt: 7_010, ingestedAt: 7_030 }, STEPS);
    expect(Math.min(...Object.values(parts))).toBe(0);
    expect(sum(parts)).toBeCloseTo(12.5, 9);
  });

  it('add up without any step', () => {
    expect(sum(jobParts(TIMES, []))).toBeCloseTo(12.5, 9);
  });
});

describe('steps in a log', () => {
  it('are those of the job, in the order of their times', () => {
    const line = (step: string, time: string, job = JOB): string =>
      JSON.stringify({ level: 'info', time, job, step, msg: 'finalizing' });
    const log = [
      'Debugger listening on a port',
      line('index', '1970-01-01T00:00:02.000Z'),
      line('check', '1970-01-01T00:00:01.500Z'),
      line('swap', '1970-01-01T00:00:09.000Z', '01a1fe3b-0000-7000-8000-000000000000'),
      JSON.stringify({ level: 'info', time: '1970-01-01T00:00:03.000Z', job: JOB, msg: 'something else' }),
      '',
    ];
    expect(stepsInLog(log.join('\n'), JOB)).toEqual([
      { step: 'check', at: 1_500 },
      { step: 'index', at: 2_000 },
    ]);
  });
});
