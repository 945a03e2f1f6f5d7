import { describe, expect, it } from '@jest/globals';
import type { StreamedJob } from '../system/inbox.js';
import { latenciesOf, latencyAt } from './steady-load.js';

function job(visibleAt: number, ranges: [number, [number, number]][]): StreamedJob {
  return { id: String(visibleAt), state: 'succeeded', createdAt: 0, visibleAt, ranges: new Map(ranges) };
}

describe('how long records took', () => {
  const jobs = [
    job(1_500, [
      [0, [10, 14]],
      [1, [0, 5]],
    ]),
    job(2_500, [[0, [14, 30]]]),
  ];

  it('splits a portion where a job ends', () => {
    expect(latenciesOf([{ partition: 0, offset: 12, records: 6, at: 1_000 }], jobs)).toEqual([
      { ms: 500, records: 2 },
      { ms: 1_500, records: 4 },
    ]);
  });

  it('takes offsets of the portion’s own partition alone', () => {
    expect(latenciesOf([{ partition: 1, offset: 1, records: 4, at: 1_400 }], jobs)).toEqual([
      { ms: 100, records: 4 },
    ]);
  });

  it.each([
    ['behind the last job', 0, 28],
    ['before the first one', 0, 8],
    ['of a partition without jobs', 2, 0],
  ])('refuses records %s', (_, partition, offset) => {
    expect(() => latenciesOf([{ partition, offset, records: 4, at: 0 }], jobs)).toThrow(RangeError);
  });

  it('counts records, not portions', () => {
    const latencies = [
      { ms: 10, records: 98 },
      { ms: 900, records: 1 },
      { ms: 100, records: 1 },
    ];
    expect([0.5, 0.99, 1].map((share) => latencyAt(latencies, share))).toEqual([10, 100, 900]);
    expect(latencyAt([], 0.5)).toBeNaN();
  });
});
