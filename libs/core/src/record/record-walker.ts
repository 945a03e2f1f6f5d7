/**
 * Finds the records of a raw batch again, each with its number, line and place in the source. PURE.
 * The validator walks all of them; the loader looks up the ones that PostgreSQL or a key refused.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SourceFormat } from '../dataset/dataset.js';
import { boundsOf } from './cutter.js';
import { type LineEnd, textEnd } from './line-ends.js';
import type { OversizedRecord, RawBatch } from './raw-batch.js';
import type { RecordBounds } from './record-bounds.js';

/** One record's place and bytes, line end left out. */
export interface RecordPlace {
  /** Number in the job, from 0. */
  readonly record: number;
  /** Line in the source, from 1. */
  readonly line: number;
  /** Its range in the source, line end left out. */
  readonly byteStart: number;
  readonly byteEnd: number;
  /** Its own bytes; of a record that was streamed past only the first ones. */
  readonly bytes: Buffer;
}

export class RecordWalker {
  /** The current record is [start, end) of the batch's bytes, line end left out. */
  start = 0;
  end = 0;
  /** Which record of the batch, from 0. */
  index = -1;
  /** Its line in the source. */
  line: number;
  /** It breaks the quoting rule (libs/core/src/record/README.md). */
  malformed = false;
  /** It holds a quote that neither opens nor closes a field. */
  strayQuote = false;
  /** It passed the size limit when it was cut. */
  oversized: OversizedRecord | null = null;

  private readonly lineEnd: LineEnd;
  private readonly bounds: RecordBounds;
  private nextOversized = 0;
  private nextLine: number;
  /** Where the next record begins, and where the run of records ends that `bounds` was fed with. */
  private cursor = 0;
  private segmentEnd = -1;
  /** Source bytes of streamed-past records before the current one that the batch does not hold. */
  private passedBytes = 0;

  constructor(
    private readonly batch: RawBatch,
    format: SourceFormat,
  ) {
    // Sizes were judged by the cutter: what was over the limit is listed in the batch.
    this.lineEnd = batch.lineEnd ?? 'lf';
    this.bounds = boundsOf(format, Number.POSITIVE_INFINITY, this.lineEnd);
    this.line = this.nextLine = batch.firstLine;
  }

  /**
   * Goes to the next record; false behind the last one.
   * @throws SluiceError MESSAGE_INVALID when the batch does not hold as many records as it says
   */
  next(): boolean {
    const { batch, bounds } = this;
    if (this.oversized !== null) this.passedBytes += this.oversized.bytes - this.oversized.keptBytes;
    this.line = this.nextLine;
    this.index += 1;
    const oversized = batch.oversized[this.nextOversized];
    if (oversized?.offset === this.cursor && oversized.index === this.index) {
      this.takeOversized(oversized);
      return true;
    }
    this.oversized = null;
    if (this.segmentEnd === -1) this.startSegment(oversized?.offset ?? batch.bytes.length);
    if (bounds.next() !== 'record') {
      if (this.index !== batch.records || oversized !== undefined) throw this.doesNotFit();
      return false;
    }
    this.malformed = bounds.malformed;
    this.strayQuote = bounds.strayQuote;
    this.nextLine += bounds.lines;
    this.cursor = bounds.end;
    this.setRange(bounds.start, bounds.end);
    return true;
  }

  /** The current record's place and bytes (a view of the batch's). */
  place(): RecordPlace {
    const { batch, oversized, start, end } = this;
    const byteStart = batch.byteStart + start + this.passedBytes;
    const isPassed = oversized !== null && oversized.keptBytes < oversized.bytes;
    return {
      record: batch.firstRecord + this.index,
      line: this.line,
      byteStart,
      byteEnd: byteStart + (isPassed ? oversized.bytes : end - start),
      bytes: batch.bytes.subarray(start, end),
    };
  }

  private takeOversized(oversized: OversizedRecord): void {
    this.oversized = oversized;
    this.nextOversized += 1;
    this.malformed = true;
    this.strayQuote = false;
    this.nextLine += oversized.lines;
    this.cursor = oversized.offset + oversized.keptBytes;
    this.segmentEnd = -1;
    if (oversized.keptBytes === oversized.bytes) this.setRange(oversized.offset, this.cursor);
    else {
      this.start = oversized.offset;
      this.end = this.cursor;
    }
  }

  private startSegment(end: number): void {
    this.segmentEnd = end;
    this.bounds.feed(this.batch.bytes.subarray(0, end), true);
    this.bounds.restart(this.cursor);
  }

  private setRange(start: number, end: number): void {
    this.start = start;
    this.end = textEnd(this.batch.bytes, start, end, this.lineEnd);
  }

  private doesNotFit(): SluiceError {
    const { batch, index } = this;
    const text =
      index === batch.records
        ? `Batch ${batch.batch} says that record ${batch.oversized[this.nextOversized]?.index} of it is too large, where there is no such one.`
        : `Batch ${batch.batch} says that it holds ${batch.records} records, and ${index} were found.`;
    return new SluiceError('MESSAGE_INVALID', text, { batch: batch.batch });
  }
}
