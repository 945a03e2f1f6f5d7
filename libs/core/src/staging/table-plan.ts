import { SluiceError } from '#common/errors/sluice-error.js';
import type { TablePlan } from '../record/compile-contract.js';

export type { TablePlan };

/** Target tables, by name, in load order; all stand in one schema. */
export interface Targets {
  readonly schema: string;
  /** Unqualified. */
  readonly tables: readonly string[];
}

export function targetsOf(plan: readonly TablePlan[]): Targets {
  return { schema: mainTable(plan).schema, tables: plan.map(({ table }) => table) };
}

/** The table whose rows are the records: one row each. */
export function mainTable(plan: readonly TablePlan[]): TablePlan {
  const [main] = plan;
  if (main === undefined) throw new SluiceError('INTERNAL', 'A dataset without tables.');
  return main;
}
