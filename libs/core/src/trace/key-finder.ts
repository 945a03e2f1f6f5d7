/**
 * Finds the records of a key in raw batches. PURE.
 *
 * - KF1: a record is found when the row that it makes has the key (`key-value.ts`), whatever else of it is refused.
 * - KF2: so is a delete of the key, by its marker or as a message without a value.
 * - KF3: of a record that cannot be read as one no key is known; it is found when its bytes hold every value of the key as it was
 *   given, and is marked as a mention.
 * - KF4: nothing but the key, the version and the wanted row is read, so that a batch of another version of the contract, or with
 *   other columns, is searched as well, as long as it has the key's.
 */
import { isUtf8 } from 'node:buffer';
import type { OptionValues } from '../dataset/dataset.js';
import { type Cells, CONTAINER_FLAG, type RecordReader, isProblem } from '../record/compile/cells.js';
import { severityOf } from '../record/compile/check-plan.js';
import { constantOf } from '../record/compile/constants.js';
import type { ColumnPlan, ContractPlan } from '../record/compile/contract-plan.js';
import { CsvReader } from '../record/compile/csv-reader.js';
import {
  type DeleteCells,
  MarkedOtherwise,
  MarkedRecords,
  TombstoneKeys,
  withMarker,
} from '../record/compile/delete-cells.js';
import { JsonReader } from '../record/compile/json-reader.js';
import { REPLACEMENT } from '../record/compile/record-defects.js';
import { BatchMessages } from '../record/message-table.js';
import type { RawBatch } from '../record/raw-batch.js';
import { type RecordWalker, walkerOf } from '../record/record-walker.js';
import { isDecoded } from '../source/encoding.js';
import { isPlain, meaningOf, storedText } from './key-value.js';
import type { WantedKey, WantedValue } from './wanted-key.js';

/** What a record that was found is. */
export type SightingKind = 'record' | 'delete' | 'mention';

/** One record of a batch that has the key. */
export interface Sighting {
  /** Number in the job, from 0. */
  readonly record: number;
  /** In the source, from 1. */
  readonly line: number;
  readonly is: SightingKind;
  /** What a row stores of its version; null where it has none, or the dataset has no versions. */
  readonly version: string | null;
  /** Rows of it that fit the wanted one; null where none was asked for, or it is no record. */
  readonly rows: number | null;
}

/** What the batches of a job have besides their records. */
export interface BatchInputs {
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly options: OptionValues;
}

export class KeyFinder {
  private readonly reader: RecordReader;
  private readonly matchers: readonly ValueMatcher[];
  /** Of the batch's context or the contract: they decide for all records at once. */
  private readonly isOtherKey: boolean;
  private readonly versionAt: number;
  private readonly marked: MarkedRecords | null;
  private readonly otherwise: MarkedOtherwise | null;
  private readonly tombstones: TombstoneKeys | null;
  private readonly row: RowFinder | null;
  private readonly given: readonly Buffer[];
  private readonly version: ColumnPlan | null;

  /** @throws SluiceError DATASET_INVALID when the file lacks a field of the key, or has it twice */
  constructor(
    private readonly wanted: WantedKey,
    inputs: BatchInputs,
  ) {
    const { dataset, values } = wanted;
    const isJson = dataset.format === 'ndjson';
    const own = planOfKey(wanted, isJson ? null : inputs.columns);
    const { plan } = own;
    this.version = own.version;
    this.versionAt = own.version === null ? -1 : values.length;
    this.reader = isJson
      ? new JsonReader(dataset.name, withMarker(plan))
      : new CsvReader(dataset, withMarker(plan), inputs.columns);
    const constants = values.map(({ column }) => constantOf(column.origin, inputs.context));
    this.isOtherKey = values.some((value, at) => isOtherConstant(value, constants[at]));
    this.matchers = values.flatMap((value, at) =>
      constants[at] === undefined ? [new ValueMatcher(value, at, inputs.options)] : [],
    );
    const { deletes } = plan;
    const hasMarker = deletes?.marker !== null && deletes !== null;
    this.marked = hasMarker ? new MarkedRecords(this.reader, plan.columns, deletes) : null;
    this.otherwise = hasMarker && isJson ? new MarkedOtherwise(dataset.name, plan, deletes) : null;
    this.tombstones =
      deletes?.tombstones === true ? new TombstoneKeys(dataset.name, plan, deletes, isJson) : null;
    this.row = wanted.row === null ? null : new RowFinder(wanted, this.reader, inputs.options);
    // A constant of the contract stands in no record.
    this.given = values
      .filter(({ column }) => constantOf(column.origin, {}) === undefined && column.origin.from !== 'context')
      .map(({ given }) => Buffer.from(given))
      .filter(({ length }) => length > 0);
  }

