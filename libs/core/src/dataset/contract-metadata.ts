/**
 * What the decorators of a contract's classes have said (`columns.ts`), as the compiler and the derived tables read it. PURE.
 */
import 'reflect-metadata';
import type { ChildTableOptions, ChildrenOptions, TableOptions } from './columns.js';
import type { ContractClass } from './dataset.js';
import type { Kind } from './kind.js';

/** A fact of the job that a column can store (`@Provenance`). */
export type ProvenanceFact = 'source' | 'line' | 'job' | 'startedAt';
export const PROVENANCE_FACTS: readonly ProvenanceFact[] = ['source', 'line', 'job', 'startedAt'];

/** Where the value of a column comes from. */
export type ColumnOrigin =
  /** One field of the record. */
  | { readonly from: 'source'; readonly source: string }
  /** Several fields of the record; those that are not null, with `join` between them. */
  | { readonly from: 'fields'; readonly sources: readonly string[]; readonly join: string }
  /** The file's head. */
  | { readonly from: 'context'; readonly name: string }
  /** The contract itself. Null: NULL. */
  | { readonly from: 'constant'; readonly value: string | null }
  | { readonly from: 'provenance'; readonly fact: ProvenanceFact }
  | { readonly from: 'parent'; readonly property: string }
  | { readonly from: 'slot' };

/** An origin whose value stands in the record itself: only such columns have rules. */
export type RecordOrigin = Extract<ColumnOrigin, { from: 'source' | 'fields' }>;

export function isOfRecord(origin: ColumnOrigin): origin is RecordOrigin {
  return origin.from === 'source' || origin.from === 'fields';
}

/** The fields that a column reads, in its order; empty where its value does not stand in the record. */
export function sourcesOfOrigin(origin: ColumnOrigin): readonly string[] {
  if (origin.from === 'source') return [origin.source];
  return origin.from === 'fields' ? origin.sources : [];
}

export interface ColumnMetadata {
  readonly property: string;
  readonly target: string;
  readonly origin: ColumnOrigin;
  readonly kind: Kind;
  readonly ifNull: string | null;
  /** The file may lack the column's fields: they are null then. NDJSON: without effect, a member may always be absent. */
  readonly optionalInFile: boolean;
  /** Where this column is cleaned in another way than the table says; left out: as the table says. */
  readonly trim?: boolean;
  readonly nullTokens?: readonly string[];
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
  /** What the decorators do not understand of their options, each a sentence without its end: DATASET_INVALID when compiled. */
  readonly problems: string[];
}

// By name, not by module: a dataset folder from elsewhere may load this file a second time.
const METADATA = Symbol.for('sluice:contract');

/** What the decorators of this very class have said (nothing is inherited). */
export function contractMetadata(contract: object): ContractMetadata {
  const known = Reflect.getOwnMetadata(METADATA, contract) as ContractMetadata | undefined;
  if (known !== undefined) return known;
  const fresh: ContractMetadata = { columns: [], children: [], problems: [] };
  Reflect.defineMetadata(METADATA, fresh, contract);
  return fresh;
}

/**
 * Notes option names that a decorator does not have: `sorce` would be without effect.
 * @param owner the class
 * @param where as written: `@Column on "total"`
 */
export function noteUnknownOptions(
  owner: object,
  where: string,
  options: object,
  known: readonly string[],
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    contractMetadata(owner).problems.push(
      `${where} has no option "${name}"; its options are ${known.join(', ')}`,
    );
  }
}
