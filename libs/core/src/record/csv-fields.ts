/**
 * Splits one CSV record into its fields, on bytes. PURE.
 *
 * For records whose bounds were found by `RecordBounds` and are not malformed, so that every quoted field
 * is known to close. Offsets go into arrays that are used again for each record: splitting makes no object
 * and no string, where csv-parse makes one of each field and comes to 38 MB/s. `csv-reference.spec.ts` proves the
 * same fields as csv-parse.
 */
import { BACKSLASH, type ResolvedDialect } from '../dataset/csv-dialect.js';

/** What has to be done to a field's bytes before they are its value: nothing. */
export const PLAIN_FIELD = 0;
/** It was quoted, and holds doubled quotes or backslashes: {@link rewrite}. */
export const QUOTED_FIELD = 1;
/** It was bare, and holds backslashes: {@link rewrite}. */
export const ESCAPED_FIELD = 2;
/** It is `\N`, in a dialect with backslashes: null. */
export const NULL_FIELD = 3;

export class CsvFields {
  /** Field i is [starts[i], ends[i]) of the record's bytes, enclosing quotes left out. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** One of the four constants above each. */
  readonly marks: Uint8Array;

  private readonly quote: number;
  private readonly delimiter: number;
  private readonly escapes: boolean;

  /** @param capacity fields from here on are counted, but not kept */
  constructor(
    private readonly capacity: number,
    dialect: ResolvedDialect,
  ) {
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
    this.marks = new Uint8Array(capacity);
    this.quote = dialect.quote;
    this.delimiter = dialect.delimiter;
    this.escapes = dialect.backslash;
  }

  /** @returns how many fields [start, end) holds; at least one */
  split(bytes: Uint8Array, start: number, end: number): number {
    if (this.escapes) return this.splitEscaped(bytes, start, end);
    const { quote, delimiter } = this;
    let count = 0;
    let at = start;
    for (;;) {
      let from = at;
      let to: number;
      let mark: number = PLAIN_FIELD;
      if (at < end && bytes[at] === quote) {
        from += 1;
        at = from;
        for (;;) {
          while (at < end && bytes[at] !== quote) at += 1;
          if (bytes[at + 1] !== quote || at + 1 >= end) break;
          mark = QUOTED_FIELD;
          at += 2;
        }
        to = at;
        at += 1;
      } else {
        while (at < end && bytes[at] !== delimiter) at += 1;
        to = at;
      }
      if (count < this.capacity) {
        this.starts[count] = from;
        this.ends[count] = to;
        this.marks[count] = mark;
      }
      count += 1;
      if (at >= end) return count;
      at += 1;
    }
  }

  /** The same where a backslash takes the meaning from the next character. */
  private splitEscaped(bytes: Uint8Array, start: number, end: number): number {
    const { quote, delimiter } = this;
    let count = 0;
    let at = start;
    for (;;) {
      let from = at;
      let to: number;
      let mark: number = PLAIN_FIELD;
      if (at < end && bytes[at] === quote) {
        from += 1;
        at = from;
        for (; at < end; at += 2) {
          while (at < end && bytes[at] !== quote && bytes[at] !== BACKSLASH) at += 1;
          if (bytes[at] === quote && (bytes[at + 1] !== quote || at + 1 >= end)) break;
          if (at < end) mark = QUOTED_FIELD;
        }
        to = Math.min(at, end);
        at = to + 1;
      } else {
        for (; at < end && bytes[at] !== delimiter; at += 1) {
          if (bytes[at] !== BACKSLASH) continue;
          mark = ESCAPED_FIELD;
          at += 1;
        }
        to = at = Math.min(at, end);
      }
      if (mark !== PLAIN_FIELD && to - from === 2 && bytes[from] === BACKSLASH && bytes[from + 1] === BIG_N)
        mark = NULL_FIELD;
      if (count < this.capacity) {
        this.starts[count] = from;
        this.ends[count] = to;
        this.marks[count] = mark;
      }
      count += 1;
      if (at >= end) return count;
      at += 1;
    }
  }
}

const BIG_N = 0x4e;

/** What no writer of CSV means so in a bare field. */
export interface StrayBytes {
  /** Numbers of the fields that hold a quote which neither opens nor closes them. */
  readonly quotes: readonly number[];
  /** What refuses the record: of the first such field its number and what is wrong. */
  readonly problem: { readonly field: number; readonly is: 'line end' | 'blank before a quote' } | null;
}

/** Checks the bare fields of a well-formed record. Not for the path of every record: only where there is cause. */
export function findStray(
  bytes: Uint8Array,
  start: number,
  end: number,
  strayLineByte: number,
  { quote, delimiter, backslash }: ResolvedDialect,
): StrayBytes {
  const isEscape = (at: number): boolean => backslash && bytes[at] === BACKSLASH;
  const quotes: number[] = [];
  let at = start;
  for (let field = 0; at <= end; field += 1, at += 1) {
    if (at < end && bytes[at] === quote) {
      at += 1;
      while (at < end && (bytes[at] !== quote || bytes[at + 1] === quote))
        at += bytes[at] === quote || isEscape(at) ? 2 : 1;
      at += 1;
      continue;
    }
    let blankSoFar = true;
    let hasQuote = false;
    for (; at < end && bytes[at] !== delimiter; at += 1) {
      const byte = bytes[at] ?? 0;
      if (isEscape(at)) {
        at += 1;
        blankSoFar = false;
        continue;
      }
      if (byte === strayLineByte) return { quotes, problem: { field, is: 'line end' } };
      if (byte === quote && blankSoFar) return { quotes, problem: { field, is: 'blank before a quote' } };
      hasQuote ||= byte === quote;
      blankSoFar &&= isBlankAt(bytes, at);
    }
    if (hasQuote) quotes.push(field);
  }
  return { quotes, problem: null };
}

/** Blank, tab, or any byte of U+3000 (E3 80 80). */
function isBlankAt(bytes: Uint8Array, at: number): boolean {
  const byte = bytes[at];
  if (byte === 0x20 || byte === 0x09) return true;
  const lead = byte === 0xe3 ? at : bytes[at - 1] === 0xe3 ? at - 1 : at - 2;
  return bytes[lead] === 0xe3 && bytes[lead + 1] === 0x80 && bytes[lead + 2] === 0x80;
}

/** What a character behind a backslash stands for; every other byte stands for itself. */
const MEANT = Uint8Array.from({ length: 256 }, (_, byte) => byte);
for (const [letter, byte] of Object.entries({ n: 0x0a, r: 0x0d, t: 0x09, b: 0x08, f: 0x0c, v: 0x0b, 0: 0 }))
  MEANT[letter.charCodeAt(0)] = byte;

/**
 * Writes the value of the field [start, end) to `target` from `to` on: each doubled quote of a quoted field once, and
 * what backslashes mean. @param mark of the field @returns where it ends
 */
export function rewrite(
  bytes: Uint8Array,
  start: number,
  end: number,
  { quote, backslash }: ResolvedDialect,
  mark: number,
  target: Uint8Array,
  to: number,
): number {
  const doubles = mark === QUOTED_FIELD;
  let length = to;
  for (let at = start; at < end; at += 1) {
    let byte = bytes[at] ?? 0;
    if (backslash && byte === BACKSLASH && at + 1 < end) {
      at += 1;
      byte = MEANT[bytes[at] ?? 0] ?? 0;
    } else if (doubles && byte === quote) at += 1;
    target[length] = byte;
    length += 1;
  }
  return length;
}
