import { SluiceError } from '#common/errors/sluice-error.js';
import type { TablePlan } from '../record/compile-contract.js';

export type { TablePlan };

/** The table whose rows are the records: one row each. */
export function mainTable(plan: readonly TablePlan[]): TablePlan {
  const [main] = plan;
  if (main === undefined) throw new SluiceError('INTERNAL', 'A dataset without tables.');
  return main;
}
