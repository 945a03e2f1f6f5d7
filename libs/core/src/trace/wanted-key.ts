/**
 * The key that is looked for, as texts in the order of the contract's key. PURE.
 * Its values are written as a record has them: they are cleaned, and read by their kinds.
 */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset } from '../dataset/dataset.js';
import { cleanString } from '../record/cleaning.js';
import { cleaningOf } from '../record/compile/derived-cells.js';
import {
  type ChildPlan,
  type ColumnPlan,
  type ContractPlan,
  planContract,
} from '../record/compile/contract-plan.js';
import { type KeyMeaning, meaningOf, storedText } from './key-value.js';

export type TracedDataset = Pick<
  Dataset,
  'name' | 'format' | 'csv' | 'encoding' | 'contract' | 'deletes' | 'unknownMembers'
>;

/** One column that has to have a value. */
export interface WantedValue {
  readonly column: ColumnPlan;
  /** Cleaned, as it was given. */
  readonly given: string;
  readonly meaning: KeyMeaning;
  /** What a row holds of it; null: no row can hold it. */
  readonly stored: string | null;
}

/** A row of a child table that is looked for in the record of the key. */
export interface WantedRow {
  /** From the record's own child down to the table of the row; places in `ContractPlan.children`. */
  readonly path: readonly number[];
  readonly table: string;
  readonly values: readonly WantedValue[];
}

export interface WantedKey {
  readonly dataset: TracedDataset;
  readonly plan: ContractPlan;
  /** Of every column of the key, in its order. */
  readonly values: readonly WantedValue[];
  readonly version: ColumnPlan | null;
  readonly row: WantedRow | null;
}

/** The columns of the key that a value has to be named for: all, but those that are the same in every record. */
export function askedColumns(dataset: TracedDataset): readonly ColumnPlan[] {
  return keyColumns(planContract(dataset)).filter(isAsked);
}

function isAsked({ origin }: ColumnPlan): boolean {
  return origin.from !== 'constant';
}

function keyColumns({ key, columns }: ContractPlan): ColumnPlan[] {
  return key.flatMap((target) => columns.filter((column) => column.target === target));
}

/** Values of a child row: column → text. */
export interface RowRequest {
  readonly table: string;
  readonly values: Readonly<Record<string, string>>;
}

/**
 * @param texts one for each of {@link askedColumns}, in their order
 * @throws SluiceError REQUEST_INVALID, DATASET_INVALID
 */
export function wantedKey(
  dataset: TracedDataset,
  texts: readonly string[],
  row: RowRequest | null = null,
): WantedKey {
  const plan = planContract(dataset);
  const all = keyColumns(plan);
  const asked = all.filter(isAsked);
  const names = asked.map(({ target }) => target);
  if (texts.length !== asked.length)
    throw invalid(
      `The key of dataset ${dataset.name} is ${names.join(', ')}: name ${asked.length === 1 ? 'one value' : `${asked.length} values, in this order`}, and not ${texts.length}.`,
    );
  const values = all.map((column) => {
    const { origin } = column;
    const at = asked.indexOf(column);
    const text = origin.from === 'constant' ? (origin.value ?? '') : (texts[at] ?? '');
    return wantedValue(column, text, plan, origin.from === 'constant');
  });
  const version = plan.columns.find(({ target }) => target === plan.tables[0]?.version) ?? null;
  return { dataset, plan, values, version, row: row === null ? null : wantedRow(dataset, plan, row) };
}

function wantedValue(column: ColumnPlan, text: string, plan: ContractPlan, isOwn = false): WantedValue {
  // What a client sends as a row's values is not checked before.
  if (typeof (text as unknown) !== 'string') throw invalid(`The value of ${column.target} is no text.`);
  if (!text.isWellFormed()) throw invalid(`The value of ${column.target} holds half of a surrogate pair.`);
  const cleaned = isOwn ? text : (cleanString(text, cleaningOf(column, plan.cleaning)) ?? column.ifNull);
  if (cleaned === null)
    throw invalid(
      `The value of ${column.target} is none: once it is cleaned, as a field of a record is, nothing is left of it.`,
    );
  const { kind } = column;
  return { column, given: cleaned, meaning: meaningOf(kind, cleaned), stored: storedText(kind, cleaned) };
}

/** Children are planned before their own, so a table's path is found upwards. */
function wantedRow(dataset: TracedDataset, plan: ContractPlan, { table, values }: RowRequest): WantedRow {
  const at = plan.children.findIndex((child) => child.table.name === table);
  const child = plan.children[at];
  if (child === undefined) {
    const names = plan.children.map((one) => one.table.name).join(', ');
    const has = names === '' ? 'no child tables' : `the child tables ${names}`;
    throw invalid(`Dataset ${dataset.name} has ${has}, and none of the name that was given.`);
  }
  const path: number[] = [];
  for (let up = at; up !== -1; up = plan.children[up]?.parent ?? -1) path.unshift(up);
  const entries = Object.entries(values);
  if (entries.length === 0) throw invalid(`Name a value of at least one column of ${table}.`);
  return {
    path,
    table,
    values: entries.map(([name, text]) => wantedValue(ownColumn(child, name), text, plan)),
  };
}

/** A column whose value stands in the row's own part of a record, or is its place in it. */
function ownColumn({ columns, table }: ChildPlan, name: string): ColumnPlan {
  const own = columns.filter(({ origin }) => ['source', 'fields', 'slot'].includes(origin.from));
  const column = own.find(({ target }) => target === name);
  if (column !== undefined) return column;
  throw invalid(
    `A row of ${table.name} is looked for by columns of its own: ${own.map(({ target }) => target).join(', ')}.`,
  );
}

function invalid(message: string): SluiceError {
  return new SluiceError('REQUEST_INVALID', message);
}
