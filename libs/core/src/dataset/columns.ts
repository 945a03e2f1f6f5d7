/**
 * The decorators of a contract: which field of a record becomes which column of which table. PURE.
 *
 *     @Table({ name: 'shop', key: ['number'] })
 *     export class Shop {
 *       @Column({ source: 'shopNo' })
 *       @Required({ code: 'NO_NUMBER' })
 *       @MaxCharacters(20)
 *       number!: string;
 *
 *       @Column({ source: 'capital', kind: int64({ nonNegative: true }), ifNull: '0',
 *                 ifInvalid: { code: 'BAD_CAPITAL', severity: 'warning', otherwise: '0' } })
 *       capitalAmount!: string;                     // column capital_amount
 *
 *       @FromContext('date', { kind: isoDate() })
 *       dataSourceDate!: string;
 *
 *       @Children(() => Sale, { path: 'sales' })    // or { slots: [{ code: '行業代號', name: '名稱' }, …] }
 *       sales!: Sale[];
 *     }
 *
 *     @ChildTable({ name: 'sale', rowWhen: 'item', distinctBy: 'item' })
 *     export class Sale {
 *       @FromParent('number') shopNumber!: string;
 *       @Column({ source: 'item.code' }) item!: string;
 *       @SlotNumber({ target: 'order' }) order!: number;
 *     }
 *
 * A class declares what a record is after cleaning: its properties are strings or null, never numbers,
 * since nothing is ever converted on the way but to COPY text. Columns come in the order of the
 * properties. Everything is checked when the contract is compiled (DATASET_INVALID), not before.
 */
import 'reflect-metadata';
import { type Kind, text } from './kinds.js';
import type { Severity } from '../record/finding.js';
import type { ContractClass, OptionValues } from './dataset.js';
import { DEFAULT_CODE, type RuleUse, ruleDecorator } from './rules.js';

export interface CleaningOptions {
  /** Blank, tab and U+3000 are taken off both ends. Default true. */
  readonly trim?: boolean;
  /** What means null after trimming, exactly. Default {@link DEFAULT_NULL_TOKENS}. */
  readonly nullTokens?: readonly string[];
}

export const DEFAULT_NULL_TOKENS: readonly string[] = ['', 'NULL', 'null', 'NA', 'N/A'];

export interface TableOptions {
  /** Unqualified; the table is made by the dataset's migrations. */
  readonly name: string;
  /** The properties that identify a row: what `DUPLICATE` and `upsert` go by. */
  readonly key: readonly string[];
  /**
   * For `upsert`: the property that says how new a record is, compared as PostgreSQL compares its column. A record that
   * is older than the row which has its key is superseded; one of the same version is written. Null is older than
   * any version. Of several records with one key the newest counts, among equals the last one in the source.
   * Left out: the last one in the source, and it is written whatever stands in the table.
   */
  readonly version?: string;
  /**
   * Done to every field of a record, children's too, in this order: NULs are removed (warning
   * `NUL_REMOVED`, PostgreSQL cannot hold them), ends are trimmed, null tokens become null.
   */
  readonly cleaning?: CleaningOptions;
}

export interface ChildTableOptions {
  readonly name: string;
  /**
   * The property without which there is no row: where it is null, nothing is stored and only
   * `@PairedWith` rules are asked. Left out: every slot or element that is not wholly null is a row.
   */
  readonly rowWhen?: string;
  /** The property that must differ within one record: the first wins, later ones are ignored in silence. */
  readonly distinctBy?: string;
}

export interface ColumnOptions {
  /**
   * Where the value stands. CSV: the header's name. NDJSON: a dotted path, `shop.address.city`.
   * In a child: the key of the slot's group, or a path inside the array's element (`''`: the element itself).
   * Several columns may read one source.
   */
  readonly source: string;
  /** The table's column; by default the property's name in snake_case. */
  readonly target?: string;
  /** Default `text()`. */
  readonly kind?: Kind;
  /** What is stored for null, as PostgreSQL reads it. Default null: NULL. */
  readonly ifNull?: string | null;
  /**
   * The finding for a value that is not of the kind; default an error `INVALID_VALUE`.
   * As a warning it stores `otherwise`, by default what `ifNull` stores. It cannot be `off`: PostgreSQL would ask.
   */
  readonly ifInvalid?: KindUse;
}

/** What becomes of a value that is not of its column's kind. */
export interface KindUse extends RuleUse {
  readonly severity?: Severity | ((options: OptionValues) => Severity);
}

export interface TargetOptions {
  readonly target?: string;
}

