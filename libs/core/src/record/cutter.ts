/**
 * Cuts a byte stream into raw batches. PURE.
 *
 * Invariants
 * - CU1: the batches depend on the bytes, the options and the place where cutting begins; never on the
 *   sizes of the chunks.
 * - CU2: cutting that begins at a batch's end (`byteEnd`, with the numbers that follow) gives the same
 *   further batches.
 * - CU3: memory is bounded by `maxBatchBytes + maxRecordBytes` and one slice for every source.
 * - CU4: records, lines and bytes are contiguous from batch to batch; every byte of the source is in one.
 */
import { dialectOf, type RecordShape } from '../dataset/csv-dialect.js';
import {
  type CuttingOptions,
  OVERSIZED_KEPT_BYTES,
  type UnreadableRecord,
  type RawBatch,
} from './raw-batch.js';
import { type LineEnd, terminatorOf } from './line-ends.js';
import { RecordBounds } from './record-bounds.js';

/** Where a batch begins: its number, and number, line (from 1) and byte of its first record in the source. */
export interface CutPosition {
  readonly batch: number;
  readonly record: number;
  readonly line: number;
  readonly byte: number;
}

export interface Cutter {
  /** Takes the source's next bytes, which may be reused afterwards. @returns the batches that became whole */
  push(chunk: Buffer): RawBatch[];
  /** The source has ended. @returns what is left, at most one batch; none when nothing is left */
  end(): RawBatch[];
  /** `limitRecords` is reached: nothing more is taken, and the last batch has been given. */
  readonly done: boolean;
}

/**
 * @param from where the first pushed byte stands; also the place to resume, taken from the last batch that
 *   is known to be safe. `limitRecords` counts from record 0 of the source, not from here.
 */
export function createCutter(options: CuttingOptions, from: CutPosition): Cutter {
  return new BatchCutter(options, from);
}

/** The bounds of a dataset's records: quotes mean something in CSV only. */
export function boundsOf(shape: RecordShape, maxRecordBytes: number, lineEnd?: LineEnd): RecordBounds {
  return new RecordBounds(dialectOf(shape), maxRecordBytes, lineEnd);
}

/** Larger chunks are worked off in slices, so that little has to be moved when the buffer's head is freed. */
const SLICE_BYTES = 128 * 1024;
const NOTHING = Buffer.alloc(0);

class BatchCutter implements Cutter {
  done: boolean;
  private readonly bounds: RecordBounds;
  private readonly terminator: number;
  private readonly keptBytes: number;
  private readonly lastRecord: number;

  /** The batch's bytes so far are [batchStart, bounds.start); what follows up to `used` is not cut yet. */
  private buffer: Buffer;
  private used = 0;
  private batchStart = 0;
  /** While a record is streamed past: its length so far. */
  private passing: number | null = null;

  private batch: number;
  private firstRecord: number;
  private firstLine: number;
  private byteStart: number;
  private records = 0;
  private lines = 0;
  private passedBytes = 0;
  private unreadable: UnreadableRecord[] = [];

  constructor(
    private readonly options: CuttingOptions,
    from: CutPosition,
  ) {
    this.bounds = boundsOf(options, options.maxRecordBytes, options.lineEnd);
    this.terminator = terminatorOf(options.lineEnd ?? 'lf');
    this.keptBytes = Math.min(OVERSIZED_KEPT_BYTES, options.maxRecordBytes);
    this.lastRecord = options.limitRecords ?? Number.POSITIVE_INFINITY;
    this.buffer = Buffer.allocUnsafe(SLICE_BYTES);
    this.batch = from.batch;
    this.firstRecord = from.record;
    this.firstLine = from.line;
    this.byteStart = from.byte;
    this.done = from.record >= this.lastRecord;
  }

  push(chunk: Buffer): RawBatch[] {
    const batches: RawBatch[] = [];
    for (let at = 0; at < chunk.length && !this.done; at += SLICE_BYTES) {
      this.take(chunk.subarray(at, at + SLICE_BYTES), false, batches);
    }
    return batches;
  }

