import type { LineEnd } from '../line-ends.js';
import type { UnknownMembers } from './unknown-members.js';

/** The cleaned values of one record (or of one child of it), as ranges of bytes. PURE. */
export class Cells {
  /** Value i is [starts[i], ends[i]) of bytes[i]; `ends[i]` is -1 for null. */
  readonly bytes: Buffer[];
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** 0 or one of the constants below. */
  readonly flags: Uint8Array;
  /** Some value may have the flag {@link NUL_REMOVED_FLAG}. */
  hasNulRemoved = false;
  /** Stands before each name: of a child in an array, where it stands (`lines[2]`). */
  prefix = '';

  /** @param names the source's names of the values, for findings */
  constructor(readonly names: readonly string[]) {
    this.bytes = names.map(() => NOTHING);
    this.starts = new Int32Array(names.length);
    this.ends = new Int32Array(names.length).fill(-1);
    this.flags = new Uint8Array(names.length);
  }

  set(at: number, bytes: Buffer, start: number, end: number): void {
    // Nearly always the batch that is there already, and storing a reference costs more than comparing it.
    if (this.bytes[at] !== bytes) this.bytes[at] = bytes;
    this.starts[at] = start;
    this.ends[at] = end;
  }

  clear(): void {
    this.ends.fill(-1);
    this.flags.fill(0);
    this.hasNulRemoved = false;
  }

  nameOf(at: number): string {
    return this.prefix + (this.names[at] ?? '');
  }
}

const NOTHING = Buffer.alloc(0);

/** NULs were removed from the value. */
export const NUL_REMOVED_FLAG = 1;
/** The value is a JSON object or array where a single value is read: no rule accepts it. */
export const CONTAINER_FLAG = 2;

/** What is wrong with a record as a whole. */
export interface RecordProblem {
  readonly field: string | null;
  readonly message: string;
}

/** Reads records of one format into cells. One reader serves all batches of a compiled contract. */
export interface RecordReader {
  /** The record's own values. */
  readonly cells: Cells;
  /** For each of the contract's columns, its cell; -1 for columns whose value does not stand in the record. */
  readonly cellOf: Int32Array;
  /** Every field of the last loaded record is null. */
  readonly blank: boolean;
  /** Cells of the last loaded record whose text holds a quote that neither opens nor closes it. */
  readonly strayQuotes: readonly number[];
  /** What the records of the batch hold and the contract does not read; null where there is no such thing. */
  readonly unknown: UnknownMembers | null;
  startBatch(bytes: Buffer, lineEnd: LineEnd): void;
  /**
   * Loads the record [start, end).
   * @param hasStrayQuote as `RecordBounds.strayQuote`
   * @returns what makes it malformed, or null
   */
  load(start: number, end: number, hasStrayQuote: boolean): RecordProblem | null;
  /** How many slots or elements the loaded record has for the child; a problem where that cannot be determined. */
  openChild(child: number): number | RecordProblem;
  /** Loads one of them. @returns its cells, or what makes the record malformed */
  loadChild(child: number, slot: number): Cells | RecordProblem;
  /** The cells of the fields that one of the record's own cells is made of: itself, where it is one field as it stands. */
  partsOf(cell: number): readonly number[];
  /** For each of the child's columns, its cell in what `loadChild` gave for this slot. */
  childCellOf(child: number, slot: number): Int32Array;
}

export function isProblem(value: Cells | RecordProblem): value is RecordProblem {
  return 'message' in value;
}

/** Up to here comparing bytes one by one is faster than making strings for a set; and slots are few. */
const COMPARED_ONE_BY_ONE = 16;

/** The values that one record's child rows have had so far, for `distinctBy`. PURE. */
export class DistinctValues {
  private count = 0;
  private readonly bytes: Buffer[] = [];
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly many = new Set<string>();

  clear(): void {
    this.count = 0;
    if (this.many.size > 0) this.many.clear();
  }

  /** @returns false when the value of this cell was there before; null is a value like others here */
  add(cells: Cells, cell: number): boolean {
    const bytes = cells.bytes[cell] as Buffer;
    const start = cells.starts[cell] as number;
    const end = cells.ends[cell] as number;
    for (let at = 0; at < this.count; at += 1) {
      if (this.equals(at, bytes, start, end)) return false;
    }
    if (this.count < COMPARED_ONE_BY_ONE) {
      this.bytes[this.count] = bytes;
      this.starts[this.count] = start;
      this.ends[this.count] = end;
      this.count += 1;
      return true;
    }
    const key = end === -1 ? 'null' : `=${bytes.toString('latin1', start, end)}`;
    if (this.many.has(key)) return false;
    this.many.add(key);
    return true;
  }

  private equals(at: number, bytes: Buffer, start: number, end: number): boolean {
    const otherStart = this.starts[at] as number;
    const otherEnd = this.ends[at] as number;
    if (end === -1 || otherEnd === -1) return end === otherEnd;
    const length = end - start;
    if (length !== otherEnd - otherStart) return false;
    const other = this.bytes[at] as Buffer;
    for (let offset = 0; offset < length; offset += 1) {
      if (bytes[start + offset] !== other[otherStart + offset]) return false;
    }
    return true;
  }
}
