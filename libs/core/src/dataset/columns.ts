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
 * since nothing is ever converted but to COPY text. Columns come in the order of the
 * properties. Everything is checked when the contract is compiled (DATASET_INVALID), not before.
 */
import type { Severity } from '../finding/finding.js';
import {
  type ColumnMetadata,
  contractMetadata,
  noteUnknownOptions,
  PROVENANCE_FACTS,
  type ProvenanceFact,
} from './contract-metadata.js';
import type { ContractClass, OptionValues } from './dataset.js';
import { defineKind, type KindDefinition } from './kind.js';
import { int32, int64 } from './kinds-numbers.js';
import { timestamptz } from './kinds-times.js';
import { text, uuid } from './kinds-words.js';
import { DEFAULT_CODE, Required, RULE_OPTIONS, type RuleUse, ruleDecorator } from './rules.js';

export {
  type ChildrenMetadata,
  type ColumnMetadata,
  type ColumnOrigin,
  type ContractMetadata,
  contractMetadata,
  isOfRecord,
  type ProvenanceFact,
  sourcesOfOrigin,
} from './contract-metadata.js';

export interface CleaningOptions {
  /** Blank, tab and U+3000 are taken off both ends. Default true. */
  readonly trim?: boolean;
  /** What means null after trimming, exactly. Default {@link DEFAULT_NULL_TOKENS}. */
  readonly nullTokens?: readonly string[];
}

export const DEFAULT_NULL_TOKENS: readonly string[] = ['', 'NULL', 'null', 'NA', 'N/A'];

/** Where a dataset's tables stand that names no schema. */
export const DEFAULT_SCHEMA = 'public';

