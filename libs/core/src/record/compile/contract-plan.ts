/**
 * Reads a contract's decorators into one checked plan: tables, columns, and for each column its checks in
 * reading order (R3). PURE. Whatever does not hold together is found here, by name, before any record.
 */
import { getMetadataStorage } from 'class-validator';
import { SluiceError } from '#common/errors/sluice-error.js';
import {
  type ChildrenOptions,
  type ChildTableOptions,
  type CleaningOptions,
  type ColumnMetadata,
  contractMetadata,
} from '../../dataset/columns.js';
import type { ContractClass, Dataset } from '../../dataset/dataset.js';
import { isFindingCode } from '../finding.js';
import { type CheckPlan, checkOf, isOptional, isRuleMetadata } from './check-plan.js';

/** A table as its COPY text fills it. Parents stand before children. */
export interface TablePlan {
  /** Unqualified. */
  readonly table: string;
  /** Of the COPY text, in order, without the record number (`_sluice_record`) that stands before them. */
  readonly columns: readonly string[];
  /** The columns that identify a row; empty for child tables, which follow their parent. */
  readonly key: readonly string[];
  /** The column that tells an older record from a newer one (`TableOptions.version`); null when none does. */
  readonly version: string | null;
  /** Column → the source's name of its field, for findings. Columns without a field are left out. */
  readonly sources: Readonly<Record<string, string>>;
  /** Of a child table: its parent, and which of its columns hold which of the parent's. */
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
}

export interface ContractPlan {
  readonly table: string;
  readonly key: readonly string[];
  readonly cleaning: CleaningOptions;
  readonly columns: readonly ColumnPlan[];
  readonly children: readonly ChildPlan[];
  readonly tables: readonly TablePlan[];
}

/** @throws SluiceError DATASET_INVALID */
export function planContract(dataset: Pick<Dataset, 'name' | 'contract'>): ContractPlan {
  const reader = new ContractReader(dataset.name, dataset.contract);
  const { table, children } = contractMetadata(dataset.contract);
  if (table === undefined) throw reader.invalid('it lacks @Table');
  const columns = reader.columns();
  const parentPlan: TablePlan = {
    table: table.name,
    columns: names(columns, 'target'),
    sources: sourcesOf(columns),
    key: table.key.map((property) => reader.column(columns, property, '@Table key').target),
    version:
      table.version === undefined ? null : reader.column(columns, table.version, '@Table version').target,
    parent: null,
  };
  if (parentPlan.key.length === 0) throw reader.invalid('@Table names no key');
  if (parentPlan.version !== null && parentPlan.key.includes(parentPlan.version)) {
    throw reader.invalid(
      `@Table version "${table.version ?? ''}" is part of the key, so no row has an older one`,
    );
  }
  if (columns.some(({ origin }) => origin.from === 'parent' || origin.from === 'slot')) {
    throw reader.invalid('@FromParent and @SlotNumber belong in the class of a child table');
  }
  const childPlans = children.map(({ type, options, property }) => {
    const child = planChild(dataset.name, type(), options);
    const links: [string, string][] = child.columns.flatMap(({ origin, target }) =>
      origin.from === 'parent'
        ? [[target, reader.column(columns, origin.property, '@FromParent').target]]
        : [],
    );
    if (links.length === 0) throw reader.invalid(`the rows of "${property}" have no @FromParent column`);
    const plan: TablePlan = {
      table: child.table.name,
      columns: names(child.columns, 'target'),
      sources: sourcesOfChild(child, parentPlan, links),
      key: [],
      version: null,
      parent: { table: table.name, columns: Object.fromEntries(links) },
    };
    return { child, plan };
  });
  const tables = [parentPlan, ...childPlans.map(({ plan }) => plan)];
  reader.refuseRepeated(
    'table',
    tables.map((plan) => plan.table),
  );
  return {
    table: table.name,
    key: parentPlan.key,
    cleaning: table.cleaning ?? {},
    columns,
    children: childPlans.map(({ child }) => child),
    tables,
  };
}

