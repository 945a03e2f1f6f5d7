import type { Dataset } from '#core/dataset/dataset.js';
import { type Finding, GENERAL_FINDING_CODES } from '#core/record/finding.js';
import type { TablePlan } from '#core/record/compile-contract.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { RecordWalker } from '#core/record/record-walker.js';
import type { TableSection } from '#core/record/verdict.js';
import { KeyIndex } from './key-index.js';

const TAB = 0x09;
const LINE_FEED = 0x0a;

/** The line of a record that loses to another one with its key, and why. */
export interface Duplicate {
  readonly line: number;
  readonly finding: Finding;
}

/**
 * Finds accepted records with a key that another one has, as the database would: by the key columns of
 * the COPY text, in which equal values are equal bytes.
 */
export class DuplicateFinder {
  private readonly index: KeyIndex;
  private readonly keyColumns: readonly number[];
  private readonly keyName: string;

  constructor(
    private readonly dataset: Pick<Dataset, 'format' | 'keepOfDuplicates'>,
    table: TablePlan,
    index = new KeyIndex(),
  ) {
    this.index = index;
    // The record number stands before the columns.
    this.keyColumns = table.key.map((name) => table.columns.indexOf(name) + 1);
    this.keyName = table.key.join(', ');
  }

  /** Records after N different keys were not compared with each other. */
  get gaveUp(): boolean {
    return this.index.full;
  }

  /** @param section the rows of the table whose key it is */
  *find(batch: RawBatch, section: TableSection): Generator<Duplicate> {
    const { format, keepOfDuplicates } = this.dataset;
    const walker = new RecordWalker(batch, format);
    for (const { record, key } of this.rows(section.text)) {
      while (batch.firstRecord + walker.index < record && walker.next());
      const before = this.index.meet(key, walker.line, keepOfDuplicates);
      if (before === undefined) continue;
      const [loser, winner] = keepOfDuplicates === 'first' ? [walker.line, before] : [before, walker.line];
      yield { line: loser, finding: duplicate(this.keyName, winner) };
    }
  }

  private *rows(text: Buffer): Generator<{ record: number; key: Buffer }> {
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

function duplicate(keyName: string, winner: number): Finding {
  return {
    code: GENERAL_FINDING_CODES.DUPLICATE,
    field: null,
    message: `its ${keyName} is that of line ${winner}, which is kept`,
    severity: 'error',
  };
}
