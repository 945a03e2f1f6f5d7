import type { JobCounts } from '#api/job-facts.js';

/**
 * The sums that must add up before a job becomes visible. PURE.
 * - LB1 (G1): batches 0…n-1 are all there; records and bytes continue without a gap from batch to batch.
 * - LB2 (G2): for each batch accepted + refused + skipped = records.
 * - LB3 (G2): for the job read = loaded + refused + skipped + superseded, and read is what the ingestor counted.
 * - LB4 (G1): what was loaded is what the ingestor read: the checksums of all batches add up to its own. Otherwise some
 *   batches are of another version of the source, which changed between two runs and has nothing that shows it.
 * - LB5 (G1): from byte 0 on: the head's lines, counted apart from the prologue, end where the first record begins, they are
 *   as many as the prologue says, and head and records together are as long as the source was when it was read.
 */
export interface LedgerTotals {
  readonly batches: number;
  readonly records: number;
  readonly accepted: number;
  readonly refusedAtValidate: number;
  readonly skipped: number;
  readonly refusedAtLoad: number;
  readonly warnings: number;
  /** Batches whose own sum does not add up. */
  readonly unbalancedBatches: number;
  /** Batches that do not begin where the one before them ended, in number, record or byte. */
  readonly gaps: number;
  readonly firstByte: number | null;
  readonly lastByte: number | null;
  /** CRC-32C of the raw batches, added up. */
  readonly crc32cSum: number;
}

/** What the ingestor wrote when its source had ended. */
export interface SourceTotals {
  readonly batches: number;
  readonly records: number;
  /** First byte of the records. */
  readonly dataStart: number;
  /** Length of the source, counted as it was read and apart from its batches. */
  readonly bytes: number;
  /** Bytes and lines of the head, counted apart from the prologue; absent in older jobs. */
  readonly headBytes?: number;
  readonly headLines?: number;
  /** Line of the first record, as the prologue says. */
  readonly firstLine?: number;
  /** CRC-32C of its batches, added up; null for a job of an ingestor that did not count it yet. */
  readonly crc32cSum: number | null;
}

/** How the loaded records became visible. */
export interface Outcome {
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly superseded: number;
}

/** @returns every sum that does not hold, in words; empty when all hold. */
export function imbalances(ledger: LedgerTotals, source: SourceTotals, outcome: Outcome): readonly string[] {
  const problems: string[] = [];
  const expect = (what: string, found: number | null, wanted: number): void => {
    if (found !== wanted) problems.push(`${what}: ${String(found)} instead of ${wanted}`);
  };
  expect('batches in the ledger', ledger.batches, source.batches);
  expect('gaps between batches', ledger.gaps, 0);
  expect('batches whose accepted + refused + skipped differ from their records', ledger.unbalancedBatches, 0);
  expect('records in the ledger', ledger.records, source.records);
  if (source.crc32cSum !== null) expect('checksums of the batches', ledger.crc32cSum, source.crc32cSum);
  if (source.batches > 0) {
    expect('first byte of the first batch', ledger.firstByte, source.dataStart);
    expect('last byte of the last batch', ledger.lastByte, source.bytes);
    const { headBytes = source.dataStart, headLines, firstLine } = source;
    const records = (ledger.lastByte ?? 0) - (ledger.firstByte ?? 0);
    expect('bytes of head and records', headBytes + records, source.bytes);
    if (headLines !== undefined && firstLine !== undefined)
      expect('lines of the head', headLines, firstLine - 1);
  }
  const counts = jobCounts(ledger, outcome);
  expect('accepted records', counts.accepted, counts.loaded + counts.refusedAtLoad + counts.superseded);
  expect('records read', counts.read, counts.loaded + counts.refused + counts.skipped + counts.superseded);
  return problems;
}

/** The job's counts (docs/guarantees.md, G2), from the ledger and the outcome alone. */
export function jobCounts(ledger: LedgerTotals, outcome: Outcome): JobCounts {
  return {
    read: ledger.records,
    accepted: ledger.accepted,
    refused: ledger.refusedAtValidate + ledger.refusedAtLoad,
    refusedAtValidate: ledger.refusedAtValidate,
    refusedAtLoad: ledger.refusedAtLoad,
    skipped: ledger.skipped,
    loaded: outcome.inserted + outcome.updated + outcome.unchanged + outcome.deleted,
    ...outcome,
    warnings: ledger.warnings,
  };
}

/** Shares of refused records are judged from this many records on: one bad row of ten proves nothing. */
export const MIN_RECORDS_FOR_SHARE = 100;

export function exceedsRefusedShare(refused: number, read: number, maxShare: number): boolean {
  return read >= MIN_RECORDS_FOR_SHARE && refused > maxShare * read;
}
