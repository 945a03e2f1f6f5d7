import { type Links, parentLinks, tellsApart } from '#core/staging/parent-links.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import type { IndexFacts, MergeFacts } from '#core/staging/target-facts.js';
import type { FinalizedDataset } from './finalizing-job.js';
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
 * What becomes of a record: inserted; its row is updated; only rows of its children are; nothing is written; its row is
 * deleted; the row is newer, or (`append`) there already, or (a delete) not there; another record of the job has its key
 * and is newer.
 */
export type Fate = 'i' | 'u' | 'c' | '=' | 'x' | 's' | 'd';

/** Records whose contents the tables have afterwards. */
export const CHOSEN = `('i', 'u', 'c', '=')`;
/** Those and the deletes: the rows of children that stand there are theirs. */
export const EFFECTIVE = `('i', 'u', 'c', '=', 'x')`;

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
  /** The child table whose rows these are children of; null: they are the record's. */
  readonly parent: MergedChild | null;
  /** Own column → that of the table by which its rows are found. */
  readonly links: Links;
  /** By which its rows are found: the direct parent, where they do not hold the main table's key; null: the main table. */
  readonly foundBy: MergedChild | null;
  /** A unique index that distinguishes the rows of one parent; null: they are compared as a multiset. */
  readonly index: IndexFacts | null;
}

export interface MergedTables {
  readonly main: MergedTable;
  readonly children: readonly MergedChild[];
  /** The staging table of deletes, qualified and quoted; null: the job takes none. */
  readonly deletes: string | null;
}

export function mergedTables(
  { tables, deletes }: Pick<FinalizedDataset, 'tables' | 'deletes'>,
  targets: readonly MergeFacts[],
  jobId: string,
): MergedTables {
  const of = (plan: TablePlan): MergedTable => {
    const facts = targets.find(({ table }) => table === plan.table);
    if (facts === undefined) throw new RangeError(`Nothing is known of ${plan.table}.`);
    return { plan, facts, staging: quotedStagingTable(plan.table, jobId), target: quotedTarget(plan) };
  };
  const [main, ...others] = tables.map(of);
  if (main === undefined) throw new RangeError('A dataset without tables.');
  const children: MergedChild[] = [];
  for (const [index, child] of others.entries()) {
    const parent = children.find(({ plan }) => plan.table === child.plan.parent?.table) ?? null;
    // Only `append`, which compares no rows, may do without (staging-tables.ts).
    const { to, links } = parentLinks(tables, child.plan, targets) ?? {
      to: 'parent',
      links: Object.entries(child.plan.parent?.columns ?? {}),
    };
    children.push({
      ...child,
      list: `pg_temp.children_${index + 1}`,
      parent,
      links,
      foundBy: to === 'main' ? null : parent,
      index: tellingIndex(child),
    });
  }
  return { main, children, deletes: deletes === undefined ? null : quotedStagingTable(deletes.table, jobId) };
}

function tellingIndex({ plan, facts }: MergedTable): IndexFacts | null {
  return (
    facts.indexes.find(
      (index) => tellsApart(index, facts) && index.columns.every((column) => plan.columns.includes(column)),
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
