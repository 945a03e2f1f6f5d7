/**
 * Reads a contract's decorators into one checked plan: tables, columns, and for each column its checks in
 * reading order (RL3). PURE. All that does not fit together is found here, by name, before any record.
 */
import { getMetadataStorage } from '#common/validation/class-validator.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import {
  type ChildrenOptions,
  type ChildTableOptions,
  type CleaningOptions,
  type ColumnMetadata,
  DEFAULT_SCHEMA,
  contractMetadata,
  isOfRecord,
  sourcesOfOrigin,
} from '../../dataset/columns.js';
import type { ContractClass, Dataset } from '../../dataset/dataset.js';
import { isFindingCode } from '../../finding/finding.js';
import { type CheckPlan, checkOf, isOptional, isRuleMetadata, kindFor } from './check-plan.js';
import { type DeletesPlan, planDeletes } from './deletes-plan.js';
import { problemOfAcross, problemOfColumn, typosOf } from './contract-typos.js';

/** A table as its COPY text fills it. Parents stand before children. */
export interface TablePlan {
  /** In which the table stands; the same for all tables of a dataset. */
  readonly schema: string;
  /** Unqualified, and unlike any other of the dataset. */
  readonly table: string;
  /** Of the COPY text, in order, without the record number (`_sluice_record`) that stands before them. */
  readonly columns: readonly string[];
  /** The columns that identify a row; empty for child tables, which follow their parent. */
  readonly key: readonly string[];
  /** The column that distinguishes an older record from a newer one (`TableOptions.version`); null when none does. */
  readonly version: string | null;
  /** Column → the source's name of its field, for findings. Columns without a field are left out. */
  readonly sources: Readonly<Record<string, string>>;
  /** Of a child table: its direct parent, and which of its columns hold which of the parent's. */
  readonly parent: { readonly table: string; readonly columns: Readonly<Record<string, string>> } | null;
}

export interface ColumnPlan extends ColumnMetadata {
  /** In reading order. */
  readonly checks: readonly CheckPlan[];
  /** `@IsOptional`: nothing at all is asked of a null. */
  readonly optional: boolean;
}

export interface ChildPlan {
  readonly type: ContractClass;
  readonly table: ChildTableOptions;
  readonly columns: readonly ColumnPlan[];
  readonly options: ChildrenOptions;
  /** Of the child table whose rows these are children of, its place in `ContractPlan.children`; -1: they are the record's. */
  readonly parent: number;
}

export interface ContractPlan {
  readonly schema: string;
  readonly table: string;
  readonly key: readonly string[];
  readonly cleaning: CleaningOptions;
  readonly columns: readonly ColumnPlan[];
  /** Of all levels, each before its own children: `children[n]` fills `tables[n + 1]`. */
  readonly children: readonly ChildPlan[];
  readonly tables: readonly TablePlan[];
  /** Null: the dataset has no deletes. */
  readonly deletes: DeletesPlan | null;
}

/** PostgreSQL cuts longer identifiers in silence (NAMEDATALEN - 1). */
const MAX_NAME_BYTES = 63;
/** What the columns of Sluice's own lists begin with. */
const OWN_COLUMNS = '_sluice_';
/** Schemas of Sluice and of PostgreSQL itself. */
const OWN_SCHEMAS = /^(sluice|sluice_staging|information_schema|pg_.*)$/;

