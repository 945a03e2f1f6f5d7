import { describe, expect, it } from '@jest/globals';
import { memoryRatio, slopeRatio } from './growth.case.js';

const SIZES = [100, 400, 1600, 6400];

const round = (number: number, seconds: readonly number[]) =>
  SIZES.map((rows, index) => ({ label: `${rows} rows`, round: number, rows, seconds: seconds[index] ?? 0 }));

describe('ratio of slopes', () => {
  it('compares the last interval with the first, round by round', () => {
    // A row costs 0.01 s, then 0.01; 0.01, then 0.02; 0.02, then 0.01.
    const runs = [...round(1, [2, 5, 17, 65]), ...round(2, [2, 5, 17, 113]), ...round(3, [2, 8, 20, 68])];
    expect(slopeRatio(runs, SIZES)).toEqual([
      {
        name: 'cost of a row, 1,600 to 6,400 rows, to 100 to 400 rows',
        of: '1,600 to 6,400 rows',
        to: '100 to 400 rows',
        target: 1.15,
        min: 0.5,
        median: 1,
        max: 2,
      },
    ]);
  });

  it('says nothing where more rows took less time', () => {
    expect(slopeRatio(round(1, [4, 2, 17, 65]), SIZES)).toEqual([]);
    expect(slopeRatio([...round(1, [4, 2, 17, 65]), ...round(2, [2, 5, 17, 65])], SIZES)).toMatchObject([
      { max: 1 },
    ]);
  });
});

describe('ratio of memory', () => {
  it('is that of the service that needs most in any run; servers are not asked', () => {
    const run = (peakMb: Record<string, number>) => ({ label: 'a', round: 1, rows: 1, seconds: 1, peakMb });
    const runs = [
      run({ kafka: 900, postgres: 300, bench: 500, ingestor: 64, 'loader-2': 128 }),
      run({ ingestor: 64, loader: 192 }),
    ];
    expect(memoryRatio(runs)).toMatchObject({ min: 0.5, median: 0.75, max: 0.75, target: 1 });
  });
});
