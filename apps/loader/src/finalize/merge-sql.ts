import type { TablePlan } from '#core/staging/table-plan.js';
import type { IndexFacts, MergeFacts } from '#core/staging/target-facts.js';
import { columnList, quotedStagingTable, quotedTarget } from '#core/staging/staging-names.js';

/**
 * Words of a merge's statements. PURE.
 *
 * A merge works on lists of places, not on copies of rows: `arriving` has one row for each record of staging, and
 * `children_1` … one for each pair of child rows. Their own columns begin with `_sluice_`, so that no column of the data
 * has their name.
 */
export const ARRIVING = 'pg_temp.arriving';

/** Of `arriving`: where the record stands in staging, and where and in which version its row stands in the target. */
export const SOURCE = '_sluice_source';
export const PLACE = '_sluice_place';
export const PART = '_sluice_part';
export const VERSION = '_sluice_version';
export const FATE = '_sluice_fate';
/** Of `children_n`: where the record's row stands in staging, and where its counterpart stands in the target. */
export const FRESH = '_sluice_fresh';
export const GONE = '_sluice_gone';
export const SAME = '_sluice_same';

/**
 * What becomes of a record: inserted; its row is updated; only rows of its children are; nothing is written; the row is
 * newer, or (`append`) there already; another record of the job has its key and is newer.
 */
export type Fate = 'i' | 'u' | 'c' | '=' | 's' | 'd';

/** Records whose contents the tables have afterwards. */
export const CHOSEN = `('i', 'u', 'c', '=')`;

/** One table of a merge. */
export interface MergedTable {
  readonly plan: TablePlan;
  readonly facts: MergeFacts;
  /** Qualified and quoted. */
  readonly staging: string;
  readonly target: string;
}

export interface MergedChild extends MergedTable {
  /** The list of its differences. */
  readonly list: string;
  /** Own column → the main table's, by which rows find their parent. */
  readonly links: readonly (readonly [own: string, ofParent: string])[];
  /** A unique index that tells the rows of one parent apart; null: they are compared as a multiset. */
  readonly index: IndexFacts | null;
}

export interface MergedTables {
  readonly main: MergedTable;
  readonly children: readonly MergedChild[];
}

export function mergedTables(
  tables: readonly TablePlan[],
  targets: readonly MergeFacts[],
  jobId: string,
): MergedTables {
  const of = (plan: TablePlan): MergedTable => {
    const facts = targets.find(({ table }) => table === plan.table);
    if (facts === undefined) throw new RangeError(`Nothing is known of ${plan.table}.`);
    return { plan, facts, staging: quotedStagingTable(plan.table, jobId), target: quotedTarget(plan.table) };
  };
  const [main, ...children] = tables.map(of);
  if (main === undefined) throw new RangeError('A dataset without tables.');
  return {
    main,
    children: children.map((child, index) => ({
      ...child,
      list: `pg_temp.children_${index + 1}`,
      links: linksOf(child.plan, main.plan),
      index: tellingIndex(child),
    })),
  };
}

/** The parent's key alone, where the child has all of it: what else it has of its parent may have changed since. */
function linksOf({ parent }: TablePlan, { key }: TablePlan): (readonly [string, string])[] {
  const all = Object.entries(parent?.columns ?? {});
  const ofKey = all.filter(([, ofParent]) => key.includes(ofParent));
  return key.every((column) => ofKey.some(([, ofParent]) => ofParent === column)) ? ofKey : all;
}

function tellingIndex({ plan, facts }: MergedTable): IndexFacts | null {
  return (
    facts.indexes.find(
      ({ unique, valid, immediate, predicate, columns, keys, otherwise }) =>
        unique &&
        valid &&
        immediate &&
        predicate === null &&
        otherwise.length === 0 &&
        columns.length === keys.length &&
        columns.every((column) => plan.columns.includes(column) && !facts.nullable.includes(column)),
    ) ?? null
  );
}

/** `(a.k1, a.k2) = (b.k1, b.k2)`, by the columns' own equality. */
export function equal(columns: readonly string[], one: string, other: string): string {
  return `(${columnList(columns, `${one}.`)}) = (${columnList(columns, `${other}.`)})`;
}

/**
 * Whether a row of the target is the one that was judged, by place and version: a place is used again once the row that
 * stood there is gone.
 */
export function isStillThere(row: string, judged: string): string {
  return `${row}.ctid = ${judged}.${PLACE} AND ${row}.tableoid = ${judged}.${PART} AND ${row}.xmin = ${judged}.${VERSION}`;
}

/**
 * Whether two rows differ in a byte of what is stored. Equality of the columns would take 'ACME' for 'acme' under some
 * collations and 1.0 for 1.00, and json has none.
 */
export function differs(columns: readonly string[], one: string, other: string): string {
  if (columns.length === 0) return 'false';
  const row = (alias: string): string => `ROW(${columnList(columns, `${alias}.`)})::pg_catalog.record`;
  return `${row(one)} OPERATOR(pg_catalog.*<>) ${row(other)}`;
}

/** The columns that an update writes. */
export function restOf({ columns, key }: TablePlan): string[] {
  return columns.filter((column) => !key.includes(column));
}

/** Part of a merge: the records with these places in `pg_temp.trial`; null is all of it. */
export type Part = { readonly from: number; readonly to: number } | null;

/** Condition on a list's row, behind AND. */
export function ofPart(part: Part, alias: string, record: string): string {
  if (part === null) return '';
  return `AND ${alias}.${record} = ANY(ARRAY(
    SELECT record FROM pg_temp.trial WHERE seq BETWEEN ${part.from} AND ${part.to}))`;
}