  /**
   * In their order.
   * @throws SluiceError MESSAGE_INVALID when the batch does not hold as many records as it says
   */
  *find(batch: RawBatch): Generator<Sighting> {
    if (this.isOtherKey) return;
    const { reader } = this;
    const { dataset } = this.wanted;
    const walker = walkerOf(batch, dataset);
    const messages = batch.messages === undefined ? null : new BatchMessages(batch.messages, batch.batch);
    const isWellFormed = isUtf8(batch.bytes);
    const isUndecoded =
      isDecoded(dataset.encoding) && batch.messages === undefined && batch.bytes.includes(REPLACEMENT);
    reader.startBatch(batch.bytes, batch.lineEnd ?? 'lf');
    while (walker.next()) {
      if (walker.skipped) continue;
      const found = this.sightingOf(batch, walker, messages, { isWellFormed, isUndecoded });
      if (found !== null) yield { record: batch.firstRecord + walker.index, line: walker.line, ...found };
    }
    reader.unknown?.take();
  }

  private sightingOf(
    batch: RawBatch,
    walker: RecordWalker,
    messages: BatchMessages | null,
    { isWellFormed, isUndecoded }: { readonly isWellFormed: boolean; readonly isUndecoded: boolean },
  ): Found | null {
    const { bytes } = batch;
    const { start, end, unreadable } = walker;
    if (unreadable?.code === 'TOMBSTONE') return this.tombstone(walker.index, messages);
    const isWhole =
      unreadable === null && !walker.malformed && (isWellFormed || isUtf8(bytes.subarray(start, end)));
    if (!isWhole) return this.mention(bytes, start, end);
    if (start === end) return null;
    const { reader } = this;
    if (reader.load(start, end, walker.strayQuote) !== null) {
      const deleted = this.otherwise?.find(bytes, start, end) ?? null;
      return deleted === null ? this.mention(bytes, start, end) : this.deleteOf(deleted);
    }
    if (reader.blank) return null;
    const deleted = this.marked?.loaded() ?? null;
    if (deleted !== null) return this.deleteOf(deleted);
    if (!this.fits(reader.cells, reader.cellOf)) {
      // Its values may have other bytes in the source's encoding.
      return isUndecoded && bytes.subarray(start, end).includes(REPLACEMENT)
        ? this.mention(bytes, start, end)
        : null;
    }
    return {
      is: 'record',
      version: this.versionOf(reader.cells, reader.cellOf),
      rows: this.row?.count() ?? null,
    };
  }

  private fits(cells: Cells, cellOf: Int32Array): boolean {
    for (const matcher of this.matchers) if (!matcher.fits(cells, cellOf[matcher.at] as number)) return false;
    return true;
  }

  private deleteOf({ cells, cellOf }: DeleteCells): Found | null {
    if (!this.fits(cells, cellOf)) return null;
    return { is: 'delete', version: this.versionOf(cells, cellOf), rows: null };
  }

  private versionOf(cells: Cells, cellOf: Int32Array): string | null {
    const { version, versionAt } = this;
    if (version === null) return null;
    const value = textOf(cells, cellOf[versionAt] ?? -1);
    return value === null ? version.ifNull : (storedText(version.kind, value) ?? value);
  }

  /** KF2. */
  private tombstone(index: number, messages: BatchMessages | null): Found | null {
    if (messages === null) return null;
    const { key } = messages.message(index);
    if (key === null) return null;
    if (this.tombstones === null || !isUtf8(key)) return this.mention(key, 0, key.length);
    const found = this.tombstones.load(key, 0, key.length);
    return 'cells' in found ? this.deleteOf(found) : this.mention(key, 0, key.length);
  }

  /** KF3. */
  private mention(bytes: Buffer, start: number, end: number): Found | null {
    const { given } = this;
    if (given.length === 0) return null;
    const record = bytes.subarray(start, end);
    return given.every((value) => record.includes(value))
      ? { is: 'mention', version: null, rows: null }
      : null;
  }
}

type Found = Pick<Sighting, 'is' | 'version' | 'rows'>;

/** A value that is the same in the whole batch. */
function isOtherConstant({ column, meaning }: WantedValue, constant: string | null | undefined): boolean {
  if (constant === undefined) return false;
  return constant === null || meaningOf(column.kind, constant) !== meaning;
}

