import { describe, expect, it } from '@jest/globals';
import { partsOf } from './job-times.js';

describe('the parts of a job', () => {
  const times = {
    ...{ createdAt: 1_000, startedAt: 1_100, ingestedAt: 3_000, validatedAt: 4_000 },
    ...{ loadedAt: 4_500, visibleAt: 9_000, reportedAt: 9_250 },
  };

  it('add up to its seconds', () => {
    const parts = partsOf(times);
    expect(parts).toEqual({
      'until started': 0.1,
      'until all ingested': 1.9,
      'until all validated': 1,
      'until all loaded': 0.5,
      'until visible': 4.5,
      'until reported': 0.25,
    });
    expect(Object.values(parts).reduce((total, part) => total + part, 0)).toBeCloseTo(8.25);
  });

  it('are never negative, and add up, when events overtake each other', () => {
    const parts = partsOf({ ...times, validatedAt: 2_990 });
    expect(parts['until all validated']).toBe(0);
    expect(Object.values(parts).reduce((total, part) => total + part, 0)).toBeCloseTo(8.25);
  });
});
