/**
 * Cuts messages, each of them one record, into raw batches. PURE.
 *
 * A message's record is its value without one line end behind it, and LF; in JSON, line breaks inside the value become
 * blanks. A message that is not exactly one record by the dataset's format is listed as unreadable (`UnreadableRecord`), and
 * keeps its bytes.
 *
 * Invariants
 * - MC1: every message is one record or one unreadable record, in order; none takes bytes of its neighbour, so a record's
 *   bounds in the batch are those that it has alone.
 * - MC2: the batches depend on the messages, the options and the place where cutting begins; never on how the messages
 *   came. Cutting that begins at a batch's end gives the same further batches.
 * - MC3: a batch ends with the message that brings it to `maxBatchBytes` or `maxBatchRecords`, and before one with another
 *   head. Bytes are those of records, keys and headers as they travel in the batch.
 * - MC4: records and bytes are contiguous from batch to batch. Each record is one line.
 * - MC5: memory is bounded by `maxBatchBytes`, `maxRecordBytes` and one message.
 */
import type { ReadMessage } from '#common/kafka/message.js';
import type { CutPosition } from './cutter.js';
import { boundsOf } from './cutter.js';
import { CARRIAGE_RETURN, LINE_FEED, textEnd } from './line-ends.js';
import { type HeadDefaults, type KeyedHead, MessageHeads } from './message-head.js';
import { MessageTable } from './message-table.js';
import {
  type CuttingOptions,
  type MessageFaultCode,
  OVERSIZED_KEPT_BYTES,
  type RawBatch,
  type UnreadableRecord,
} from './raw-batch.js';
import type { RecordBounds } from './record-bounds.js';

/** What a batch's list of unreadable records takes for one, about. */
const UNREADABLE_BYTES = 100;
const TAB = 0x09;
const SPACE = 0x20;

export interface MessageCuttingOptions extends CuttingOptions, Omit<HeadDefaults, 'format'> {
  /** That the messages come from. */
  readonly topic: string;
}

export interface MessageCutter {
  /** Takes the next messages, in order of partition and offset. @returns the batches that became whole */
  push(messages: readonly ReadMessage[]): RawBatch[];
  /** There are no more. @returns what is left, at most one batch */
  end(): RawBatch[];
  /** `limitRecords` is reached: nothing more is taken. */
  readonly done: boolean;
}

/** @param from the place behind the last batch that is known to be safe; `limitRecords` counts from record 0, not from here */
export function createMessageCutter(options: MessageCuttingOptions, from: CutPosition): MessageCutter {
  return new BatchingCutter(options, from);
}

class BatchingCutter implements MessageCutter {
  done: boolean;
  private readonly heads: MessageHeads;
  private readonly table: MessageTable;
  /** Sizes are judged here. */
  private readonly bounds: RecordBounds;
  private readonly isJson: boolean;
  private readonly lastRecord: number;
  private readonly emptyTableBytes: number;

  private buffer = Buffer.allocUnsafe(64 * 1024);
  private used = 0;
  private head: KeyedHead | null = null;
  private unreadable: UnreadableRecord[] = [];
  private passedBytes = 0;
  private records = 0;
  private batch: number;
  private firstRecord: number;
  private byteStart: number;

  constructor(
    private readonly options: MessageCuttingOptions,
    from: CutPosition,
  ) {
    this.heads = new MessageHeads(options);
    this.table = new MessageTable(options.topic);
    this.emptyTableBytes = this.table.length;
    this.bounds = boundsOf(options, Number.POSITIVE_INFINITY);
    this.isJson = options.format === 'ndjson';
    this.lastRecord = options.limitRecords ?? Number.POSITIVE_INFINITY;
    this.batch = from.batch;
    this.firstRecord = from.record;
    this.byteStart = from.byte;
    this.done = from.record >= this.lastRecord;
  }

  push(messages: readonly ReadMessage[]): RawBatch[] {
    const batches: RawBatch[] = [];
    for (const message of messages) {
      if (this.done) break;
      this.take(message, batches);
    }
    return batches;
  }

  end(): RawBatch[] {
    const batches: RawBatch[] = [];
    if (this.records > 0) this.giveBatch(batches);
    return batches;
  }

  private take(message: ReadMessage, batches: RawBatch[]): void {
    const head = this.headOf(message);
    if (typeof head === 'string') this.addUnreadable(message.value, head);
    else {
      if (this.head !== null && this.head.key !== head.key) this.giveBatch(batches);
      const value = message.value as Buffer;
      const fault = this.addRecord(value);
      // A batch takes its head from the first message that has a record: one that has none is no reason to end a batch.
      if (fault === null) this.head ??= head;
      else this.addUnreadable(value, fault);
    }
    this.table.add(message);
    this.countRecord(batches);
  }

