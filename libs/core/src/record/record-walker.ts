/**
 * Finds the records of a raw batch again, each with its number, line and place in the source. PURE.
 * The validator walks all of them; the loader looks up the ones that PostgreSQL or a key refused.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import { dialectOf, isSkippedLine, type RecordShape, type ResolvedDialect } from '../dataset/csv-dialect.js';
import { type LineEnd, textEnd } from './line-ends.js';
import type { RawBatch, UnreadableRecord } from './raw-batch.js';
import { RecordBounds } from './record-bounds.js';

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
  /** It is a comment or a footer, by the dataset's dialect. */
  skipped = false;
  /** It was listed as unreadable when it was cut: too large, or a message that does not hold exactly one record. */
  unreadable: UnreadableRecord | null = null;

  private readonly lineEnd: LineEnd;
  private readonly dialect: ResolvedDialect;
  private readonly bounds: RecordBounds;
  private nextUnreadable = 0;
  private nextLine: number;
  /** Where the next record begins, and where the run of records ends that `bounds` was fed with. */
  private cursor = 0;
  private segmentEnd = -1;
  /** Source bytes of streamed-past records before the current one that the batch does not hold. */
  private passedBytes = 0;

  /** @param shape the dataset of the batch, or its format and dialect */
  constructor(
    protected readonly batch: RawBatch,
    shape: RecordShape,
  ) {
    // Sizes were judged by the cutter: what was over the limit is listed in the batch.
    this.lineEnd = batch.lineEnd ?? 'lf';
    this.dialect = dialectOf(shape);
    this.bounds = new RecordBounds(this.dialect, Number.POSITIVE_INFINITY, this.lineEnd);
    this.line = this.nextLine = batch.firstLine;
  }

  /**
   * Goes to the next record; false behind the last one.
   * @throws SluiceError MESSAGE_INVALID when the batch does not hold as many records as it says
   */
  next(): boolean {
    const { batch, bounds } = this;
    if (this.unreadable !== null) this.passedBytes += this.unreadable.bytes - this.unreadable.keptBytes;
    this.line = this.nextLine;
    this.index += 1;
    const unreadable = batch.unreadable[this.nextUnreadable];
    if (unreadable?.offset === this.cursor && unreadable.index === this.index) {
      this.takeUnreadable(unreadable);
      return true;
    }
    this.unreadable = null;
    if (this.segmentEnd === -1) this.startSegment(unreadable?.offset ?? batch.bytes.length);
    if (bounds.next() !== 'record') {
      if (this.index !== batch.records || unreadable !== undefined) throw this.doesNotFit();
      return false;
    }
    this.malformed = bounds.malformed;
    this.strayQuote = bounds.strayQuote;
    this.skipped = bounds.skipped;
    this.nextLine += bounds.lines;
    this.cursor = bounds.end;
    this.setRange(bounds.start, bounds.end);
    return true;
  }

  /** The current record's place and bytes (a view of the batch's). */
  place(): RecordPlace {
    const { batch, unreadable, start, end } = this;
    const byteStart = batch.byteStart + start + this.passedBytes;
    const isPassed = unreadable !== null && unreadable.keptBytes < unreadable.bytes;
    return {
      record: batch.firstRecord + this.index,
      line: this.line,
      byteStart,
      byteEnd: byteStart + (isPassed ? unreadable.bytes : end - start),
      bytes: batch.bytes.subarray(start, end),
    };
  }

  private takeUnreadable(unreadable: UnreadableRecord): void {
    this.unreadable = unreadable;
    this.nextUnreadable += 1;
    const { bytes } = this.batch;
    const { offset, keptBytes, code } = unreadable;
    this.skipped = code === undefined && isSkippedLine(bytes, offset, offset + keptBytes, this.dialect);
    this.malformed = !this.skipped;
    this.strayQuote = false;
    this.nextLine += unreadable.lines;
    this.cursor = unreadable.offset + unreadable.keptBytes;
    this.segmentEnd = -1;
    if (code === undefined && keptBytes === unreadable.bytes) this.setRange(unreadable.offset, this.cursor);
    else {
      this.start = unreadable.offset;
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
        ? `Batch ${batch.batch} says that record ${batch.unreadable[this.nextUnreadable]?.index} of it is unreadable, where there is no such one.`
        : `Batch ${batch.batch} says that it holds ${batch.records} records, and ${index} were found.`;
    return new SluiceError('MESSAGE_INVALID', text, { batch: batch.batch });
  }
}

/** Of messages every one counts as one line, whatever line breaks stand inside its quotes. */
class MessageWalker extends RecordWalker {
  override next(): boolean {
    const found = super.next();
    this.line = this.batch.firstLine + this.index;
    return found;
  }
}

/** The walker of a batch; a class of its own for messages, so that the records of files are not asked what they are. */
export function walkerOf(batch: RawBatch, shape: RecordShape): RecordWalker {
  return batch.messages === undefined ? new RecordWalker(batch, shape) : new MessageWalker(batch, shape);
}
