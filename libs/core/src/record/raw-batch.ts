import type { SourceFormat } from '../dataset/dataset.js';
import type { LineEnd } from './line-ends.js';

/**
 * A numbered run of consecutive records of one job, as the source's own bytes.
 * What the cutter makes, the raw topic carries and the validator judges.
 */
export interface RawBatch {
  /** Number of this batch in its job, from 0. */
  readonly batch: number;
  /** Number of its first record in the job, from 0; blank records count too. */
  readonly firstRecord: number;
  /** Line of its first record in the source file, from 1. */
  readonly firstLine: number;
  readonly records: number;
  /** Lines that it spans, line breaks inside quotes included. */
  readonly lines: number;
  /** Its range in the uncompressed source: [byteStart, byteEnd). */
  readonly byteStart: number;
  readonly byteEnd: number;
  /** The records' bytes with their line ends; of an oversized record only its first bytes. */
  readonly bytes: Buffer;
  readonly oversized: readonly OversizedRecord[];
  /** Absent: `lf`. */
  readonly lineEnd?: LineEnd;
}

/**
 * A record that passed `maxRecordBytes`: its place in the batch, and what was kept of it. Most are streamed
 * past, and only their first bytes are kept. Some are whole after all: a quote opened and was still open at
 * the limit, so that the record was ended at the first line end after that quote (`keptBytes === bytes`).
 */
export interface OversizedRecord {
  /** Which record of the batch, from 0. */
  readonly index: number;
  /** Where its kept bytes begin in {@link RawBatch.bytes}, and how many they are. */
  readonly offset: number;
  readonly keptBytes: number;
  /** Its true length in the source, line end included. */
  readonly bytes: number;
  /** Lines that it spans in the source. */
  readonly lines: number;
}

/** Bounds that are pinned in the job row, so that a resumed job re-cuts the same batches. */
export interface CuttingOptions {
  readonly format: SourceFormat;
  /** A batch ends with the record that brings it to this size. */
  readonly maxBatchBytes: number;
  readonly maxBatchRecords: number;
  /** A longer record is streamed past and becomes a stub dead letter. */
  readonly maxRecordBytes: number;
  /** Stop after exactly this many records (`--limit`). */
  readonly limitRecords: number | null;
  /** Told from the source's head (`line-ends.ts`). Absent: `lf`. */
  readonly lineEnd?: LineEnd;
}

/** Of a record that is streamed past, this much at most is kept. */
export const OVERSIZED_KEPT_BYTES = 4 * 1024;

export const DEFAULT_CUTTING = {
  maxBatchBytes: 512 * 1024,
  maxBatchRecords: 20_000,
  maxRecordBytes: 256 * 1024,
} as const;
