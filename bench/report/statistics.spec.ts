import { describe, expect, it } from '@jest/globals';
import type { Run } from './result.js';
import { median, percentile, ratioOf, ratiosOf, spreadOf } from './statistics.js';

const run = (label: string, round: number, seconds: number): Run => ({ label, round, rows: 10, seconds });

describe('percentile', () => {
  it.each([
    [[3], 0.99, 3],
    [Array.from({ length: 200 }, (_, at) => 200 - at), 0.99, 198],
    [[1, 2, 3, 4], 0.5, 2],
    [[1, 2, 3, 4], 1, 4],
    [[1, 2, 3, 4], 0, 1],
  ])('of %j at %d is %d', (values, share, expected) => {
    expect(percentile(values, share)).toBe(expected);
    expect(percentile([], share)).toBeNaN();
  });
});

describe('median', () => {
  it.each([
    [[3], 3],
    [[9, 1, 2], 2],
    [[4, 1, 2, 10], 3],
    [[100, 9, 10], 10],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN();
    expect(spreadOf([]).min).toBeNaN();
  });

  it('leaves the values in their order', () => {
    const values = [3, 1, 2];
    expect(spreadOf(values)).toEqual({ min: 1, median: 2, max: 3 });
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('ratioOf', () => {
  const question = { name: 'to psql', of: 'sluice', to: 'psql', target: 0.5 };

  it('pairs by round, so that a slow minute of the machine cancels out', () => {
    const runs = [
      ...[run('sluice', 1, 1), run('psql', 1, 2)],
      ...[run('psql', 2, 20), run('sluice', 2, 10)],
      ...[run('sluice', 3, 3), run('psql', 3, 5)],
    ];
    expect(ratioOf(runs, question)).toEqual({ ...question, min: 0.5, median: 0.5, max: 0.6 });
  });

  it('leaves out rounds that have only one of them', () => {
    expect(ratioOf([run('sluice', 1, 1), run('psql', 1, 4), run('sluice', 2, 9)], question)?.max).toBe(0.25);
  });

  it('is left out when no round has both', () => {
    expect(ratiosOf([run('sluice', 1, 1), run('psql', 2, 4)], [question])).toEqual([]);
  });
});