export interface TableOptions {
  /** Unqualified. */
  readonly name: string;
  /** The schema of this table and of all its child tables; the dataset's migrations make it. Default `public`. */
  readonly schema?: string;
  /** The properties that identify a row: what `DUPLICATE` and `upsert` go by. */
  readonly key: readonly string[];
  /**
   * For `upsert`: the property that says how new a record is, compared as PostgreSQL compares its column. A record that
   * is older than the row which has its key is superseded; one of the same version is written. Null is older than
   * any version. Of several records with one key the newest counts, among equals the last one in the source.
   * Left out: the last one in the source, and it is written independent of what stands in the table.
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
   * Where the value stands; default the property's name as it stands. CSV: the header's name. NDJSON: a dotted path,
   * `shop.address.city`. In a child: the key of the slot's group, or a path inside the array's element (`''`: the
   * element itself). Several columns may read one source.
   */
  readonly source?: string;
  /** In place of `source`, several fields in one column: those that are not null, in this order; null where all are. */
  readonly sources?: readonly string[];
  /** What stands between the values of `sources`; default one blank. */
  readonly join?: string;
  /** The table's column; by default the property's name in snake_case. */
  readonly target?: string;
  /** Default `text()`. */
  readonly kind?: KindDefinition;
  /** As `@Required()`: `true`, or what `@Required` takes. */
  readonly required?: boolean | RuleUse;
  /** The file may lack the column (CSV): its value is null then. Default false: `COLUMN_MISSING`. */
  readonly optional?: boolean;
  /** Cleaning of this column where it differs from that of the table; its tokens take the place of the table's. */
  readonly trim?: boolean;
  readonly nullTokens?: readonly string[];
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

/** Marks the contract of a dataset: one record is one row of this table, and rows of its children. */
export function Table(options: TableOptions): ClassDecorator {
  return (target) => {
    noteUnknownOptions(target, '@Table', options, TABLE_OPTIONS);
    noteUnknownOptions(target, '@Table cleaning', options.cleaning ?? {}, CLEANING_OPTIONS);
    contractMetadata(target).table = options;
  };
}

/** Marks the class of a child table's rows; it stands in the contract by `@Children`. */
export function ChildTable(options: ChildTableOptions): ClassDecorator {
  return (target) => {
    noteUnknownOptions(target, '@ChildTable', options, CHILD_TABLE_OPTIONS);
    contractMetadata(target).childTable = options;
  };
}

/** A column whose value stands in the record. */
export function Column(options: ColumnOptions = {}): PropertyDecorator {
  const { ifNull = null, ifInvalid = {}, sources, join = ' ', trim, nullTokens, required = false } = options;
  const kind = defineKind(options.kind ?? text());
  return (prototype, key) => {
    const property = String(key);
    noteColumnProblems(prototype.constructor, property, options);
    addColumn(prototype, property, {
      origin:
        sources === undefined
          ? { from: 'source', source: options.source ?? property }
          : { from: 'fields', sources, join },
      target: options.target,
      kind,
      ifNull,
      optionalInFile: options.optional ?? false,
      ...(trim === undefined ? {} : { trim }),
      ...(nullTokens === undefined ? {} : { nullTokens }),
    });
    ruleDecorator({
      definition: kind,
      code: ifInvalid.code ?? kind.code ?? DEFAULT_CODE,
      severity: ifInvalid.severity ?? 'error',
      otherwise: ifInvalid.otherwise === undefined ? ifNull : ifInvalid.otherwise,
      judges: 'value',
    })(prototype, key);
    if (required !== false) Required(required === true ? {} : required)(prototype, key);
  };
}

/** A column that holds one value in every row: `@Constant('EUR')`; null for NULL. Rules do not apply to it. */
export function Constant(
  value: string | null,
  options: TargetOptions & { readonly kind?: KindDefinition } = {},
): PropertyDecorator {
  return (prototype, key) => {
    noteUnknownOptions(prototype.constructor, `@Constant on "${String(key)}"`, options, [
      ...TARGET_OPTIONS,
      'kind',
    ]);
    const { target, kind } = options;
    const origin = { from: 'constant', value } as const;
    addColumn(prototype, String(key), { ...PLAIN, origin, target, kind: defineKind(kind ?? text()) });
  };
}

/**
 * Where a row comes from: `source` the address of the job's source without its secrets, `line` the record's line in it
 * (from 1), `job` the job's id, `startedAt` when the job was started. The same however often the job is interrupted and
 * resumed. An address of more than 512 bytes (as JSON) loses its middle. Rules do not apply to it.
 */
export function Provenance(fact: ProvenanceFact, options: TargetOptions = {}): PropertyDecorator {
  return (prototype, key) => {
    const where = `@Provenance on "${String(key)}"`;
    noteUnknownOptions(prototype.constructor, where, options, TARGET_OPTIONS);
    if (!PROVENANCE_FACTS.includes(fact)) {
      contractMetadata(prototype.constructor).problems.push(
        `${where} names "${fact}", and rows know their ${PROVENANCE_FACTS.join(', ')}`,
      );
    }
    const origin = { from: 'provenance', fact } as const;
    const kind = PROVENANCE_FACTS.includes(fact) ? PROVENANCE_KINDS[fact] : text();
    addColumn(prototype, String(key), { ...PLAIN, origin, target: options.target, kind });
  };
}

/**
 * A constant of the job: what the file's head says under `name` (`Prologue.context`), e.g. the
 * extract's date. NULL where the head says nothing. Rules do not apply to it.
 */
export function FromContext(
  name: string,
  options: TargetOptions & { readonly kind?: KindDefinition } = {},
): PropertyDecorator {
  return (prototype, key) => {
    noteUnknownOptions(prototype.constructor, `@FromContext on "${String(key)}"`, options, [
      ...TARGET_OPTIONS,
      'kind',
    ]);
    const { target, kind } = options;
    const origin = { from: 'context', name } as const;
    addColumn(prototype, String(key), { ...PLAIN, origin, target, kind: defineKind(kind ?? text()) });
  };
}

/** In a child: the value that the parent's `property` stores, e.g. its key. */
export function FromParent(property: string, options: TargetOptions = {}): PropertyDecorator {
  return (prototype, key) => {
    noteUnknownOptions(prototype.constructor, `@FromParent on "${String(key)}"`, options, TARGET_OPTIONS);
    const origin = { from: 'parent', property } as const;
    addColumn(prototype, String(key), { ...PLAIN, origin, target: options.target, kind: text() });
  };
}

/** In a child: the number of its slot or array element, from 1, gaps included. */
export function SlotNumber(options: TargetOptions = {}): PropertyDecorator {
  return (prototype, key) => {
    noteUnknownOptions(prototype.constructor, `@SlotNumber on "${String(key)}"`, options, TARGET_OPTIONS);
    addColumn(prototype, String(key), {
      ...PLAIN,
      origin: { from: 'slot' },
      target: options.target,
      kind: int32(),
    });
  };
}

/** The rows of a child table that each record brings along. */
export function Children(type: () => ContractClass, options: ChildrenOptions): PropertyDecorator {
  return (prototype, key) => {
    noteUnknownOptions(prototype.constructor, `@Children on "${String(key)}"`, options, ['slots', 'path']);
    contractMetadata(prototype.constructor).children.push({ property: String(key), type, options });
  };
}

const CLEANING_OPTIONS = ['trim', 'nullTokens'];
const TABLE_OPTIONS = ['name', 'schema', 'key', 'version', 'cleaning'];
const CHILD_TABLE_OPTIONS = ['name', 'rowWhen', 'distinctBy'];
const TARGET_OPTIONS = ['target'];
const COLUMN_OPTIONS = [
  ...['source', 'sources', 'join', ...TARGET_OPTIONS, 'kind', 'required', 'optional'],
  ...[...CLEANING_OPTIONS, 'ifNull', 'ifInvalid'],
];

function noteColumnProblems(owner: object, property: string, options: ColumnOptions): void {
  const where = `@Column on "${property}"`;
  noteUnknownOptions(owner, where, options, COLUMN_OPTIONS);
  noteUnknownOptions(owner, `${where}, ifInvalid`, options.ifInvalid ?? {}, RULE_OPTIONS);
  const { problems } = contractMetadata(owner);
  if (options.sources !== undefined && options.source !== undefined)
    problems.push(`${where} names both source and sources`);
  if (options.sources === undefined && options.join !== undefined)
    problems.push(`${where} has a join, and no sources to join`);
  if (options.join?.includes('\0') === true)
    problems.push(`${where} joins with NUL, which PostgreSQL cannot hold`);
}

/** Of columns whose value does not stand in the record. */
const PLAIN = { ifNull: null, optionalInFile: false } as const;

const PROVENANCE_KINDS = { source: text(), line: int64(), job: uuid(), startedAt: timestamptz() };

function addColumn(
  prototype: object,
  property: string,
  column: Omit<ColumnMetadata, 'property' | 'target'> & { target: string | undefined },
): void {
  const target = column.target ?? property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  contractMetadata(prototype.constructor).columns.push({ ...column, property, target });
}
