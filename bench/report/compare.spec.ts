import { describe, expect, it } from '@jest/globals';
import { compareRatios, whyNotComparable } from './compare.js';
import { benchResult, caseResult } from '#test/support/bench-results.js';
import type { CaseResult } from './result.js';

const withMedian = (median: number): CaseResult => {
  const [ratio] = caseResult().ratios;
  return caseResult({ ratios: [{ ...ratio!, median }] });
};

describe('compareRatios', () => {
  const before = benchResult({ cases: [withMedian(0.2)] });

  it.each([
    [0.1, false],
    [0.2, false],
    [0.229, false],
    [0.231, true],
  ])('0.20 before and %d now', (now, isWorse) => {
    expect(compareRatios([withMedian(now)], before)).toEqual([
      {
        ...{ case: 'whole-way', ratio: 'to psql', before: 0.2, now },
        ...{ change: expect.closeTo(now / 0.2 - 1), isWorse },
      },
    ]);
  });

  it('leaves out what only one of them has', () => {
    const renamed = caseResult({ ratios: [{ ...caseResult().ratios[0]!, name: 'to something else' }] });
    expect(compareRatios([renamed, caseResult({ name: 'upsert' })], before)).toEqual([]);
  });
});

describe('whyNotComparable', () => {
  it('takes the same cases with the same rows, whatever else there is', () => {
    const before = benchResult({ cases: [caseResult(), caseResult({ name: 'upsert', rows: 7 })] });
    expect(whyNotComparable([caseResult(), { name: 'growth', rows: 5 }], before)).toEqual([]);
  });

  it('refuses other numbers of rows', () => {
    expect(whyNotComparable([{ name: 'whole-way', rows: 1000 }], benchResult())).toEqual([
      'whole-way has 1000 rows here and 1600000 there.',
    ]);
  });

  it('refuses a result that has none of the cases', () => {
    expect(whyNotComparable([{ name: 'growth', rows: 5 }], benchResult())).toEqual([
      'It holds none of these cases, only whole-way.',
    ]);
  });
});
