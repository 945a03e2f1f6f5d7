import { createHash } from 'node:crypto';
import type { TablePlan } from '../record/compile-contract.js';

const MARK_CHARACTERS = 16;
const marks = new WeakMap<object, string>();

/**
 * What COPY text depends on, in short: tables and their columns, in order. PURE.
 * Equal marks: sections that one process wrote fit the staging tables that another one has planned.
 */
export function planMark(plan: readonly Pick<TablePlan, 'table' | 'columns'>[]): string {
  const known = marks.get(plan);
  if (known !== undefined) return known;
  const shape = plan.map(({ table, columns }) => [table, ...columns]);
  const mark = createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, MARK_CHARACTERS);
  marks.set(plan, mark);
  return mark;
}
