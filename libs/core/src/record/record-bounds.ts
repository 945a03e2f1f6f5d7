/**
 * Where records begin and end, on bytes. PURE. The one splitter of ingestor and validator.
 *
 * A record ends with the source's line end outside quotes, or with the source. There are two kinds of line ends,
 * found from the head and pinned in the job (`line-ends.ts`): `lf` is LF, CRLF and CR CR LF (CRLF that was translated
 * once more); `cr` is CR alone. In CSV a quote opens a quoted field only at the field's start, and closes it only
 * before a delimiter, a line end or the end of the source; `""` inside is one quote; any other quote is part of the text,
 * and the record is noted for it (`strayQuote`). The other kind's line end is part of the text here; the reader refuses it.
 * In a dialect with backslashes the character behind one, or the whole line end behind it, is text. A line that begins a
 * record with one of the dialect's `skippedStarts` is a record to its line end, with any content (`skipped`).
 *
 * Invariants
 * - BO1: bounds depend on the bytes alone, never on how they came in pieces.
 * - BO2: where a record ends depends only on the bytes from its start on, at most `maxRecordBytes + 3` of
 *   them: cutting can begin again at any bound.
 * - BO3: a quoted field that breaks the rule, or is open when the record passes `maxRecordBytes` or the
 *   source ends, makes its record malformed. That record ends at the first line end after the opening
 *   quote, so that one stray quote costs one line and not the rest of the file. (A backslash saves no line end there.)
 * - BO4: a record over `maxRecordBytes` without open quote ends at its first line end from there on.
 *
 * Why not csv-parse: it makes strings and objects of every field, 38 MB/s where this finds bounds at
 * more than ten times that, by `Buffer.indexOf` from line end to line end and quote to quote. It is the
 * reference: `csv-reference.spec.ts` proves equal results on a corpus and on fuzzed files.
 */
import { BACKSLASH, isSkippedLine, type ResolvedDialect } from '../dataset/csv-dialect.js';
import { CARRIAGE_RETURN, LINE_FEED, type LineEnd, MAX_RETURNS, terminatorOf } from './line-ends.js';

/**
 * `more`: the bytes end before it is known where the record ends.
 * `oversize`: the record is longer than `maxRecordBytes`; it ends at the first line end after those.
 * `none`: the source has no further record.
 */
export type Found = 'record' | 'more' | 'oversize' | 'none';

export class RecordBounds {
  /** The record last found is [start, end), its line end included. */
  start = 0;
  end = 0;
  /** Line ends inside the record last found, plus one. */
  lines = 1;
  /** The record last found breaks the quoting rule or the size limit (BO3, BO4). */
  malformed = false;
  /** It holds a quote that neither opens nor closes a field. */
  strayQuote = false;
  /** It is a line that the dialect skips. */
  skipped = false;
  /** It is malformed because a quoted field was still open when it passed `maxRecordBytes`. */
  overLimit = false;

  private bytes: Buffer = Buffer.alloc(0);
  private complete = false;
  private inRecord = false;
  /** Whether the record is a line to skip is still unknown. */
  private begins = false;
  /** The search for the record's end continues here. */
  private at = 0;
  /** The quote that opened the field which `at` is in, or -1. */
  private open = -1;
  /** Of a malformed record: where the search for the line end that ends it continues; else -1. */
  private forced = -1;
  /** The first line end and quote from where they were last asked for; `bytes.length` if there is none. */
  private lineFeed = -1;
  private quote = -1;
  /** The same of the backslash, in dialects where it means something. */
  private backslash = -1;
  /** Behind the last escaped character of the record, or -1: a delimiter before it is text. */
  private escapedEnd = -1;
  /** The byte that every line end ends with. */
  private readonly terminator: number;
  private readonly delimiter: number;
  /** -1: quotes mean nothing, and only line ends count. */
  private readonly quoteByte: number;
  private readonly escapes: boolean;
  private readonly skips: boolean;

  /**
   * @param maxRecordBytes line end included; Infinity where sizes were judged before
   */
  constructor(
    private readonly dialect: ResolvedDialect,
    private readonly maxRecordBytes: number,
    lineEnd: LineEnd = 'lf',
  ) {
    this.delimiter = dialect.delimiter;
    this.quoteByte = dialect.quote;
    this.escapes = dialect.backslash;
    this.skips = dialect.skippedStarts.length > 0;
    this.terminator = terminatorOf(lineEnd);
  }

