import { describe, expect, it } from '@jest/globals';
import type { JobCounts } from '#api/job-facts.js';
import { DEFAULT_BREAKER } from '../dataset/dataset.js';
import { type JudgedStreamJob, judgeStream } from './stream-breaker.js';

const job = (read: number, refused: number, findings: Record<string, number> = {}): JudgedStreamJob => ({
  counts: { read, refused } as JobCounts,
  findings,
});
const judge = (jobs: readonly JudgedStreamJob[], breaker = DEFAULT_BREAKER): ReturnType<typeof judgeStream> =>
  judgeStream('customers', breaker, jobs, ['ODD_SPACING']);

describe('the breaker of a stream', () => {
  it('adds up small jobs, and judges their share from 100 records on', () => {
    expect(judge(Array.from({ length: 9 }, () => job(11, 11)))).toBeNull();
    expect(judge(Array.from({ length: 10 }, () => job(10, 6)))).toMatchObject({ code: 'STREAM_BREAKER' });
    expect(judge(Array.from({ length: 10 }, () => job(10, 5)))).toBeNull();
  });

  it('looks at the newest jobs alone, as far as the window goes', () => {
    const old = Array.from({ length: 50 }, () => job(1_000, 1_000));
    expect(judge([job(20_000, 0), ...old])).toBeNull();
    expect(judge([job(19_999, 0), job(1_000, 0), ...old])).toBeNull();
    expect(judge([job(100, 60), job(20_000, 0)])).toBeNull();
  });

  it('pauses by number, too, however few there are', () => {
    const breaker = { ...DEFAULT_BREAKER, maxShare: 1, maxCount: 2 };
    expect(judge([job(1, 1), job(1, 1)], breaker)).toBeNull();
    expect(judge([job(1, 1), job(1, 1), job(50, 1)], breaker)?.message).toBe(
      '3 of the last 52 records of the stream of customers were refused (5.77 %); more than 2 records pause it.',
    );
  });

  it('names the most frequent findings of the window that refuse records', () => {
    const detail = judge([
      job(60, 60, { REQUIRED: 2, TOO_LONG: 50, ODD_SPACING: 90 }),
      job(60, 60, { REQUIRED: 60 }),
    ]);
    expect(detail?.reasons).toEqual([
      { code: 'REQUIRED', count: 62 },
      { code: 'TOO_LONG', count: 50 },
    ]);
  });
});