  end(): RawBatch[] {
    const batches: RawBatch[] = [];
    if (this.done) return batches;
    this.take(NOTHING, true, batches);
    if (this.passing !== null) this.endPassing(batches);
    if (this.records > 0) this.giveBatch(this.used, batches);
    return batches;
  }

  private take(slice: Buffer, complete: boolean, batches: RawBatch[]): void {
    let rest: Buffer | null = slice;
    while (rest !== null && !this.done) {
      if (this.passing !== null) {
        const lineFeed = rest.indexOf(this.terminator);
        this.passing += lineFeed === -1 ? rest.length : lineFeed + 1;
        if (lineFeed === -1) return;
        rest = rest.subarray(lineFeed + 1);
        this.endPassing(batches);
        continue;
      }
      this.append(rest);
      rest = this.cut(complete, batches);
    }
  }

  /** Cuts what is in the buffer. @returns where a record must be streamed past: what came behind its limit */
  private cut(complete: boolean, batches: RawBatch[]): Buffer | null {
    const { bounds, options } = this;
    bounds.feed(this.buffer.subarray(0, this.used), complete);
    while (!this.done) {
      const found = bounds.next();
      if (found === 'oversize') {
        const behind = Buffer.from(this.buffer.subarray(bounds.start + options.maxRecordBytes, this.used));
        this.used = bounds.start + this.keptBytes;
        this.passing = options.maxRecordBytes;
        return behind;
      }
      if (found !== 'record') break;
      const bytes = bounds.end - bounds.start;
      if (bounds.overLimit) this.noteOversized(bounds.start, { keptBytes: bytes, bytes });
      this.countRecord(bounds.end, batches);
    }
    return null;
  }

  private endPassing(batches: RawBatch[]): void {
    const bytes = this.passing ?? 0;
    this.passing = null;
    this.passedBytes += bytes - this.keptBytes;
    this.noteOversized(this.used - this.keptBytes, { keptBytes: this.keptBytes, bytes });
    this.bounds.restart(this.used);
    this.countRecord(this.used, batches);
  }

  private noteOversized(start: number, sizes: { keptBytes: number; bytes: number }): void {
    const { records, batchStart, bounds } = this;
    this.unreadable.push({ index: records, offset: start - batchStart, ...sizes, lines: bounds.lines });
  }

  private countRecord(end: number, batches: RawBatch[]): void {
    const { options } = this;
    this.records += 1;
    this.lines += this.bounds.lines;
    this.done = this.firstRecord + this.records >= this.lastRecord;
    const full = this.records >= options.maxBatchRecords || end - this.batchStart >= options.maxBatchBytes;
    if (full || this.done) this.giveBatch(end, batches);
  }

  private giveBatch(end: number, batches: RawBatch[]): void {
    const bytes = Buffer.from(this.buffer.subarray(this.batchStart, end));
    const byteEnd = this.byteStart + bytes.length + this.passedBytes;
    batches.push({
      batch: this.batch,
      firstRecord: this.firstRecord,
      firstLine: this.firstLine,
      records: this.records,
      lines: this.lines,
      byteStart: this.byteStart,
      byteEnd,
      bytes,
      unreadable: this.unreadable,
      ...(this.options.lineEnd === 'cr' ? { lineEnd: 'cr' } : {}),
    });
    this.batch += 1;
    this.firstRecord += this.records;
    this.firstLine += this.lines;
    this.byteStart = byteEnd;
    this.batchStart = end;
    this.records = this.lines = this.passedBytes = 0;
    this.unreadable = [];
  }

  private append(bytes: Buffer): void {
    if (this.used + bytes.length > this.buffer.length) this.makeRoom(bytes.length);
    bytes.copy(this.buffer, this.used);
    this.used += bytes.length;
  }

  private makeRoom(more: number): void {
    const kept = this.used - this.batchStart;
    const target =
      kept + more <= this.buffer.length
        ? this.buffer
        : Buffer.allocUnsafe(Math.max(kept + more, this.buffer.length * 2));
    this.buffer.copy(target, 0, this.batchStart, this.used);
    this.buffer = target;
    this.bounds.moveBack(this.batchStart);
    this.used = kept;
    this.batchStart = 0;
  }
}
