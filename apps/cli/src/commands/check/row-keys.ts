import type { TablePlan } from '#core/record/compile-contract.js';

const TAB = 0x09;
const LINE_FEED = 0x0a;

/** The keys of rows of COPY text, in which equal values are equal bytes. PURE. */
export class RowKeys {
  private readonly keyColumns: readonly number[];

  constructor(table: Pick<TablePlan, 'key' | 'columns'>) {
    // The record number stands before the columns.
    this.keyColumns = table.key.map((name) => table.columns.indexOf(name) + 1);
  }

  /** Row by row, in the order of the records. @param text rows of the table whose key it is */
  *of(text: Buffer): Generator<{ readonly record: number; readonly key: Buffer }> {
    for (let start = 0; start < text.length;) {
      const end = text.indexOf(LINE_FEED, start);
      const row = text.subarray(start, end);
      yield { record: Number(fieldOf(row, 0).toString('latin1')), key: this.keyOf(row) };
      start = end + 1;
    }
  }

  private keyOf(row: Buffer): Buffer {
    const [only, ...more] = this.keyColumns;
    if (only !== undefined && more.length === 0) return fieldOf(row, only);
    const tab = Buffer.of(TAB); // in no field: COPY text escapes it
    return Buffer.concat(this.keyColumns.flatMap((column) => [fieldOf(row, column), tab]));
  }
}

function fieldOf(row: Buffer, column: number): Buffer {
  let start = 0;
  for (let i = 0; i < column; i++) start = row.indexOf(TAB, start) + 1;
  const end = row.indexOf(TAB, start);
  return row.subarray(start, end === -1 ? row.length : end);
}
