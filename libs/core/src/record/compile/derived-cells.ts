/**
 * Cells that no field of a record is by itself: several fields joined into one, a field cleaned in its column's own way, a
 * field that the file lacks. PURE. Contracts without them pay nothing for them.
 */
import type { CleaningOptions, ColumnMetadata } from '../../dataset/columns.js';
import { ByteCleaner } from '../cleaning.js';
import { CONTAINER_FLAG, type Cells } from './cells.js';
import { type ColumnPlan, nameOfFields } from './contract-plan.js';

/** How a column's values are cleaned; the table's own object where the column says nothing. */
export function cleaningOf(
  { trim, nullTokens }: Pick<ColumnMetadata, 'trim' | 'nullTokens'>,
  table: CleaningOptions,
): CleaningOptions {
  if (trim === undefined && nullTokens === undefined) return table;
  return {
    ...table,
    ...(trim === undefined ? {} : { trim }),
    ...(nullTokens === undefined ? {} : { nullTokens }),
  };
}

/** Equal for columns that are cleaned alike, with tokens in any order. */
export function cleaningKey({ trim = true, nullTokens }: CleaningOptions): string {
  return JSON.stringify([trim, nullTokens === undefined ? null : [...nullTokens].sort()]);
}

/** Joins cells into one: those that are not null, in order. */
export class Joiner {
  private readonly between: Buffer;
  private scratch = Buffer.alloc(0);

  constructor(
    readonly parts: readonly number[],
    join: string,
  ) {
    this.between = Buffer.from(join);
  }

  /** A part that is an object or array makes the whole one: no rule accepts it. */
  load(cells: Cells, at: number): void {
    let bytes = 0;
    for (const part of this.parts) {
      const end = cells.ends[part] as number;
      if (end === -1) continue;
      const start = cells.starts[part] as number;
      if (cells.flags[part] === CONTAINER_FLAG) {
        cells.set(at, cells.bytes[part] as Buffer, start, end);
        cells.flags[at] = CONTAINER_FLAG;
        return;
      }
      bytes += end - start + this.between.length;
    }
    cells.flags[at] = 0;
    if (this.scratch.length < bytes) this.scratch = Buffer.alloc(bytes * 2);
    let to = -1;
    for (const part of this.parts) {
      const end = cells.ends[part] as number;
      if (end === -1) continue;
      to = to === -1 ? 0 : to + this.between.copy(this.scratch, to);
      to += (cells.bytes[part] as Buffer).copy(this.scratch, to, cells.starts[part], end);
    }
    cells.set(at, this.scratch, 0, to);
  }
}

/** Where a field of the loaded record stands before it is cleaned, without NULs and with its quotes resolved. */
export interface RawFields {
  rawBytes(field: number): Buffer;
  rawStart(field: number): number;
  /** -1: the field is null with any cleaning, as `\N` is in a dialect with backslashes. */
  rawEnd(field: number): number;
}

/** The derived cells of CSV records. They stand behind those of the file's fields. */
export class DerivedCells {
  readonly names: string[] = [];
  private readonly absentCells = new Map<string, number>();
  private readonly cleaned: { cell: number; field: number; cleaner: ByteCleaner; key: string }[] = [];
  private readonly joined: { cell: number; joiner: Joiner }[] = [];

  /** @param fields how many cells stand before these */
  constructor(
    private readonly fields: number,
    private readonly tableCleaning: CleaningOptions,
  ) {}

  /** Nothing has to be loaded for a record. */
  get isIdle(): boolean {
    return this.cleaned.length === 0 && this.joined.length === 0;
  }

  /** The cell of a field that the file lacks: null in every record. */
  absent(name: string): number {
    const known = this.absentCells.get(name);
    if (known !== undefined) return known;
    const cell = this.add(name);
    this.absentCells.set(name, cell);
    return cell;
  }

  /** For each column its cell, -1 for columns whose value does not stand in the record. */
  cellsOf(
    columns: readonly ColumnPlan[],
    fieldOf: (source: string, column: ColumnPlan) => number,
    nameOf: (source: string) => string = (source) => source,
  ): Int32Array {
    return Int32Array.from(columns, (column) => {
      const { origin } = column;
      const cellOf = (source: string): number =>
        this.cleanedCell(fieldOf(source, column), column, nameOf(source));
      if (origin.from === 'source') return cellOf(origin.source);
      if (origin.from !== 'fields') return -1;
      const joiner = new Joiner(origin.sources.map(cellOf), origin.join);
      const cell = this.add(nameOfFields(origin.sources.map(nameOf)));
      this.joined.push({ cell, joiner });
      return cell;
    });
  }

  load(cells: Cells, raw: RawFields): void {
    for (const { cell, field, cleaner } of this.cleaned) {
      const bytes = raw.rawBytes(field);
      const end = raw.rawEnd(field);
      if (end === -1) cells.set(cell, bytes, 0, -1);
      else {
        cleaner.clean(bytes, raw.rawStart(field), end);
        cells.set(cell, bytes, cleaner.start, cleaner.end);
      }
    }
    for (const { cell, joiner } of this.joined) joiner.load(cells, cell);
  }

  /** The file's fields that a cell is made of: itself, where it is one. */
  fieldsOf(cell: number): readonly number[] {
    if (cell < this.fields) return [cell];
    const cleaned = this.cleaned.find((one) => one.cell === cell);
    if (cleaned !== undefined) return [cleaned.field];
    const joined = this.joined.find((one) => one.cell === cell);
    return joined?.joiner.parts.flatMap((part) => this.fieldsOf(part)) ?? [];
  }

  private cleanedCell(field: number, column: ColumnPlan, name: string): number {
    const cleaning = cleaningOf(column, this.tableCleaning);
    const key = cleaningKey(cleaning);
    if (field < 0 || field >= this.fields || key === cleaningKey(this.tableCleaning)) return field;
    const known = this.cleaned.find((one) => one.field === field && one.key === key);
    if (known !== undefined) return known.cell;
    const cell = this.add(name);
    this.cleaned.push({ cell, field, cleaner: new ByteCleaner(cleaning), key });
    return cell;
  }

  private add(name: string): number {
    return this.fields + this.names.push(name) - 1;
  }
}
