/**
 * Splits one CSV record into its fields, on bytes. PURE.
 *
 * For records whose bounds were found by `RecordBounds` and are not malformed, so that every quoted field
 * is known to close. Offsets go into arrays that are used again for each record: splitting makes no object
 * and no string, where csv-parse makes one of each field and comes to 38 MB/s. `csv-reference.spec.ts` proves the
 * same fields as csv-parse.
 */
const QUOTE = 0x22;
const COMMA = 0x2c;

export class CsvFields {
  /** Field i is [starts[i], ends[i]) of the record's bytes, enclosing quotes left out. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** 1 where the field holds doubled quotes, so that {@link undouble} is needed. */
  readonly doubled: Uint8Array;

  /** @param capacity fields from here on are counted, but not kept */
  constructor(private readonly capacity: number) {
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
    this.doubled = new Uint8Array(capacity);
  }

  /** @returns how many fields [start, end) holds; at least one */
  split(bytes: Uint8Array, start: number, end: number): number {
    let count = 0;
    let at = start;
    for (;;) {
      let from = at;
      let to: number;
      let doubled = 0;
      if (at < end && bytes[at] === QUOTE) {
        from += 1;
        at = from;
        for (;;) {
          while (at < end && bytes[at] !== QUOTE) at += 1;
          if (bytes[at + 1] !== QUOTE || at + 1 >= end) break;
          doubled = 1;
          at += 2;
        }
        to = at;
        at += 1;
      } else {
        while (at < end && bytes[at] !== COMMA) at += 1;
        to = at;
      }
      if (count < this.capacity) {
        this.starts[count] = from;
        this.ends[count] = to;
        this.doubled[count] = doubled;
      }
      count += 1;
      if (at >= end) return count;
      at += 1;
    }
  }
}

/** What no writer of CSV means so in a bare field. */
export interface StrayBytes {
  /** Numbers of the fields that hold a quote which neither opens nor closes them. */
  readonly quotes: readonly number[];
  /** What refuses the record: of the first such field its number and what is wrong. */
  readonly problem: { readonly field: number; readonly is: 'line end' | 'blank before a quote' } | null;
}

/** Looks at the bare fields of a well-formed record. Not for the path of every record: only where there is cause. */
export function findStray(bytes: Uint8Array, start: number, end: number, strayLineByte: number): StrayBytes {
  const quotes: number[] = [];
  let at = start;
  for (let field = 0; at <= end; field += 1, at += 1) {
    if (at < end && bytes[at] === QUOTE) {
      at += 1;
      while (at < end && (bytes[at] !== QUOTE || bytes[at + 1] === QUOTE)) at += bytes[at] === QUOTE ? 2 : 1;
      at += 1;
      continue;
    }
    let blankSoFar = true;
    let hasQuote = false;
    for (; at < end && bytes[at] !== COMMA; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte === strayLineByte) return { quotes, problem: { field, is: 'line end' } };
      if (byte === QUOTE && blankSoFar) return { quotes, problem: { field, is: 'blank before a quote' } };
      hasQuote ||= byte === QUOTE;
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

/** Writes [start, end) to `target` from `to` on, each doubled quote once. @returns where it ends */
export function undouble(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  to: number,
): number {
  let length = to;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    target[length] = byte;
    length += 1;
    if (byte === QUOTE) at += 1;
  }
  return length;
}
