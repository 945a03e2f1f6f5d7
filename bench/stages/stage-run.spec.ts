import { describe, expect, it } from '@jest/globals';
import { StageRuns, perRow } from './stage-run.js';

const cost = { cpuSeconds: { bench: 1 }, peakMb: { bench: 50 } };

describe('runs of stages', () => {
  it('hold rows, time, cost and parts, and no bytes', () => {
    const result = { rows: 10, bytes: 1000, parts: { raw: 1, clean: 1 } };
    expect(new StageRuns().runOf('encode', { result, seconds: 2, ...cost })).toEqual({
      ...{ rows: 10, seconds: 2, parts: { raw: 1, clean: 1 } },
      ...cost,
    });
  });

  it('give MB/s at the median of the seconds', () => {
    const stages = new StageRuns();
    const runs = [1, 2, 9].map((seconds, at) => {
      const result = { rows: 10, bytes: 4_000_000_000 };
      return { label: 'cut', round: at + 1, ...stages.runOf('cut', { result, seconds, ...cost }) };
    });
    expect(stages.rates(runs)).toBe('MB/s at the median: cut 2,000.');
  });

  it('can be compared a row', () => {
    expect(perRow({ label: 'cut', round: 1, rows: 4, seconds: 2 }).seconds).toBe(0.5);
  });
});
