import { describe, expect, it } from '@jest/globals';
import { measureInTurns, rotated } from './in-turns.js';

describe('rotated', () => {
  it('begins with another one each time and leaves none out', () => {
    expect([0, 1, 2, 3].map((by) => rotated(['a', 'b', 'c'], by).join(''))).toEqual([
      'abc',
      'bca',
      'cab',
      'abc',
    ]);
  });

  it('is nothing of nothing', () => {
    expect(rotated([], 3)).toEqual([]);
  });
});

describe('measureInTurns', () => {
  it('measures each contestant once a round, first one and then another one first', async () => {
    let at = 0;
    const contestants = ['psql', 'sluice'].map((label) => ({
      label,
      measure: () => Promise.resolve({ rows: 10, seconds: ++at }),
    }));
    expect(await measureInTurns({ rounds: 2, say: () => undefined }, contestants)).toEqual([
      { label: 'psql', round: 1, rows: 10, seconds: 1 },
      { label: 'sluice', round: 1, rows: 10, seconds: 2 },
      { label: 'sluice', round: 2, rows: 10, seconds: 3 },
      { label: 'psql', round: 2, rows: 10, seconds: 4 },
    ]);
  });
});
