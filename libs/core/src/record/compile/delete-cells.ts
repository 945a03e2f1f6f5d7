/**
 * Reads the key and the version of records that are deletes, by their marker or as the key of a message without a value. PURE.
 */
import { equalBytes } from '../../dataset/rules.js';
import { ByteCleaner } from '../cleaning.js';
import { Cells, CONTAINER_FLAG, NUL_REMOVED_FLAG, type RecordProblem, type RecordReader } from './cells.js';
import type { ColumnPlan, ContractPlan } from './contract-plan.js';
import { type DeletesPlan, fieldsOf } from './deletes-plan.js';
import { cleaningOf } from './derived-cells.js';
import { JsonReader } from './json-reader.js';

/** Values of a delete, and where its columns (`DeletesPlan.columns`) stand in them. */
export interface DeleteCells {
  readonly cells: Cells;
  readonly cellOf: Int32Array;
  /** The cells that its columns read: what is said about others does not matter. */
  readonly read: readonly number[];
  /** Of those, the ones whose text holds a quote that neither opens nor closes it. */
  readonly strayQuotes: readonly number[];
}

/** The plan that a reader of the contract's records goes by: the marker stands behind the columns. */
export function withMarker(plan: ContractPlan): ContractPlan {
  const marker = plan.deletes?.marker ?? null;
  return marker === null ? plan : { ...plan, columns: [...plan.columns, marker.column] };
}

/** What a delete is read from, and nothing else of the contract. */
function planOfDeletes(plan: ContractPlan, { columns, table }: DeletesPlan): ContractPlan {
  return { ...plan, columns, children: [], tables: [table] };
}

/** Records that a marker makes deletes. */
export class MarkedRecords {
  private readonly markerCell: number;
  private readonly values: readonly Buffer[];
  private readonly cellOf: Int32Array;
  private readonly read: readonly number[];

  /**
   * @param reader of a plan {@link withMarker}
   * @param columns of that plan, without the marker
   */
  constructor(
    private readonly reader: RecordReader,
    columns: readonly ColumnPlan[],
    deletes: DeletesPlan,
  ) {
    this.markerCell = reader.cellOf[columns.length] ?? -1;
    this.values = (deletes.marker?.values ?? []).map((value) => Buffer.from(value));
    this.cellOf = Int32Array.from(deletes.columns, ({ target }) => {
      const at = columns.findIndex((column) => column.target === target);
      return reader.cellOf[at] ?? -1;
    });
    this.read = readBy(reader, this.cellOf);
  }

  /** The record that the reader has loaded, if it is a delete. */
  loaded(): DeleteCells | null {
    const { reader, markerCell, values, cellOf, read } = this;
    const { cells } = reader;
    const end = cells.ends[markerCell] ?? -1;
    if (end === -1 || cells.flags[markerCell] === CONTAINER_FLAG) return null;
    const start = cells.starts[markerCell] ?? 0;
    const bytes = cells.bytes[markerCell] as Buffer;
    if (!values.some((value) => equalBytes(bytes, start, end, value))) return null;
    return { cells, cellOf, read, strayQuotes: reader.strayQuotes.filter((cell) => read.includes(cell)) };
  }
}

/** NDJSON records that cannot be read as a whole: whether they are deletes that can be. */
export class MarkedOtherwise {
  private readonly reader: JsonReader;
  private readonly marked: MarkedRecords;

  constructor(dataset: string, plan: ContractPlan, deletes: DeletesPlan) {
    const own = planOfDeletes(plan, deletes);
    this.reader = new JsonReader(dataset, withMarker(own));
    this.marked = new MarkedRecords(this.reader, own.columns, deletes);
  }

  find(bytes: Buffer, start: number, end: number): DeleteCells | null {
    this.reader.startBatch(bytes);
    return this.reader.load(start, end) === null ? this.marked.loaded() : null;
  }
}

function readBy(reader: RecordReader, cellOf: Int32Array): readonly number[] {
  return [...new Set([...cellOf].filter((cell) => cell !== -1).flatMap((cell) => reader.partsOf(cell)))];
}