/** @throws SluiceError DATASET_INVALID */
export function planContract(
  dataset: Pick<Dataset, 'name' | 'contract'> & Partial<Pick<Dataset, 'format' | 'deletes'>>,
): ContractPlan {
  const isJson = dataset.format === 'ndjson';
  const reader = new ContractReader(dataset.name, dataset.contract, isJson);
  const { table } = contractMetadata(dataset.contract);
  if (table === undefined) throw reader.invalid('it lacks @Table');
  if ('rows' in table)
    throw reader.invalid(
      '@Table takes no rows, since a record is one row of its table: what a record holds several of are rows of a child table',
    );
  reader.checkName('table', table.name);
  const { schema = DEFAULT_SCHEMA } = table;
  const columns = reader.columns();
  const parentPlan: TablePlan = {
    schema,
    table: table.name,
    columns: names(columns, 'target'),
    sources: sourcesOf(columns),
    key: table.key.map((property) => reader.column(columns, property, '@Table key').target),
    version:
      table.version === undefined ? null : reader.column(columns, table.version, '@Table version').target,
    parent: null,
  };
  if (parentPlan.key.length === 0) throw reader.invalid('@Table names no key');
  const keyOrigins = table.key.map((property) => reader.column(columns, property, '@Table key').origin.from);
  const provenance = keyOrigins.indexOf('provenance');
  if (provenance !== -1) {
    throw reader.invalid(
      `@Table key names "${table.key[provenance] ?? ''}", which is another one each time a record is loaded`,
    );
  }
  if (keyOrigins.every((from) => from === 'constant'))
    throw reader.invalid('@Table key names constants alone, so all records have one key');
  if (parentPlan.version !== null && parentPlan.key.includes(parentPlan.version)) {
    throw reader.invalid(
      `@Table version "${table.version ?? ''}" is part of the key, so no row has an older one`,
    );
  }
  if (columns.some(({ origin }) => origin.from === 'parent' || origin.from === 'slot')) {
    throw reader.invalid('@FromParent and @SlotNumber belong in the class of a child table');
  }
  reader.checkName('schema', schema);
  if (OWN_SCHEMAS.test(schema)) throw reader.invalid(`schema "${schema}" is not for data`);
  const tree = new ChildTree(dataset.name, parentPlan, isJson);
  tree.grow({ at: -1, ancestors: [dataset.contract], columns, plan: parentPlan, options: null, place: '' });
  const tables = [parentPlan, ...tree.tables];
  reader.refuseRepeated(
    'table',
    tables.map((plan) => plan.table),
  );
  const { cleaning = {} } = table;
  const invalid = (problem: string): SluiceError => reader.invalid(problem);
  const main = { plan: parentPlan, columns, cleaning, tables, isJson, invalid };
  return {
    schema,
    table: table.name,
    key: parentPlan.key,
    cleaning,
    columns,
    children: tree.children,
    tables,
    deletes: planDeletes(dataset.deletes, main),
  };
}

/** What a clean batch has sections for, in order. */
export function sectionsOf({ tables, deletes }: ContractPlan): readonly TablePlan[] {
  return deletes === null ? tables : [...tables, deletes.table];
}

/** Whose children are planned: the record (`at` -1, no options), or a child table. */
interface PlannedParent {
  /** In `ContractPlan.children`. */
  readonly at: number;
  /** Its class last, the contract first. */
  readonly ancestors: readonly ContractClass[];
  readonly columns: readonly ColumnPlan[];
  readonly plan: TablePlan;
  readonly options: ChildrenOptions | null;
  /** Where its rows stand in the record, as findings name it: `items[]`; empty for the record. */
  readonly place: string;
}

/** The child tables of a contract, to any depth, each before its own children. */
class ChildTree {
  readonly children: ChildPlan[] = [];
  readonly tables: TablePlan[] = [];

  constructor(
    private readonly dataset: string,
    private readonly main: TablePlan,
    private readonly isJson: boolean,
  ) {}

