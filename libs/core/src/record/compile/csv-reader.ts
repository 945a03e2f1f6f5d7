import { SluiceError } from '#common/errors/sluice-error.js';
import { ByteCleaner } from '../cleaning.js';
import {
  delimitersName,
  type RecordShape,
  type ResolvedDialect,
  resolveDialect,
  USUAL_DELIMITERS,
} from '../../dataset/csv-dialect.js';
import { CsvFields, findStray, NULL_FIELD, PLAIN_FIELD, rewrite } from '../csv-fields.js';
import { CARRIAGE_RETURN, type LineEnd, strayByteOf } from '../line-ends.js';
import { Cells, NUL_REMOVED_FLAG, type RecordProblem, type RecordReader } from './cells.js';
import type { ColumnPlan, ContractPlan } from './contract-plan.js';
import { DerivedCells, type RawFields } from './derived-cells.js';

const NUL = 0;

/**
 * CSV records as cells: one cell a field of the file, cleaned. PURE.
 * The slots of a child are fields of the record itself, so `loadChild` has nothing to do.
 */
export class CsvReader implements RecordReader, RawFields {
  readonly cells: Cells;
  readonly cellOf: Int32Array;
  blank = false;
  strayQuotes: readonly number[] = NONE;
  readonly unknown = null;

  private readonly dialect: ResolvedDialect;
  private readonly fields: CsvFields;
  private readonly cleaner: ByteCleaner;
  /** For each child, for each slot, the cells of its columns. */
  private readonly slots: readonly (readonly Int32Array[])[];
  private bytes: Buffer = Buffer.alloc(0);
  /** The first NUL of the batch that is not before the record being loaded; the batch's length when there is none. */
  private nul = 0;
  /** The same of the byte that ends no line here (CR in a file of LF, LF in a file of CR). */
  private stray = 0;
  private strayByte = 0;
  /** Fields that had to be rewritten (doubled quotes, NULs); reused by each record. */
  private scratch = Buffer.alloc(4096);
  private scratchUsed = 0;
  /** Where a rewritten field stands in `scratch` before it is cleaned. */
  private readonly rewrittenStarts: Int32Array;
  private readonly rewrittenEnds: Int32Array;
  private hasNul = false;
  private readonly derived: DerivedCells;
  private readonly hasDerived: boolean;

  /** @throws SluiceError DATASET_INVALID when the file lacks a column that the contract reads, or has it twice */
  constructor(
    { name: dataset, csv }: { readonly name: string } & Pick<RecordShape, 'csv'>,
    plan: ContractPlan,
    private readonly columns: readonly string[],
  ) {
    this.dialect = resolveDialect(csv);
    const derived = new DerivedCells(columns.length, plan.cleaning);
    const cellOfName = (name: string, { optionalInFile }: ColumnPlan): number => {
      const at = columns.indexOf(name);
      if (at === -1 && optionalInFile) return derived.absent(name);
      if (at === -1)
        throw new SluiceError('DATASET_INVALID', `Dataset ${dataset}: the file has no column "${name}".`);
      if (columns.includes(name, at + 1)) {
        throw new SluiceError(
          'DATASET_INVALID',
          `Dataset ${dataset}: the file has the column "${name}" twice.`,
        );
      }
      return at;
    };
    this.cellOf = derived.cellsOf(plan.columns, cellOfName);
    this.slots = plan.children.map(({ columns: childColumns, options, table }) => {
      if (!('slots' in options)) {
        throw new SluiceError(
          'DATASET_INVALID',
          `Dataset ${dataset}: the rows of ${table.name} need slots, the format is csv.`,
        );
      }
      return options.slots.map((slot) =>
        derived.cellsOf(
          childColumns,
          (source, column) => {
            const name = slot[source];
            if (name !== undefined) return cellOfName(name, column);
            throw new SluiceError(
              'DATASET_INVALID',
              `Dataset ${dataset}: a slot of ${table.name} does not name "${source}".`,
            );
          },
          (source) => slot[source] ?? source,
        ),
      );
    });
    this.cells = new Cells([...columns, ...derived.names]);
    this.derived = derived;
    this.hasDerived = !derived.isIdle;
    this.rewrittenStarts = new Int32Array(columns.length);
    this.rewrittenEnds = new Int32Array(columns.length);
    this.fields = new CsvFields(columns.length, this.dialect);
    this.cleaner = new ByteCleaner(plan.cleaning);
  }