  /**
   * @param bytes what was fed before, at the same offsets, and perhaps more behind
   * @param complete true when the source ends with them
   */
  feed(bytes: Buffer, complete: boolean): void {
    if (this.lineFeed === this.bytes.length) this.lineFeed = -1;
    if (this.quote === this.bytes.length) this.quote = -1;
    if (this.backslash === this.bytes.length) this.backslash = -1;
    this.bytes = bytes;
    this.complete = complete;
  }

  /** The next record begins at `offset`, without regard to the search so far. */
  restart(offset: number): void {
    this.start = this.end = this.at = offset;
    this.inRecord = false;
    this.forget();
  }

  /** The first `count` bytes of what was fed are gone; to be followed by `feed`. */
  moveBack(count: number): void {
    this.start -= count;
    this.end -= count;
    this.at -= count;
    this.forget();
    if (this.open !== -1) this.open -= count;
    if (this.forced !== -1) this.forced -= count;
    if (this.escapedEnd !== -1) this.escapedEnd -= count;
  }

  /** Searches for the record behind the last one found, or continues the search after `more`. */
  next(): Found {
    if (!this.inRecord) {
      this.start = this.at = this.end;
      this.open = this.forced = this.escapedEnd = -1;
      this.lines = 1;
      this.malformed = this.overLimit = this.strayQuote = this.skipped = false;
      if (this.start >= this.bytes.length) return this.complete ? 'none' : 'more';
      this.inRecord = true;
      this.begins = this.skips;
    }
    if (this.begins && !this.judgeStart()) return 'more';
    return this.forced === -1 ? this.findEnd() : this.findForcedEnd();
  }

  /** Finds out whether the record is a line to skip. @returns false while the bytes do not say so yet */
  private judgeStart(): boolean {
    const { bytes, start, dialect } = this;
    const isUnsure = (text: Buffer): boolean =>
      bytes.length - start < text.length && text.indexOf(bytes.subarray(start)) === 0;
    if (isSkippedLine(bytes, start, bytes.length, dialect)) {
      this.skipped = true;
      this.forced = start;
    } else if (!this.complete && dialect.skippedStarts.some(isUnsure)) return false;
    this.begins = false;
    return true;
  }

  private findEnd(): Found {
    const limit = this.start + this.maxRecordBytes;
    const { bytes, complete } = this;
    const horizon = Math.min(bytes.length, limit);
    switch (this.escapes ? this.scanEscaped(horizon) : this.scan(horizon)) {
      case 'end':
        return this.found();
      case 'broken':
        return this.force(this.open + 1); // BO3
      case 'unsure':
        return 'more';
      case 'horizon':
        if (bytes.length > limit) {
          this.overLimit = true;
          return this.force(this.open === -1 ? limit : this.open + 1); // BO3, BO4
        }
        if (!complete) return 'more';
        if (this.open !== -1) return this.force(this.open + 1); // BO3
        this.end = bytes.length;
        return this.found();
    }
  }

  /**
   * Continues from `at` by the rules, up to the horizon.
   * `unsure`: the bytes end right behind a quote, so that it is not known yet whether it closes.
   */
  private scan(horizon: number): 'end' | 'broken' | 'horizon' | 'unsure' {
    const { bytes, quoteByte, delimiter } = this;
    for (;;) {
      if (this.open === -1) {
        const lineFeed = this.lineFeedFrom(this.at);
        const opening = this.quoteByte === -1 ? -1 : this.openingQuote(Math.min(lineFeed, horizon));
        if (opening === -1) {
          this.at = Math.min(lineFeed, horizon);
          if (lineFeed >= horizon) return 'horizon';
          this.end = lineFeed + 1;
          return 'end';
        }
        this.open = opening;
        this.at = opening + 1;
      }
      const quote = this.quoteFrom(this.at);
      this.at = Math.min(quote, horizon);
      if (quote >= horizon) return 'horizon';
      const next = bytes[quote + 1];
      if (next === quoteByte) {
        this.at = quote + 2;
        continue;
      }
      if (next !== delimiter && next !== this.terminator) {
        const behind = this.behindQuote(quote + 1);
        if (behind !== 'closes') return behind;
      }
      this.close(quote);
      this.at = quote + 1;
    }
  }