/** Where the rows of a child table stand in a record. */
export type ChildrenOptions =
  /** CSV: for each slot, its columns by the names that the child's `source` uses. Slots are numbered from 1. */
  | { readonly slots: readonly Readonly<Record<string, string>>[] }
  /** NDJSON: the dotted path of an array; absent and null mean none. Elements are numbered from 1. */
  | { readonly path: string };

export type ColumnOrigin =
  | { readonly from: 'source'; readonly source: string }
  | { readonly from: 'context'; readonly name: string }
  | { readonly from: 'parent'; readonly property: string }
  | { readonly from: 'slot' };

export interface ColumnMetadata {
  readonly property: string;
  readonly target: string;
  readonly origin: ColumnOrigin;
  readonly kind: Kind;
  readonly ifNull: string | null;
}

export interface ChildrenMetadata {
  readonly property: string;
  readonly type: () => ContractClass;
  readonly options: ChildrenOptions;
}

/** What the decorators of one class have said. */
export interface ContractMetadata {
  table?: TableOptions;
  childTable?: ChildTableOptions;
  readonly columns: ColumnMetadata[];
  readonly children: ChildrenMetadata[];
}

/** Marks the contract of a dataset: one record is one row of this table, and rows of its children. */
export function Table(options: TableOptions): ClassDecorator {
  return (target) => {
    metadataOf(target).table = options;
  };
}

/** Marks the class of a child table's rows; it stands in the contract by `@Children`. */
export function ChildTable(options: ChildTableOptions): ClassDecorator {
  return (target) => {
    metadataOf(target).childTable = options;
  };
}

/** A column whose value stands in the record. */
export function Column(options: ColumnOptions): PropertyDecorator {
  const { source, kind = text(), ifNull = null, ifInvalid = {} } = options;
  return (prototype, key) => {
    addColumn(prototype, String(key), {
      origin: { from: 'source', source },
      target: options.target,
      kind,
      ifNull,
    });
    ruleDecorator({
      definition: kind,
      code: ifInvalid.code ?? DEFAULT_CODE,
      severity: ifInvalid.severity ?? 'error',
      otherwise: ifInvalid.otherwise === undefined ? ifNull : ifInvalid.otherwise,
      judges: 'value',
    })(prototype, key);
  };
}

/**
 * A constant of the job: what the file's head says under `name` (`Prologue.context`), e.g. the
 * extract's date. NULL where the head says nothing. Rules do not apply to it.
 */
export function FromContext(
  name: string,
  options: TargetOptions & { readonly kind?: Kind } = {},
): PropertyDecorator {
  return (prototype, key) => {
    const { target, kind = text() } = options;
    addColumn(prototype, String(key), { origin: { from: 'context', name }, target, kind, ifNull: null });
  };
}

/** In a child: the value that the parent's `property` stores, e.g. its key. */
export function FromParent(property: string, options: TargetOptions = {}): PropertyDecorator {
  return (prototype, key) => {
    const origin = { from: 'parent', property } as const;
    addColumn(prototype, String(key), { origin, target: options.target, kind: text(), ifNull: null });
  };
}

/** In a child: the number of its slot or array element, from 1, gaps included. */
export function SlotNumber(options: TargetOptions = {}): PropertyDecorator {
  return (prototype, key) => {
    addColumn(prototype, String(key), {
      origin: { from: 'slot' },
      target: options.target,
      kind: text(),
      ifNull: null,
    });
  };
}

/** The rows of a child table that each record brings along. */
export function Children(type: () => ContractClass, options: ChildrenOptions): PropertyDecorator {
  return (prototype, key) => {
    metadataOf(prototype.constructor).children.push({ property: String(key), type, options });
  };
}

// By name, not by module: a dataset folder from elsewhere may load this file a second time.
const METADATA = Symbol.for('sluice:contract');

/** What the decorators of this very class have said (nothing is inherited). */
export function contractMetadata(contract: ContractClass): ContractMetadata {
  return metadataOf(contract);
}

function metadataOf(target: object): ContractMetadata {
  const known = Reflect.getOwnMetadata(METADATA, target) as ContractMetadata | undefined;
  if (known !== undefined) return known;
  const fresh: ContractMetadata = { columns: [], children: [] };
  Reflect.defineMetadata(METADATA, fresh, target);
  return fresh;
}

function addColumn(
  prototype: object,
  property: string,
  column: Omit<ColumnMetadata, 'property' | 'target'> & { target: string | undefined },
): void {
  const target = column.target ?? property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  metadataOf(prototype.constructor).columns.push({ ...column, property, target });
}