  startBatch(bytes: Buffer, lineEnd: LineEnd): void {
    this.bytes = bytes;
    this.nul = this.stray = -1;
    this.strayByte = strayByteOf(lineEnd);
    this.cells.clear();
  }

  load(start: number, end: number, hasStrayQuote: boolean): RecordProblem | null {
    const { fields, cells, cleaner, bytes } = this;
    const expected = this.columns.length;
    this.strayQuotes = NONE;
    if (hasStrayQuote || this.strayFrom(start) < end) {
      const problem = this.judgeStray(start, end);
      if (problem !== null) return problem;
    }
    const count = fields.split(bytes, start, end);
    if (count !== expected) {
      const is = count === 1 ? '1 field' : `${count} fields`;
      const why = whatItIs(bytes, start, end) || whatSeparates(bytes, start, end, expected, this.dialect);
      return { field: null, message: `the record has ${is} instead of ${expected}${why}` };
    }
    let blank = true;
    const hasNul = this.nulFrom(start) < end;
    cells.hasNulRemoved = hasNul;
    if (this.dialect.backslash) cells.flags.fill(0);
    this.scratchUsed = 0;
    for (let at = 0; at < expected; at += 1) {
      const from = fields.starts[at] ?? 0;
      const to = fields.ends[at] ?? 0;
      const mark = fields.marks[at] ?? PLAIN_FIELD;
      if (hasNul || mark !== PLAIN_FIELD) {
        this.loadRewritten(at, from, to, end - start, mark);
      } else if (cleaner.isClean(bytes, from, to)) {
        cells.set(at, bytes, from, to);
      } else {
        cleaner.clean(bytes, from, to);
        cells.set(at, bytes, cleaner.start, cleaner.end);
      }
      if (cells.ends[at] !== -1) blank = false;
    }
    this.blank = blank;
    if (this.hasDerived && !blank) {
      this.hasNul = hasNul;
      this.derived.load(cells, this);
    }
    return null;
  }

  partsOf(cell: number): readonly number[] {
    return this.derived.fieldsOf(cell);
  }

  rawBytes(field: number): Buffer {
    return this.isRewritten(field) ? this.scratch : this.bytes;
  }

  rawStart(field: number): number {
    return (this.isRewritten(field) ? this.rewrittenStarts : this.fields.starts)[field] ?? 0;
  }

  rawEnd(field: number): number {
    return (this.isRewritten(field) ? this.rewrittenEnds : this.fields.ends)[field] ?? 0;
  }

  private isRewritten(field: number): boolean {
    return this.hasNul || this.fields.marks[field] !== PLAIN_FIELD;
  }

  openChild(child: number): number {
    return this.slots[child]?.length ?? 0;
  }

  loadChild(): Cells {
    return this.cells;
  }

  childCellOf(child: number, slot: number): Int32Array {
    return this.slots[child]?.[slot] ?? NO_CELLS;
  }

  /** Records come in order, so a batch is searched once: one NUL in it must not cost its other records anything. */
  private nulFrom(start: number): number {
    if (this.nul < start) {
      const found = this.bytes.indexOf(NUL, start);
      this.nul = found === -1 ? this.bytes.length : found;
    }
    return this.nul;
  }

  /** As {@link nulFrom}. Where lines end with CRLF, each record looks as far as its own end. */
  private strayFrom(start: number): number {
    if (this.stray < start) {
      const found = this.bytes.indexOf(this.strayByte, start);
      this.stray = found === -1 ? this.bytes.length : found;
    }
    return this.stray;
  }