  grow(parent: PlannedParent): void {
    const owner = parent.ancestors.at(-1);
    if (owner === undefined) return;
    const reader = new ContractReader(this.dataset, owner, this.isJson);
    for (const { type: typeOf, options, property } of contractMetadata(owner).children) {
      const type = typeOf();
      if (parent.ancestors.includes(type))
        throw reader.invalid(`the rows of "${property}" are of ${type.name}, whose rows they stand in`);
      if (parent.options !== null && ('slots' in options || 'slots' in parent.options))
        throw reader.invalid(
          `the rows of "${property}" are children of a child table, which only arrays inside arrays (NDJSON) can hold; ` +
            `slots are columns of the record itself: give it a child table for these slots, too`,
        );
      if (parent.options === null && 'path' in options && options.path === '')
        throw reader.invalid(`the rows of "${property}" have no path, and a record is no array`);
      const child = planChild(this.dataset, type, options, parent.at, this.isJson);
      const links: [string, string][] = child.columns.flatMap(({ origin, target }) =>
        origin.from === 'parent'
          ? [[target, reader.column(parent.columns, origin.property, '@FromParent').target]]
          : [],
      );
      if (links.length === 0) throw reader.invalid(`the rows of "${property}" have no @FromParent column`);
      const place = 'path' in options ? `${placeInside(parent.place, options.path)}[]` : '';
      const plan: TablePlan = {
        schema: this.main.schema,
        table: child.table.name,
        columns: names(child.columns, 'target'),
        sources: sourcesOfChild(child, parent.plan, links, place),
        key: [],
        version: null,
        parent: { table: parent.plan.table, columns: Object.fromEntries(links) },
      };
      const at = this.children.push(child) - 1;
      this.tables.push(plan);
      const ancestors = [...parent.ancestors, type];
      this.grow({ at, ancestors, columns: child.columns, plan, options, place });
    }
  }
}

/** A path inside a place of the record, as findings name it. */
export function placeInside(place: string, path: string): string {
  return place === '' ? path : path === '' ? place : `${place}.${path}`;
}

function planChild(
  dataset: string,
  type: ContractClass,
  options: ChildrenOptions,
  parent: number,
  isJson: boolean,
): ChildPlan {
  const reader = new ContractReader(dataset, type, isJson);
  const { childTable } = contractMetadata(type);
  if (childTable === undefined) throw reader.invalid('it lacks @ChildTable');
  reader.checkName('table', childTable.name);
  const columns = reader.columns();
  for (const property of [childTable.rowWhen, childTable.distinctBy]) {
    if (property === undefined) continue;
    if (!isOfRecord(reader.column(columns, property, '@ChildTable').origin)) {
      throw reader.invalid(`@ChildTable names "${property}", whose value does not stand in the record`);
    }
  }
  if ('slots' in options && options.slots.length === 0) throw reader.invalid('@Children names no slots');
  return { type, table: childTable, columns, options, parent };
}

function sourcesOfChild(
  { columns, options }: ChildPlan,
  parent: TablePlan,
  links: readonly [string, string][],
  place: string,
): Record<string, string> {
  const own = columns.flatMap(({ origin, target }): [string, string][] => {
    if (!isOfRecord(origin)) return [];
    const sources = sourcesOfOrigin(origin);
    if ('slots' in options) {
      const names = options.slots.map((slot) => nameOfFields(sources.map((one) => slot[one] ?? one)));
      return [[target, names.join(', ')]];
    }
    return [[target, nameOfFields(sources.map((one) => placeInside(place, one)))]];
  });
  const inherited = links.map(([column, ofParent]): [string, string] => [
    column,
    parent.sources[ofParent] ?? ofParent,
  ]);
  return Object.fromEntries([...inherited, ...own]);
}

function sourcesOf(columns: readonly ColumnPlan[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    columns.flatMap(({ target, origin }) =>
      isOfRecord(origin) ? [[target, nameOfFields(sourcesOfOrigin(origin))]] : [],
    ),
  );
}

/** What findings call the value of several fields. */
export function nameOfFields(sources: readonly string[]): string {
  return sources.join(' + ');
}

class ContractReader {
  constructor(
    private readonly dataset: string,
    private readonly contract: ContractClass,
    private readonly isJson: boolean,
  ) {}

