import type { RecordShape } from '../dataset/csv-dialect.js';
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
  /** The records' bytes with their line ends; of an unreadable record what was kept, without one. */
  readonly bytes: Buffer;
  readonly unreadable: readonly UnreadableRecord[];
  /** Absent: `lf`. */
  readonly lineEnd?: LineEnd;
  /** Of a batch of messages: what its messages say of themselves; absent where the source has one head. */
  readonly head?: MessageHead;
  /** Of a batch of messages: place, time, key and headers of each (`message-table.ts`). */
  readonly messages?: Buffer;
}

/** What a message says, in place of a file's head. */
export interface MessageHead {
  /** Empty for formats that name their fields in each record. */
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
}

/** Why a message does not hold exactly one record (docs/errors.md says it in full). */
export const MESSAGE_FAULT_CODES = {
  /** It has no value. */
  TOMBSTONE: 'TOMBSTONE',
  /** Its value holds no record, or several, or one that does not end with it. */
  NOT_ONE_RECORD: 'NOT_ONE_RECORD',
  /** Its header `content-type` names another format than the dataset's. */
  WRONG_CONTENT_TYPE: 'WRONG_CONTENT_TYPE',
  /** Its header `columns` or `context` cannot be read, or does not fit the contract. */
  BAD_MESSAGE_HEADER: 'BAD_MESSAGE_HEADER',
  /** It stands in a batch of Kafka's that cannot be decoded. */
  MESSAGE_UNDECODABLE: 'MESSAGE_UNDECODABLE',
} as const;
export type MessageFaultCode = keyof typeof MESSAGE_FAULT_CODES;

/**
 * A record that cannot be read as one: its place in the batch, and what was kept of it.
 *
 * Without a code it passed `maxRecordBytes`. Most such records are streamed past, and only their first bytes are kept. Some
 * are whole after all: a quote opened and was still open at the limit, so that the record was ended at the first line end
 * after that quote (`keptBytes === bytes`). With a code it is a message that does not hold exactly one record, and its value
 * is kept whole.
 */
export interface UnreadableRecord {
  /** Which record of the batch, from 0. */
  readonly index: number;
  /** Where its kept bytes begin in {@link RawBatch.bytes}, and how many they are. */
  readonly offset: number;
  readonly keptBytes: number;
  /** Its true length in the source, line end included. */
  readonly bytes: number;
  /** Lines that it spans in the source. */
  readonly lines: number;
  readonly code?: MessageFaultCode;
}

/**
 * Bounds that are pinned in the job row, so that a resumed job re-cuts the same batches. Only the dialect (`csv`) is not:
 * it is the dataset's, and pinned by the version of its contract.
 */
export interface CuttingOptions extends RecordShape {
  /** A batch ends with the record that brings it to this size. */
  readonly maxBatchBytes: number;
  readonly maxBatchRecords: number;
  /** A longer record is streamed past and becomes a stub dead letter. */
  readonly maxRecordBytes: number;
  /** Stop after exactly this many records (`--limit`). */
  readonly limitRecords: number | null;
  /** Found from the source's head (`line-ends.ts`). Absent: `lf`. */
  readonly lineEnd?: LineEnd;
}

/** Of a record that is streamed past, this much at most is kept. */
export const OVERSIZED_KEPT_BYTES = 4 * 1024;

export const DEFAULT_CUTTING = {
  maxBatchBytes: 512 * 1024,
  maxBatchRecords: 20_000,
  maxRecordBytes: 256 * 1024,
} as const;
