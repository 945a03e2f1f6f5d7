/** What a producer sends all day about a table that is full: mostly what is there already, some changes, a few new rows. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { ORDER, fieldsOf } from './waiting-messages.js';

/** Of 20 records that many are new, and that many change a row; the others say what is there already. */
const NEW_OF_20 = 1;
const CHANGED_OF_20 = 3;
const HEAD_LINES = 2;
/** Place of the capital in the contract's order: what a change changes. */
const CAPITAL = 4;
/** Coprime to any number of rows that is no multiple of it: all rows come, far from each other. */
const STRIDE = 1_000_003;

export interface SteadyRecord {
  /** The same for one key at any time, so that a partition keeps a key's order. */
  readonly row: number;
  readonly line: string;
}

/**
 * Records in an endless row, from the lines of a file in the publisher's form.
 *
 * The first `present` rows of the file are in the table; those behind are new, in turns. With `sumOfCapital` and `rows` it says what the
 * table must hold when all that was taken is visible.
 */
export class SteadyRecords {
  private readonly changedTo: Float64Array;
  private readonly capitals: Float64Array;
  private count = 0;
  private known: number;

  private constructor(
    private readonly lines: readonly Buffer[],
    present: number,
  ) {
    this.known = present;
    this.capitals = Float64Array.from(lines, (line) => Number(fieldsOf(line.toString())[CAPITAL]));
    this.changedTo = new Float64Array(lines.length).fill(-1);
  }

  static async of(file: string, present: number): Promise<SteadyRecords> {
    const lines: Buffer[] = [];
    let head = HEAD_LINES;
    for await (const text of createInterface({ input: createReadStream(file) })) {
      if (head-- > 0) continue;
      const fields = fieldsOf(text);
      lines.push(
        Buffer.from([...ORDER.map((at) => fields[at] ?? ''), ...fields.slice(ORDER.length)].join(',')),
      );
    }
    return new SteadyRecords(lines, present);
  }

  /** Rows of the table when all that was taken is visible. */
  get rows(): number {
    return this.known;
  }

  get sumOfCapital(): number {
    let sum = 0;
    for (let row = 0; row < this.known; row++) sum += this.capitalOf(row);
    return sum;
  }

  take(records: number): SteadyRecord[] {
    return Array.from({ length: records }, () => this.next());
  }

  private next(): SteadyRecord {
    const turn = this.count++ % 20;
    if (turn < NEW_OF_20 && this.known < this.lines.length) return this.recordOf(this.known++);
    const row = (this.count * STRIDE) % this.known;
    if (turn < NEW_OF_20 + CHANGED_OF_20) this.changedTo[row] = this.count;
    return this.recordOf(row);
  }

  private recordOf(row: number): SteadyRecord {
    const line = (this.lines[row] ?? Buffer.alloc(0)).toString();
    if ((this.changedTo[row] ?? -1) < 0) return { row, line };
    const fields = fieldsOf(line);
    fields[CAPITAL] = String(this.capitalOf(row));
    return { row, line: fields.join(',') };
  }

  private capitalOf(row: number): number {
    const changed = this.changedTo[row] ?? -1;
    return changed < 0 ? (this.capitals[row] ?? 0) : changed;
  }
}