const NUL = 0;
const OPEN_OBJECT = 0x7b;
const OPEN_ARRAY = 0x5b;
const QUOTE = 0x22;
const NULL_TEXT = Buffer.from('null');

/**
 * Keys of messages without a value. One field: the key is its value, as it stands; in NDJSON a JSON string is what it
 * says, and an object names the field. Several fields: a JSON object.
 */
export class TombstoneKeys {
  private readonly fields: readonly string[];
  private readonly reader: JsonReader;
  private readonly read: readonly number[];
  private readonly single: SingleKey | null;

  constructor(
    dataset: string,
    plan: ContractPlan,
    deletes: DeletesPlan,
    private readonly isJson: boolean,
  ) {
    const { columns, table } = deletes;
    const ofKey = columns.filter(({ target }) => table.key.includes(target));
    this.fields = fieldsOf(ofKey);
    this.reader = new JsonReader(dataset, planOfDeletes(plan, deletes));
    this.read = readBy(this.reader, this.reader.cellOf);
    this.single = this.fields.length === 1 ? new SingleKey(plan, columns, ofKey) : null;
  }

  load(bytes: Buffer, start: number, end: number): DeleteCells | RecordProblem {
    const { single, isJson } = this;
    const first = start < end ? bytes[start] : undefined;
    if (single === null || (isJson && first === OPEN_OBJECT)) return this.loadObject(bytes, start, end);
    if (isJson && (first === OPEN_ARRAY || equalBytes(bytes, start, end, NULL_TEXT))) return this.problem();
    if (!isJson || first !== QUOTE) return single.load(bytes.subarray(start, end));
    try {
      const text = JSON.parse(bytes.toString('utf8', start, end)) as string;
      return text.isWellFormed() ? single.load(Buffer.from(text)) : this.problem();
    } catch {
      return this.problem();
    }
  }

  private loadObject(bytes: Buffer, start: number, end: number): DeleteCells | RecordProblem {
    const { reader, read } = this;
    reader.startBatch(bytes);
    const problem = reader.load(start, end);
    if (problem !== null || reader.blank) return this.problem();
    return { cells: reader.cells, cellOf: reader.cellOf, read, strayQuotes: [] };
  }

  /** Without anything of the key: it may be any text. */
  private problem(): RecordProblem {
    const names = this.fields.join(', ');
    const wanted = this.single === null ? `a JSON object of ${names}` : `a value of ${names}`;
    return { field: null, message: `the message has no value, and its key is not ${wanted}` };
  }
}

/** A key of one field, whose bytes are its value. */
class SingleKey {
  private readonly cells: Cells;
  private readonly cellOf: Int32Array;
  private readonly ofKey: readonly { readonly cell: number; readonly cleaner: ByteCleaner }[];

  constructor(plan: ContractPlan, columns: readonly ColumnPlan[], ofKey: readonly ColumnPlan[]) {
    this.cells = new Cells(columns.map((column) => fieldsOf([column]).join('')));
    this.cellOf = Int32Array.from(columns, (column, at) => (fieldsOf([column]).length === 0 ? -1 : at));
    this.ofKey = columns.flatMap((column, cell) =>
      ofKey.includes(column) && fieldsOf([column]).length > 0
        ? [{ cell, cleaner: new ByteCleaner(cleaningOf(column, plan.cleaning)) }]
        : [],
    );
  }

  load(value: Buffer): DeleteCells {
    const { cells, cellOf, ofKey } = this;
    cells.clear();
    const plain = value.includes(NUL) ? Buffer.from(value.filter((byte) => byte !== NUL)) : value;
    cells.hasNulRemoved = plain !== value;
    for (const { cell, cleaner } of ofKey) {
      cleaner.clean(plain, 0, plain.length);
      cells.set(cell, plain, cleaner.start, cleaner.end);
      if (plain !== value) cells.flags[cell] = NUL_REMOVED_FLAG;
    }
    return { cells, cellOf, read: ofKey.map(({ cell }) => cell), strayQuotes: [] };
  }
}
