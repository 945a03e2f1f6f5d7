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
    // Nearly always the batch that is there already, and storing a reference costs more than looking at it.
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
  /** How many slots or elements the loaded record has for the child; a problem where that cannot be told. */
  openChild(child: number): number | RecordProblem;
  /** Loads one of them. @returns its cells, or what makes the record malformed */
  loadChild(child: number, slot: number): Cells | RecordProblem;
  /** For each of the child's columns, its cell in what `loadChild` gave for this slot. */
  childCellOf(child: number, slot: number): Int32Array;
}

export function isProblem(value: Cells | RecordProblem): value is RecordProblem {
  return 'message' in value;
}
