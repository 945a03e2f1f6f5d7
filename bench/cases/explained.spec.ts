import { describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { assertExplained } from './explained.js';

const COUNTS = {
  ...{ read: 100, accepted: 96, refused: 3, skipped: 1, loaded: 96 },
  ...{ inserted: 96, updated: 0, unchanged: 0, deleted: 0, superseded: 0, warnings: 0 },
};
const FOUND = { letters: '3', unexplained: '0', businesses: '96' };

function asserting(
  counts: object,
  found: object,
  expected: { read: number; businesses?: number },
): Promise<void> {
  const database = { query: () => Promise.resolve({ rows: [{ ...FOUND, ...found }] }) };
  const report = { job: 'a', counts: { ...COUNTS, ...counts } };
  return assertExplained(database as unknown as pg.Client, report, expected);
}

describe('a job whose records are all accounted for', () => {
  it('passes', async () => {
    await asserting({}, {}, { read: 100 });
    await asserting({}, { businesses: '200' }, { read: 100, businesses: 200 });
  });

  it.each([
    ['of other records than the source has', {}, {}, { read: 101 }, /100 records were read of 101/],
    ['without its sums', { loaded: 95 }, { businesses: '95' }, { read: 100 }, /do not add up/],
    ['of dead letters that are missing', {}, { letters: '2' }, { read: 100 }, /2 dead letters for 3/],
    ['of dead letters without a reason', {}, { unexplained: '1' }, { read: 100 }, /without a reason/],
    [
      'of rows that are missing',
      {},
      { businesses: '95' },
      { read: 100 },
      /95 rows in the table instead of 96/,
    ],
  ])('is refused: %s', async (_, counts, found, expected, message) => {
    await expect(asserting(counts, found, expected)).rejects.toThrow(message);
  });
});
