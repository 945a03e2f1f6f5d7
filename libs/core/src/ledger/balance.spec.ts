import { describe, expect, it } from '@jest/globals';
import { type LedgerTotals, exceedsRefusedShare, imbalances, jobCounts } from './balance.js';

const ledger: LedgerTotals = {
  batches: 3,
  records: 100,
  accepted: 90,
  refusedAtValidate: 7,
  skipped: 3,
  refusedAtLoad: 4,
  warnings: 12,
  unbalancedBatches: 0,
  gaps: 0,
  firstByte: 50,
  lastByte: 5_000,
  crc32cSum: 777,
};
const source = { batches: 3, records: 100, dataStart: 50, bytes: 5_000, crc32cSum: 777 };
const outcome = { inserted: 76, updated: 3, unchanged: 1, deleted: 4, superseded: 2 };

describe('the balance of a job', () => {
  it('holds when every sum adds up', () => {
    expect(imbalances(ledger, source, outcome)).toEqual([]);
  });

  it.each<[what: string, change: Partial<LedgerTotals>, problems: readonly string[]]>([
    ['a batch is missing (LB1)', { batches: 2 }, ['batches in the ledger: 2 instead of 3']],
    ['batches do not follow each other (LB1)', { gaps: 1 }, ['gaps between batches: 1 instead of 0']],
    [
      'the first batch begins too late (LB1)',
      { firstByte: 51 },
      ['first byte of the first batch: 51 instead of 50', 'bytes of head and records: 4999 instead of 5000'],
    ],
    [
      'the last batch ends too early (LB1)',
      { lastByte: 4_999 },
      [
        'last byte of the last batch: 4999 instead of 5000',
        'bytes of head and records: 4999 instead of 5000',
      ],
    ],
    [
      'there is no batch at all (LB1)',
      { firstByte: null, lastByte: null },
      [
        ...[
          'first byte of the first batch: null instead of 50',
          'last byte of the last batch: null instead of 5000',
        ],
        'bytes of head and records: 50 instead of 5000',
      ],
    ],
    [
      'a batch holds other bytes than were read (LB4)',
      { crc32cSum: 778 },
      ['checksums of the batches: 778 instead of 777'],
    ],
    [
      'a batch does not add up (LB2)',
      { unbalancedBatches: 1 },
      ['batches whose accepted + refused + skipped differ from their records: 1 instead of 0'],
    ],
    [
      'a record was not read (LB3)',
      { records: 99 },
      ['records in the ledger: 99 instead of 100', 'records read: 99 instead of 100'],
    ],
    [
      'a record was accepted and not loaded (LB3)',
      { accepted: 91, refusedAtValidate: 6 },
      ['accepted records: 91 instead of 90', 'records read: 100 instead of 99'],
    ],
    [
      'a refusal is counted twice (LB3)',
      { refusedAtLoad: 5 },
      ['accepted records: 90 instead of 91', 'records read: 100 instead of 101'],
    ],
  ])('names what is wrong when %s', (_, change, problems) => {
    expect(imbalances({ ...ledger, ...change }, source, outcome)).toEqual(problems);
  });

  it.each([
    ['a row too many is visible', { inserted: 77 }, 91],
    ['a row was not deleted', { deleted: 3 }, 89],
    ['a superseded row is not counted', { superseded: 1 }, 89],
  ])('names what is wrong when %s (LB3)', (_, change, accepted) => {
    expect(imbalances(ledger, source, { ...outcome, ...change })).toEqual([
      `accepted records: 90 instead of ${accepted}`,
      `records read: 100 instead of ${accepted + 10}`,
    ]);
  });

  it.each([
    [
      'bytes that belong to neither head nor records',
      { headBytes: 49 },
      ['bytes of head and records: 4999 instead of 5000'],
    ],
    [
      'a source that is longer than head and records',
      { bytes: 5_001 },
      [
        'last byte of the last batch: 5000 instead of 5001',
        'bytes of head and records: 5000 instead of 5001',
      ],
    ],
    [
      'a head that holds a line more than its prologue says',
      { headLines: 3, firstLine: 3 },
      ['lines of the head: 3 instead of 2'],
    ],
  ])('names what is wrong when there are %s (LB5)', (_, change, problems) => {
    const whole = { ...source, headBytes: 50, headLines: 2, firstLine: 3 };
    expect(imbalances(ledger, whole, outcome)).toEqual([]);
    expect(imbalances(ledger, { ...whole, ...change }, outcome)).toEqual(problems);
  });

  it('asks a job of an earlier build for nothing that it did not count', () => {
    expect(imbalances(ledger, { ...source, crc32cSum: null }, outcome)).toEqual([]);
    expect(imbalances(ledger, { ...source, headLines: 7 }, outcome)).toEqual([]);
    expect(imbalances(ledger, { ...source, firstLine: 7 }, outcome)).toEqual([]);
  });

  it('asks a source without records for no bytes of batches', () => {
    const none = { batches: 0, records: 0, accepted: 0, refusedAtValidate: 0, skipped: 0, refusedAtLoad: 0 };
    const empty = { ...ledger, ...none, warnings: 0, firstByte: null, lastByte: null, crc32cSum: 0 };
    const nothing = { inserted: 0, updated: 0, unchanged: 0, deleted: 0, superseded: 0 };
    const head = { ...source, batches: 0, records: 0, bytes: 60, crc32cSum: 0 };
    expect(imbalances(empty, head, nothing)).toEqual([]);
  });

  it('counts as the guarantees say', () => {
    expect(jobCounts(ledger, outcome)).toEqual({
      read: 100,
      accepted: 90,
      refused: 11,
      refusedAtValidate: 7,
      refusedAtLoad: 4,
      skipped: 3,
      loaded: 84,
      inserted: 76,
      updated: 3,
      unchanged: 1,
      deleted: 4,
      superseded: 2,
      warnings: 12,
    });
  });

  it('judges the share of refused records from 100 records on', () => {
    expect(exceedsRefusedShare(99, 99, 0.05)).toBe(false);
    expect(exceedsRefusedShare(5, 100, 0.05)).toBe(false);
    expect(exceedsRefusedShare(6, 100, 0.05)).toBe(true);
  });
});
