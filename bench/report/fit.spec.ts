import { describe, expect, it } from '@jest/globals';
import { fitLine, slopesOf } from './fit.js';

const SIZES = [100_000, 400_000, 1_600_000, 6_400_000];

describe('fitLine', () => {
  it('finds the line that points lie on', () => {
    const { fixedSeconds, secondsPerRow } = fitLine(
      SIZES.map((rows) => ({ rows, seconds: 2.5 + rows * 2e-5 })),
    );
    expect(fixedSeconds).toBeCloseTo(2.5, 9);
    expect(secondsPerRow).toBeCloseTo(2e-5, 14);
  });

  it('lets an error of a tenth weigh the same at every size', () => {
    const points = SIZES.map((rows) => ({ rows, seconds: 2 + rows * 2e-5 }));
    const noisy = points.map(({ rows, seconds }) => ({
      rows,
      seconds: rows === 6_400_000 ? seconds * 1.1 : seconds,
    }));
    // Plain least squares give 0.6 s: the largest file alone would decide what a job costs whatever its size.
    expect(fitLine(noisy).fixedSeconds).toBeGreaterThan(1.6);
  });

  it('takes several measurements of one size', () => {
    const { fixedSeconds, secondsPerRow } = fitLine([
      { rows: 1, seconds: 3 },
      { rows: 1, seconds: 3 },
      { rows: 3, seconds: 7 },
    ]);
    expect([fixedSeconds, secondsPerRow]).toEqual([expect.closeTo(1), expect.closeTo(2)]);
  });

  it.each([[[]], [[{ rows: 5, seconds: 1 }]], [[1, 2].map((seconds) => ({ rows: 5, seconds }))]])(
    'refuses what gives no line: %j',
    (points) => {
      expect(() => fitLine(points)).toThrow(RangeError);
    },
  );
});

describe('slopesOf', () => {
  it('reports seconds a row between neighbours, from few rows to many', () => {
    const points = [
      { rows: 400, seconds: 8 },
      { rows: 100, seconds: 2 },
      { rows: 600, seconds: 9 },
    ];
    expect(slopesOf(points)).toEqual([
      { fromRows: 100, toRows: 400, secondsPerRow: 0.02 },
      { fromRows: 400, toRows: 600, secondsPerRow: 0.005 },
    ]);
  });
});
