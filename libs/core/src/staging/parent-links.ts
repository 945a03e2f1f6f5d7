import type { TablePlan } from './table-plan.js';
import type { IndexFacts, MergeFacts } from './target-facts.js';

/** Own column → the other table's. */
export type Links = readonly (readonly [own: string, theirs: string])[];

/**
 * How a merge finds the rows of a child table that belong to a record: by the key of the main table where they hold all of
 * it, their own parents' columns included, or by the rows of their direct parent.
 */
export interface ParentLinks {
  readonly to: 'main' | 'parent';
  readonly links: Links;
}

/**
 * PURE.
 * @param plan of all tables, parents before children
 * @param targets what the catalogs say of them
 * @returns null where rows can be found by neither: their record's key is not in them, and no unique index of their
 *   parent keeps apart what they refer to it by
 */
export function parentLinks(
  plan: readonly TablePlan[],
  child: TablePlan,
  targets: readonly MergeFacts[],
): ParentLinks | null {
  const parent = plan.find(({ table }) => table === child.parent?.table);
  const [main] = plan;
  if (parent === undefined || main === undefined) throw new RangeError(`${child.table} has no parent.`);
  const toMain = linksToMain(plan, child);
  const ofKey = toMain.filter(([, theirs]) => main.key.includes(theirs));
  if (main.key.every((column) => ofKey.some(([, theirs]) => theirs === column)))
    return { to: 'main', links: ofKey };
  // The record's own children may be found by any column that they have of it.
  if (parent === main) return { to: 'main', links: toMain };
  const direct = Object.entries(child.parent?.columns ?? {});
  const facts = targets.find(({ table }) => table === parent.table);
  const index = facts?.indexes.find(
    (each) =>
      tellsApart(each, facts) &&
      each.columns.every((column) => direct.some(([, theirs]) => theirs === column)),
  );
  if (index === undefined) return null;
  return { to: 'parent', links: direct.filter(([, theirs]) => index.columns.includes(theirs)) };
}

/** All that rows of a child table have of the main table's columns, also over tables between them. */
function linksToMain(plan: readonly TablePlan[], { parent }: TablePlan): Links {
  const above = plan.find(({ table }) => table === parent?.table);
  const direct = Object.entries(parent?.columns ?? {});
  if (above?.parent === null || above === undefined) return direct;
  const further = new Map(linksToMain(plan, above));
  return direct.flatMap(([own, theirs]) => {
    const ofMain = further.get(theirs);
    return ofMain === undefined ? [] : [[own, ofMain] as const];
  });
}

/** Whether no two rows have the same values in the key columns of an index, as `=` of the columns has it. */
export function tellsApart(
  { unique, valid, immediate, predicate, columns, keys, otherwise }: IndexFacts,
  { nullable }: Pick<MergeFacts, 'nullable'>,
): boolean {
  return (
    unique &&
    valid &&
    immediate &&
    predicate === null &&
    otherwise.length === 0 &&
    columns.length === keys.length &&
    !columns.some((column) => nullable.includes(column))
  );
}