function planChild(dataset: string, type: ContractClass, options: ChildrenOptions): ChildPlan {
  const reader = new ContractReader(dataset, type);
  const { childTable, children } = contractMetadata(type);
  if (childTable === undefined) throw reader.invalid('it lacks @ChildTable');
  if (children.length > 0) throw reader.invalid('the rows of a child table have no children of their own');
  const columns = reader.columns();
  for (const property of [childTable.rowWhen, childTable.distinctBy]) {
    if (property === undefined) continue;
    if (reader.column(columns, property, '@ChildTable').origin.from !== 'source') {
      throw reader.invalid(`@ChildTable names "${property}", whose value does not stand in the record`);
    }
  }
  if ('slots' in options && options.slots.length === 0) throw reader.invalid('@Children names no slots');
  return { type, table: childTable, columns, options };
}

function sourcesOfChild(
  { columns, options }: ChildPlan,
  parent: TablePlan,
  links: readonly [string, string][],
): Record<string, string> {
  const own = columns.flatMap(({ origin, target }): [string, string][] => {
    if (origin.from !== 'source') return [];
    const { source } = origin;
    if ('slots' in options) return [[target, options.slots.map((slot) => slot[source] ?? source).join(', ')]];
    return [[target, source === '' ? `${options.path}[]` : `${options.path}[].${source}`]];
  });
  const inherited = links.map(([column, ofParent]): [string, string] => [
    column,
    parent.sources[ofParent] ?? ofParent,
  ]);
  return Object.fromEntries([...inherited, ...own]);
}

function sourcesOf(columns: readonly ColumnPlan[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    columns.flatMap(({ target, origin }) => (origin.from === 'source' ? [[target, origin.source]] : [])),
  );
}

class ContractReader {
  constructor(
    private readonly dataset: string,
    private readonly contract: ContractClass,
  ) {}

  columns(): ColumnPlan[] {
    const { columns } = contractMetadata(this.contract);
    if (columns.length === 0) throw this.invalid('it has no columns');
    this.refuseRepeated('property', names(columns, 'property'));
    this.refuseRepeated('column', ['_sluice_record', ...names(columns, 'target')]);
    const ofProperty = this.checks(columns);
    return columns.map((column) => ({
      ...column,
      ...(ofProperty.get(column.property) ?? { checks: [], optional: false }),
    }));
  }

  column(columns: readonly ColumnPlan[], property: string, from: string): ColumnPlan {
    const found = columns.find((column) => column.property === property);
    if (found === undefined) throw this.invalid(`${from} names "${property}", which is no column`);
    return found;
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
      if (column?.origin.from !== 'source')
        throw this.invalid(`a rule stands on "${property}", which is no @Column`);
      const entry = ofProperty.get(property) ?? { checks: [], optional: false };
      ofProperty.set(property, entry);
      if (isOptional(metadata)) entry.optional = true;
      else {
        const check = checkOf(metadata, (problem) => this.invalid(`"${property}": ${problem}`));
        const code: string = check.code;
        if (!isFindingCode(code))
          throw this.invalid(`"${property}": ${JSON.stringify(code)} cannot be a code`);
        if (check.judges === 'pair') this.checkPartner(columns, property, check.other);
        // Decorators are applied from bottom to top.
        entry.checks.unshift(check);
      }
    }
    return ofProperty;
  }

  private checkPartner(
    columns: readonly ColumnMetadata[],
    property: string,
    other: string | undefined,
  ): void {
    const partner = columns.find((column) => column.property === other);
    if (partner?.origin.from !== 'source') {
      throw this.invalid(`@PairedWith on "${property}" names "${other ?? ''}", which is no @Column`);
    }
  }
}

function names(columns: readonly ColumnMetadata[], part: 'property' | 'target'): string[] {
  return columns.map((column) => column[part]);
}