/** KF4: what is read of a contract. The version may be a field that the file lacks. */
function planOfKey(
  { plan, values, version, row, dataset }: WantedKey,
  fields: readonly string[] | null,
): { readonly plan: ContractPlan; readonly version: ColumnPlan | null } {
  const isThere = (column: ColumnPlan): boolean =>
    fields === null || column.origin.from !== 'source' || fields.includes(column.origin.source);
  const read = version !== null && isThere(version) ? version : null;
  const columns = [...values.map(({ column }) => column), ...(read === null ? [] : [read])];
  const { deletes } = plan;
  const marker = deletes?.marker ?? null;
  const lacksMarker = marker !== null && !isThere(marker.column);
  const path = row?.path ?? [];
  const children = path.map((at, depth) => {
    const child = plan.children[at];
    if (child === undefined) throw new RangeError(`dataset ${dataset.name} has no child ${at}`);
    return { ...child, parent: depth - 1 };
  });
  return {
    version: read,
    plan: {
      ...plan,
      columns,
      children,
      tables: plan.tables.slice(0, 1),
      deletes: deletes === null || !lacksMarker ? deletes : { ...deletes, marker: null },
    },
  };
}

/** Whether a cell holds a wanted value. */
class ValueMatcher {
  private readonly bytes: Buffer | null;
  /** What a warning of the contract, or a null, stores instead of a value. */
  private readonly hasOthers: boolean;

  constructor(
    private readonly wanted: WantedValue,
    readonly at: number,
    private readonly options: OptionValues,
  ) {
    const { kind, checks, ifNull } = wanted.column;
    this.hasOthers = ifNull !== null || checks.some(({ otherwise }) => otherwise !== undefined);
    this.bytes = isPlain(kind) && !this.hasOthers ? Buffer.from(wanted.given) : null;
  }

  fits(cells: Cells, cell: number): boolean {
    const end = cells.ends[cell] ?? -1;
    if (cells.flags[cell] === CONTAINER_FLAG || (end === -1 && !this.hasOthers)) return false;
    const { bytes, wanted } = this;
    if (bytes !== null) {
      const start = cells.starts[cell] ?? 0;
      return end - start === bytes.length && bytes.equals((cells.bytes[cell] as Buffer).subarray(start, end));
    }
    const stored = this.replaced(textOf(cells, cell));
    return stored !== null && meaningOf(wanted.column.kind, stored) === wanted.meaning;
  }

  private replaced(value: string | null): string | null {
    if (!this.hasOthers) return value;
    const { checks, ifNull, optional } = this.wanted.column;
    for (const check of checks) {
      if (check.judges === 'pair' || check.judges === 'record' || (value === null && optional)) continue;
      const passes = value === null && check.judges === 'null' ? false : accepts(check.accepts, value);
      if (passes) continue;
      const severity = severityOf(check, this.options);
      if (severity === 'error') return value;
      if (severity === 'warning' && check.otherwise !== undefined) return check.otherwise;
    }
    return value ?? ifNull;
  }
}

function accepts(check: (value: string | null) => boolean, value: string | null): boolean {
  try {
    return check(value);
  } catch {
    return false;
  }
}

function textOf(cells: Cells, cell: number): string | null {
  const end = cells.ends[cell] ?? -1;
  if (end === -1 || cells.flags[cell] === CONTAINER_FLAG) return null;
  return (cells.bytes[cell] as Buffer).toString('utf8', cells.starts[cell], end);
}

/** Counts the rows of the loaded record that fit the wanted one. */
class RowFinder {
  private readonly levels: readonly { readonly rowWhen: number }[];
  private readonly values: readonly {
    readonly matcher: ValueMatcher;
    readonly isSlot: boolean;
    readonly given: string;
  }[];

  constructor(
    { plan, row }: WantedKey,
    private readonly reader: RecordReader,
    options: OptionValues,
  ) {
    const path = row?.path ?? [];
    const children = path.flatMap((at) => plan.children[at] ?? []);
    this.levels = children.map(({ columns, table }) => ({
      rowWhen: columns.findIndex(({ property }) => property === table.rowWhen),
    }));
    const columns = children.at(-1)?.columns ?? [];
    this.values = (row?.values ?? []).map((value) => ({
      matcher: new ValueMatcher(value, columns.indexOf(value.column), options),
      isSlot: value.column.origin.from === 'slot',
      given: value.given,
    }));
  }

  count(level = 0): number {
    const { reader, levels } = this;
    const slots = reader.openChild(level);
    if (typeof slots !== 'number') return 0;
    const isLast = level === levels.length - 1;
    let count = 0;
    for (let slot = 0; slot < slots; slot += 1) {
      const cells = reader.loadChild(level, slot);
      if (isProblem(cells)) continue;
      if (!isLast) count += this.count(level + 1);
      else if (this.fits(cells, reader.childCellOf(level, slot), slot)) count += 1;
    }
    return count;
  }

  private fits(cells: Cells, cellOf: Int32Array, slot: number): boolean {
    const { rowWhen } = this.levels.at(-1) ?? { rowWhen: -1 };
    if (rowWhen !== -1 && cells.ends[cellOf[rowWhen] as number] === -1) return false;
    return this.values.every(({ matcher, isSlot, given }) =>
      isSlot ? Number(given) === slot + 1 : matcher.fits(cells, cellOf[matcher.at] as number),
    );
  }
}
