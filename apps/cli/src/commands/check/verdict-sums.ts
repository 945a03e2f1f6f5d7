import { SluiceError } from '#common/errors/sluice-error.js';
import { DELETED_SECTION } from '#core/dataset/deletes.js';
import type { Finding } from '#core/finding/finding.js';
import { imbalances } from '#core/ledger/balance.js';
import type { SourceHead } from '#core/record/head/source-head.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import type { BatchVerdict } from '#core/record/verdict.js';

/** A finding and the line (from 1) of the record that it is about. */
export interface PlacedFinding extends Finding {
  readonly line: number;
}

export interface FileVerdict {
  /** The head is wrong: no record was looked at. */
  readonly fileRefused: boolean;
  readonly read: number;
  /** Superseded ones among them. */
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  /** Records that are deletes, superseded ones among them. */
  readonly deletes: number;
  /** In mode `upsert`: records whose key another record of the file has, which takes their place. */
  readonly superseded: number;
  /** Code → how often. */
  readonly findings: Readonly<Record<string, number>>;
  /** NDJSON: members that the contract does not read → how many records hold them. */
  readonly unknownMembers: Readonly<Record<string, number>>;
  /** There were too many keys to compare all of them. */
  readonly duplicatesIncomplete: boolean;
}

/** Adds up what a job's ledger would, and proves the same of it (`balance.ts`). */
export class VerdictSums {
  private readonly counts = { read: 0, accepted: 0, refused: 0, skipped: 0, warnings: 0, superseded: 0 };
  private readonly codes = new Map<string, number>();
  private readonly ledger = { batches: 0, unbalancedBatches: 0, gaps: 0 };
  private firstByte: number | null = null;
  private lastByte: number | null = null;
  private refusedAtLoad = 0;
  private deletes = 0;
  private readonly unknownMembers = new Map<string, number>();

  addBatch(batch: RawBatch, { counts, findings, sections, unknownMembers = {} }: BatchVerdict): void {
    this.deletes += sections.find(({ table }) => table === DELETED_SECTION)?.rows ?? 0;
    for (const [code, count] of Object.entries(findings))
      this.codes.set(code, (this.codes.get(code) ?? 0) + count);
    for (const [name, records] of Object.entries(unknownMembers))
      this.unknownMembers.set(name, (this.unknownMembers.get(name) ?? 0) + records);
    this.counts.read += counts.records;
    this.counts.accepted += counts.accepted;
    this.counts.refused += counts.refused;
    this.counts.skipped += counts.skipped;
    this.counts.warnings += counts.warnings;
    this.ledger.batches += 1;
    if (counts.accepted + counts.refused + counts.skipped !== counts.records)
      this.ledger.unbalancedBatches += 1;
    if (this.lastByte !== null && this.lastByte !== batch.byteStart) this.ledger.gaps += 1;
    this.firstByte ??= batch.byteStart;
    this.lastByte = batch.byteEnd;
  }

  /** @throws SluiceError JOB_UNBALANCED when bytes or records are missing in the sums, as a job's finalizer would */
  proveFile({ prologue, bytes: headBytes, lines: headLines }: SourceHead, bytes: number, name: string): void {
    const { read: records, accepted, refused, skipped, warnings, superseded } = this.counts;
    const { ledger, firstByte, lastByte, refusedAtLoad } = this;
    const problems = imbalances(
      {
        ...{ ...ledger, records, skipped, warnings, firstByte, lastByte, refusedAtLoad, crc32cSum: 0 },
        accepted: accepted + refusedAtLoad,
        refusedAtValidate: refused - refusedAtLoad,
      },
      {
        ...{ batches: ledger.batches, records, bytes, headBytes, headLines, crc32cSum: null },
        ...{ dataStart: prologue.dataStart, firstLine: prologue.firstLine },
      },
      { inserted: accepted - superseded, updated: 0, unchanged: 0, deleted: 0, superseded },
    );
    if (problems.length > 0)
      throw new SluiceError('JOB_UNBALANCED', `The sums of ${name} do not add up: ${problems.join('; ')}.`);
  }

  /** @throws SluiceError JOB_UNBALANCED when not every message has become one record */
  proveMessages(messages: number, name: string): void {
    const { read, accepted, refused, skipped } = this.counts;
    if (read !== messages || accepted + refused + skipped !== read)
      throw new SluiceError(
        'JOB_UNBALANCED',
        `The sums of ${name} do not add up: ${messages} messages became ${read} records.`,
      );
  }

  /** A record that its own fields did not refuse. */
  refuseAccepted(): void {
    this.counts.accepted--;
    this.counts.refused++;
    this.refusedAtLoad++;
  }

  /** A record that another one of its key takes the place of. */
  supersede(): void {
    this.counts.superseded++;
  }

  addFindings(findings: readonly Finding[]): void {
    for (const { code } of findings) this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  verdict(fileRefused: boolean, duplicatesIncomplete: boolean): FileVerdict {
    return {
      fileRefused,
      ...this.counts,
      deletes: this.deletes,
      findings: Object.fromEntries(this.codes),
      unknownMembers: Object.fromEntries(this.unknownMembers),
      duplicatesIncomplete,
    };
  }
}