  /** As `scan`, from backslash to backslash: each is skipped with the character that it escapes. */
  private scanEscaped(horizon: number): 'end' | 'broken' | 'horizon' | 'unsure' {
    for (;;) {
      const backslash = this.backslashFrom(this.at);
      const outcome = this.scan(Math.min(backslash, horizon));
      if (outcome !== 'horizon' || backslash >= horizon) return outcome;
      const behind = this.behindEscape(backslash + 1);
      if (behind === -1) return 'unsure';
      this.at = Math.min(behind, horizon);
      if (behind > horizon) return 'horizon';
      this.escapedEnd = behind;
      // Inside quotes, `close` counts them.
      if (this.open === -1 && this.bytes[behind - 1] === this.terminator) this.lines += 1;
    }
  }

  /** Behind the character or line end at `at`, which a backslash makes text; -1 while the bytes do not say what it is. */
  private behindEscape(at: number): number {
    const { bytes, complete, terminator } = this;
    if (at >= bytes.length) return complete ? at : -1;
    let end = at;
    while (terminator === LINE_FEED && end < at + MAX_RETURNS && bytes[end] === CARRIAGE_RETURN) end += 1;
    if (end >= bytes.length && !complete) return -1;
    return bytes[end] === terminator ? end + 1 : at + 1;
  }

  /** Whether the quote before `at`, which neither a delimiter nor the line end's last byte follows, closes its field. */
  private behindQuote(at: number): 'closes' | 'broken' | 'unsure' {
    const { bytes, complete, terminator } = this;
    // A quote as the very last byte of a source closes.
    if (at >= bytes.length) return complete ? 'closes' : 'unsure';
    let end = at;
    while (terminator === LINE_FEED && end < at + MAX_RETURNS && bytes[end] === CARRIAGE_RETURN) end += 1;
    if (end === at) return 'broken';
    if (end >= bytes.length) return complete ? 'broken' : 'unsure';
    return bytes[end] === LINE_FEED ? 'closes' : 'broken';
  }

  /** The first quote from `at` to `end` that stands at a field's start, or -1. */
  private openingQuote(end: number): number {
    let quote = this.quoteFrom(this.at);
    while (quote < end) {
      const isFieldStart =
        quote === this.start || (this.bytes[quote - 1] === this.delimiter && quote !== this.escapedEnd);
      if (isFieldStart) return quote;
      this.strayQuote = true;
      quote = this.quoteFrom(quote + 1);
    }
    return -1;
  }

  private close(quote: number): void {
    let lineFeed = this.lineFeedFrom(this.open);
    while (lineFeed < quote) {
      this.lines += 1;
      lineFeed = this.lineFeedFrom(lineFeed + 1);
    }
    this.open = -1;
  }

  private force(from: number): Found {
    this.malformed = true;
    this.forced = from;
    return this.findForcedEnd();
  }

  private findForcedEnd(): Found {
    const limit = this.start + this.maxRecordBytes;
    const lineFeed = this.bytes.indexOf(this.terminator, this.forced);
    this.forget(); // The next record may begin before what was searched.
    if (lineFeed !== -1 && lineFeed < limit) {
      this.end = lineFeed + 1;
      return this.found();
    }
    if (this.bytes.length > limit) {
      this.inRecord = false;
      return 'oversize';
    }
    if (this.complete) {
      this.end = this.bytes.length;
      return this.found();
    }
    this.forced = this.bytes.length;
    return 'more';
  }

  private found(): Found {
    this.inRecord = false;
    return 'record';
  }

  private forget(): void {
    this.lineFeed = this.quote = this.backslash = -1;
  }

  private lineFeedFrom(from: number): number {
    if (this.lineFeed < from) {
      const found = this.bytes.indexOf(this.terminator, from);
      this.lineFeed = found === -1 ? this.bytes.length : found;
    }
    return this.lineFeed;
  }

  private quoteFrom(from: number): number {
    if (this.quote < from) {
      const found = this.bytes.indexOf(this.quoteByte, from);
      this.quote = found === -1 ? this.bytes.length : found;
    }
    return this.quote;
  }

  private backslashFrom(from: number): number {
    if (this.backslash < from) {
      // They come in runs, and a call for each of a million costs seconds.
      const found = this.bytes[from] === BACKSLASH ? from : this.bytes.indexOf(BACKSLASH, from);
      this.backslash = found === -1 ? this.bytes.length : found;
    }
    return this.backslash;
  }
}