  private judgeStray(start: number, end: number): RecordProblem | null {
    const { problem, quotes } = findStray(this.bytes, start, end, this.strayByte, this.dialect);
    this.strayQuotes = quotes.filter((at) => at < this.columns.length);
    if (problem === null) return null;
    const field = this.columns[problem.field] ?? null;
    if (problem.is === 'blank before a quote') {
      return {
        field,
        message: `${field ?? 'a field'} has a blank before its opening quote, so the quote is text`,
      };
    }
    const byte =
      this.strayByte === CARRIAGE_RETURN ? 'a CR, where lines end with LF' : 'an LF, where lines end with CR';
    return { field: null, message: `the record holds ${byte}, outside quotes` };
  }

  /** Fields of a record take no more room rewritten than the record itself. */
  private loadRewritten(at: number, from: number, to: number, recordBytes: number, mark: number): void {
    if (mark === NULL_FIELD) {
      this.cells.set(at, this.bytes, from, -1);
      this.cells.flags[at] = 0;
      this.rewrittenEnds[at] = -1;
      return;
    }
    // A fresh buffer, not a larger one: earlier cells may point into the old one.
    if (this.scratchUsed === 0 && this.scratch.length < recordBytes) this.scratch = Buffer.alloc(recordBytes);
    const { scratch, scratchUsed: start } = this;
    let end: number;
    if (mark !== PLAIN_FIELD) end = rewrite(this.bytes, from, to, this.dialect, mark, scratch, start);
    else end = start + this.bytes.copy(scratch, start, from, to);
    let kept = start;
    for (let read = start; read < end; read += 1) {
      const byte = scratch[read] ?? 0;
      if (byte === NUL) continue;
      scratch[kept] = byte;
      kept += 1;
    }
    this.scratchUsed = kept;
    this.rewrittenStarts[at] = start;
    this.rewrittenEnds[at] = kept;
    this.cells.flags[at] = kept === end ? 0 : NUL_REMOVED_FLAG;
    if (kept !== end) this.cells.hasNulRemoved = true; // Also of `\0`, where the record itself holds none.
    this.cleaner.clean(scratch, start, kept);
    this.cells.set(at, scratch, this.cleaner.start, this.cleaner.end);
  }
}

const NONE: readonly number[] = [];
const DOS_END_OF_FILE = 0x1a;

/** What else is known of a record with a wrong number of fields: marks that a crash or an old editor leaves. */
export function whatItIs(bytes: Buffer, start: number, end: number): string {
  if (end - start === 1 && bytes[start] === DOS_END_OF_FILE)
    return '; it is 0x1A, the end-of-file mark of DOS';
  if (start === end) return '';
  for (let at = start; at < end; at += 1) if (bytes[at] !== NUL) return '';
  return '; it holds nothing but NUL bytes, as a crash leaves them at the end of a file';
}

/** A record that would have enough fields by another delimiter, of which it holds more than of its dialect's. */
function whatSeparates(
  bytes: Buffer,
  start: number,
  end: number,
  expected: number,
  { delimiter }: ResolvedDialect,
): string {
  const own = countOf(bytes, start, end, delimiter);
  for (const other of USUAL_DELIMITERS) {
    const count = countOf(bytes, start, end, other.charCodeAt(0));
    if (count > own && count >= expected - 1) {
      const wanted = delimitersName(String.fromCharCode(delimiter));
      return `; it is separated by ${delimitersName(other)}, and ${wanted} are expected`;
    }
  }
  return '';
}

/** Never looks beyond the record: a batch of refused records is read once more, and not once a record. */
function countOf(bytes: Buffer, start: number, end: number, wanted: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) if (bytes[at] === wanted) count += 1;
  return count;
}

const NO_CELLS = new Int32Array(0);
