import type { Cells } from './cells.js';

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
