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
const outcome = { inserted: 80, updated: 3, unchanged: 1, superseded: 2 };

describe('the balance of a job', () => {
  it('holds when every sum adds up', () => {
    expect(imbalances(ledger, source, outcome)).toEqual([]);
  });

  it.each([
    ['a batch is missing (B1)', { batches: 2 }],
    ['batches do not follow each other (B1)', { gaps: 1 }],
    ['the first batch begins too late (B1)', { firstByte: 51 }],
    ['the last batch ends too early (B1)', { lastByte: 4_999 }],
    ['a batch holds other bytes than were read (B4)', { crc32cSum: 778 }],
    ['a batch does not add up (B2)', { unbalancedBatches: 1 }],
    ['a record was not read (B3)', { records: 99 }],
    ['a record was accepted and not loaded (B3)', { accepted: 91, refusedAtValidate: 6 }],
    ['a refusal is counted twice (B3)', { refusedAtLoad: 5 }],
  ])('names what is wrong when %s', (_, change) => {
    expect(imbalances({ ...ledger, ...change }, source, outcome)).not.toEqual([]);
  });

  it.each([
    ['a row too many is visible', { inserted: 81 }],
    ['a superseded row is not counted', { superseded: 1 }],
  ])('names what is wrong when %s (B3)', (_, change) => {
    expect(imbalances(ledger, source, { ...outcome, ...change })).not.toEqual([]);
  });

  it.each([
    ['bytes that belong to neither head nor records', { headBytes: 49 }],
    ['a source that is longer than head and records', { bytes: 5_001 }],
    ['a head that holds a line more than its prologue says', { headLines: 3, firstLine: 3 }],
  ])('names what is wrong when there are %s (B5)', (_, change) => {
    const whole = { ...source, headBytes: 50, headLines: 2, firstLine: 3 };
    expect(imbalances(ledger, whole, outcome)).toEqual([]);
    expect(imbalances(ledger, { ...whole, ...change }, outcome)).not.toEqual([]);
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
      inserted: 80,
      updated: 3,
      unchanged: 1,
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
