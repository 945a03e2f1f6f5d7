import type { Finding } from '../finding/finding.js';

/** What judging one raw batch yields: COPY text for the tables, and every refused record. */
export interface BatchVerdict {
  /** One section a table, parents before children. A section without rows is empty, not missing. */
  readonly sections: readonly TableSection[];
  readonly counts: BatchCounts;
  /** How often each finding code was given, errors and warnings alike. */
  readonly findings: Readonly<Record<string, number>>;
  readonly refused: RefusedRecords;
  /** Members that the contract does not read → how many records hold them; absent for none. Bounded. */
  readonly unknownMembers?: Readonly<Record<string, number>>;
}

export interface TableSection {
  /** Unqualified table name, as in the contract. */
  readonly table: string;
  /** COPY text (tab-separated, `\N` for null); the first column is the record number, `_sluice_record`. */
  readonly text: Buffer;
  readonly rows: number;
}

/**
 * accepted + refused + skipped = records (G2). `warnings` counts findings, not records, and those of refused
 * records too.
 */
export interface BatchCounts {
  readonly records: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
}

/** The refused records of one batch, in its order. Each is made, and its findings are worded, when it is read (G9). */
export interface RefusedRecords extends Iterable<RefusedRecord> {
  /** About what they take in memory until then, besides the batch itself. */
  readonly heldBytes: number;
}

/** One record that was refused, where it stands and all its reasons. */
export interface RefusedRecord {
  /** Number in the job, from 0. */
  readonly record: number;
  /** Line in the source file, from 1. */
  readonly line: number;
  /** Its range in the source, line end left out. */
  readonly byteStart: number;
  readonly byteEnd: number;
  /** The record's own bytes without its line end; of an oversized record its first bytes. A view of the batch's. */
  readonly bytes: Buffer;
  /** Errors and warnings: first NUL_REMOVED, then STRAY_QUOTE in the source's order, then in the order of the contract's columns. */
  readonly findings: readonly Finding[];
}