  /** @returns why the message is not looked at as a record, or its head; it has a value then, which is not too large */
  private headOf({ value, headers, undecodable }: ReadMessage): KeyedHead | MessageFaultCode | 'TOO_LARGE' {
    if (undecodable !== undefined) return 'MESSAGE_UNDECODABLE';
    if (value === null) return 'TOMBSTONE';
    if (value.length > this.options.maxRecordBytes) return 'TOO_LARGE';
    return this.heads.of(headers);
  }

  /** Appends the record of a value, if it is exactly one. @returns why it is not, or null */
  private addRecord(value: Buffer): MessageFaultCode | null {
    const start = this.used;
    this.append(value, textEnd(value, 0, value.length, 'lf'));
    this.buffer[this.used] = LINE_FEED;
    this.used += 1;
    const isEmpty = textEnd(this.buffer, start, this.used, 'lf') === start;
    const isOne = !isEmpty && (this.isJson ? this.isOneLine(start) : this.isOneRecord(start));
    if (isOne) return null;
    this.used = start;
    return 'NOT_ONE_RECORD';
  }

  /** MC1: where the record ends must not depend on what comes behind it. */
  private isOneRecord(start: number): boolean {
    const { bounds, used } = this;
    bounds.feed(this.buffer.subarray(0, used), false);
    bounds.restart(start);
    return bounds.next() === 'record' && bounds.end === used;
  }

  /** Makes one line of it. @returns false when it is blank */
  private isOneLine(start: number): boolean {
    const line = this.buffer.subarray(start, this.used - 1);
    for (const lineBreak of [LINE_FEED, CARRIAGE_RETURN]) {
      for (let at = line.indexOf(lineBreak); at !== -1; at = line.indexOf(lineBreak, at + 1))
        line[at] = SPACE;
    }
    let at = 0;
    while (line[at] === SPACE || line[at] === TAB) at += 1;
    return at < line.length;
  }

  private addUnreadable(value: Buffer | null, fault: MessageFaultCode | 'TOO_LARGE'): void {
    const bytes = value?.length ?? 0;
    // Too large goes without a code, as in files, and is cut as there.
    const isTooLarge = bytes > this.options.maxRecordBytes;
    const keptBytes = isTooLarge ? Math.min(OVERSIZED_KEPT_BYTES, this.options.maxRecordBytes) : bytes;
    const code = fault === 'TOO_LARGE' || isTooLarge ? {} : { code: fault };
    this.unreadable.push({ index: this.records, offset: this.used, keptBytes, bytes, lines: 1, ...code });
    this.passedBytes += bytes - keptBytes;
    if (value !== null) this.append(value, keptBytes);
  }

  private countRecord(batches: RawBatch[]): void {
    const { options } = this;
    this.records += 1;
    this.done = this.firstRecord + this.records >= this.lastRecord;
    const bytes =
      this.used + this.table.length - this.emptyTableBytes + this.unreadable.length * UNREADABLE_BYTES;
    const full = this.records >= options.maxBatchRecords || bytes >= options.maxBatchBytes;
    if (full || this.done) this.giveBatch(batches);
  }

  private giveBatch(batches: RawBatch[]): void {
    const bytes = Buffer.from(this.buffer.subarray(0, this.used));
    const byteEnd = this.byteStart + bytes.length + this.passedBytes;
    const { columns, context } = this.head ?? this.heads.default;
    batches.push({
      batch: this.batch,
      firstRecord: this.firstRecord,
      firstLine: this.firstRecord + 1,
      records: this.records,
      lines: this.records,
      byteStart: this.byteStart,
      byteEnd,
      bytes,
      unreadable: this.unreadable,
      head: { columns, context },
      messages: this.table.take(),
    });
    this.batch += 1;
    this.firstRecord += this.records;
    this.byteStart = byteEnd;
    this.used = this.records = this.passedBytes = 0;
    this.unreadable = [];
    this.head = null;
  }

  /** Room for one more byte is made as well. */
  private append(value: Buffer, end: number): void {
    const wanted = this.used + end + 1;
    if (wanted > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(wanted, this.buffer.length * 2));
      this.buffer.copy(larger, 0, 0, this.used);
      this.buffer = larger;
    }
    value.copy(this.buffer, this.used, 0, end);
    this.used += end;
  }
}