  columns(): ColumnPlan[] {
    const { columns } = contractMetadata(this.contract);
    if (columns.length === 0) throw this.invalid('it has no columns');
    const problem =
      typosOf(this.contract)[0] ??
      columns.map((column) => problemOfColumn(column, this.isJson)).find((one) => one !== null);
    if (typeof problem === 'string') throw this.invalid(problem);
    this.refuseRepeated('property', names(columns, 'property'));
    this.refuseRepeated('column', ['_sluice_record', ...names(columns, 'target')]);
    for (const target of names(columns, 'target')) {
      this.checkName('column', target);
      if (target.startsWith(OWN_COLUMNS))
        throw this.invalid(`column "${target}" begins with ${OWN_COLUMNS}, as Sluice's own do`);
    }
    const ofProperty = this.checks(columns);
    return columns.map((column) => ({
      ...column,
      kind: kindFor(column.kind, this.isJson),
      ...(ofProperty.get(column.property) ?? { checks: [], optional: false }),
    }));
  }

  column(columns: readonly ColumnPlan[], property: string, from: string): ColumnPlan {
    const found = columns.find((column) => column.property === property);
    if (found === undefined) throw this.invalid(`${from} names "${property}", which is no column`);
    return found;
  }

  /** A name that PostgreSQL would shorten in silence is another table's, or another column's, as soon as one begins like it. */
  checkName(what: string, name: string): void {
    if (typeof name !== 'string' || name === '' || name.includes('\0'))
      throw this.invalid(`the name of its ${what} is empty, or holds NUL`);
    const bytes = Buffer.byteLength(name);
    if (bytes > MAX_NAME_BYTES)
      throw this.invalid(
        `the name of its ${what} "${name}" has ${bytes} bytes (UTF-8), and PostgreSQL keeps ${MAX_NAME_BYTES}`,
      );
  }

  refuseRepeated(what: string, values: readonly string[]): void {
    const repeated = values.find((value, at) => values.indexOf(value) !== at);
    if (repeated !== undefined) throw this.invalid(`${what} "${repeated}" stands in it twice`);
  }

  invalid(problem: string): SluiceError {
    return new SluiceError(
      'DATASET_INVALID',
      `Dataset ${this.dataset}, class ${this.contract.name}: ${problem}.`,
    );
  }

  private checks(
    columns: readonly ColumnMetadata[],
  ): Map<string, { checks: CheckPlan[]; optional: boolean }> {
    const ofProperty = new Map<string, { checks: CheckPlan[]; optional: boolean }>();
    for (const metadata of getMetadataStorage().getTargetValidationMetadatas(
      this.contract,
      '',
      false,
      false,
    )) {
      if (!isRuleMetadata(metadata)) continue;
      const property = metadata.propertyName;
      const column = columns.find((one) => one.property === property);
      if (column === undefined || !isOfRecord(column.origin))
        throw this.invalid(`a rule stands on "${property}", which is no @Column`);
      const entry = ofProperty.get(property) ?? { checks: [], optional: false };
      ofProperty.set(property, entry);
      if (isOptional(metadata)) entry.optional = true;
      else {
        const check = checkOf(metadata, column, this.isJson, (problem) =>
          this.invalid(`"${property}": ${problem}`),
        );
        const code: string = check.code;
        if (!isFindingCode(code))
          throw this.invalid(`"${property}": ${JSON.stringify(code)} cannot be a code`);
        this.checkPartners(columns, column, check);
        // Decorators are applied from bottom to top.
        entry.checks.unshift(check);
      }
    }
    return ofProperty;
  }

  private checkPartners(
    columns: readonly ColumnMetadata[],
    { property, kind }: ColumnMetadata,
    check: CheckPlan,
  ): void {
    const rule = check.judges === 'pair' ? '@PairedWith' : `the rule ${check.across?.name ?? ''}`;
    const partners = check.others.map((other) => {
      const partner = columns.find((one) => one.property === other);
      if (partner === undefined || !isOfRecord(partner.origin))
        throw this.invalid(`${rule} on "${property}" names "${other}", which is no @Column`);
      return partner;
    });
    if (check.across === undefined) return;
    const problem = problemOfAcross(check, check.across, [kind, ...partners.map((one) => one.kind)]);
    if (problem !== null) throw this.invalid(`${rule} on "${property}" ${problem}`);
  }
}

function names(columns: readonly ColumnMetadata[], part: 'property' | 'target'): string[] {
  return columns.map((column) => column[part]);
}
