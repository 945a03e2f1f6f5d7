import type { ValueWriter } from '../dataset/kinds.js';

/**
 * COPY text, written row by row into one growing buffer. PURE.
 *
 * The format (PostgreSQL, "COPY, Text Format"): columns end with a tab, rows with a line feed, NULL is
 * `\N`, and a backslash begins an escape. So in a value backslash, tab, line feed and carriage return are
 * written as `\\`, `\t`, `\n`, `\r`, and nothing else needs care:
 *
 * - CT1: no value can write `\.` (which alone on a line would end the COPY, later rows vanishing without
 *   an error) or `\N`, because every backslash of a value is doubled.
 * - CT2: a value holds no NUL and is well-formed UTF-8 (else 22021, and the whole COPY is lost): the
 *   contract's cleaning and the batch's UTF-8 check see to it before anything is written here.
 *
 * Why not strings: `value.replace(…)` and `join('\t')` cost 3 to 4 times as much as copying bytes whose
 * every value was read once. `copy-text.spec.ts` proves that what is written reads back as it was.
 */
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BACKSLASH = 0x5c;
const LETTER_T = 0x74;
const LETTER_N = 0x6e;
const LETTER_R = 0x72;
const LETTER_NULL = 0x4e;

/** A larger buffer is released when its text is taken: few batches need one, and each job keeps its own. */
const KEPT_CAPACITY_BYTES = 2 * 1024 * 1024;

export class CopyText implements ValueWriter {
  private bytes: Buffer;
  private used = 0;
  private rowCount = 0;
  private markedLength = 0;
  private markedRows = 0;

  constructor(capacity = 64 * 1024) {
    this.bytes = Buffer.allocUnsafe(capacity);
  }

  /** Bytes written. */
  get length(): number {
    return this.used;
  }

  get rows(): number {
    return this.rowCount;
  }

  /** A value's bytes, escaped. */
  value(source: Uint8Array, start: number, end: number): void {
    this.reserve((end - start) * 2);
    const { bytes } = this;
    let to = this.used;
    for (let at = start; at < end; at += 1) {
      const byte = source[at] ?? 0;
      if (byte > CARRIAGE_RETURN && byte !== BACKSLASH) {
        bytes[to] = byte;
        to += 1;
        continue;
      }
      const letter = escapeLetter(byte);
      if (letter !== 0) {
        bytes[to] = BACKSLASH;
        to += 1;
      }
      bytes[to] = letter === 0 ? byte : letter;
      to += 1;
    }
    this.used = to;
  }

  /** Bytes that need no escape: digits, or what was escaped before. */
  raw(source: Uint8Array, start = 0, end = source.length): void {
    this.reserve(end - start);
    const { bytes } = this;
    let to = this.used;
    for (let at = start; at < end; at += 1, to += 1) bytes[to] = source[at] ?? 0;
    this.used = to;
  }

  /** What another text holds from `start` to `end`, as it is. */
  copyFrom(other: CopyText, start: number, end: number): void {
    this.raw(other.bytes, start, end);
  }

  /** ASCII characters that need no escape. */
  ascii(text: string): void {
    this.reserve(text.length);
    const { bytes } = this;
    let to = this.used;
    for (let at = 0; at < text.length; at += 1, to += 1) bytes[to] = text.charCodeAt(at);
    this.used = to;
  }

  /** A non-negative safe integer in decimal digits. */
  count(value: number): void {
    this.reserve(16);
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
    let rest = value;
    for (let to = this.used + digits - 1; to >= this.used; to -= 1) {
      const shorter = Math.floor(rest / 10);
      this.bytes[to] = 0x30 + (rest - shorter * 10);
      rest = shorter;
    }
    this.used += digits;
  }

  null(): void {
    this.reserve(2);
    this.bytes[this.used] = BACKSLASH;
    this.bytes[this.used + 1] = LETTER_NULL;
    this.used += 2;
  }

  endColumn(): void {
    this.reserve(1);
    this.bytes[this.used] = TAB;
    this.used += 1;
  }

  endRow(): void {
    this.reserve(1);
    this.bytes[this.used] = LINE_FEED;
    this.used += 1;
    this.rowCount += 1;
  }

  /** Remembers this place for {@link rewind}. */
  mark(): void {
    this.markedLength = this.used;
    this.markedRows = this.rowCount;
  }

  /** Takes back everything that was written since {@link mark}. */
  rewind(): void {
    this.used = this.markedLength;
    this.rowCount = this.markedRows;
  }

  clear(): void {
    this.used = this.rowCount = this.markedLength = this.markedRows = 0;
  }

  /** Gives a copy of what was written, and starts over. */
  take(): Buffer {
    const taken = Buffer.from(this.bytes.subarray(0, this.used));
    this.clear();
    if (this.bytes.length > KEPT_CAPACITY_BYTES) this.bytes = Buffer.allocUnsafe(KEPT_CAPACITY_BYTES);
    return taken;
  }

  private reserve(more: number): void {
    const wanted = this.used + more;
    if (wanted <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}

/** A constant as COPY text: what is stored for a null or refused value. */
export function copyTextOf(value: string | null): Buffer {
  const out = new CopyText(64);
  if (value === null) out.null();
  else {
    const bytes = Buffer.from(value);
    out.value(bytes, 0, bytes.length);
  }
  return out.take();
}

function escapeLetter(byte: number): number {
  switch (byte) {
    case BACKSLASH:
      return BACKSLASH;
    case TAB:
      return LETTER_T;
    case LINE_FEED:
      return LETTER_N;
    case CARRIAGE_RETURN:
      return LETTER_R;
    default:
      return 0;
  }
}
