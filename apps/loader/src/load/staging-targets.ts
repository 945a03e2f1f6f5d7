import type { TablePlan } from '#core/staging/table-plan.js';
import { stagingTable } from '#core/staging/staging-names.js';
import { copyIntoStaging } from '#core/staging/staging-tables.js';

/** Where a section of a clean batch goes. */
export interface StagingTarget {
  /** The section's table, as in the contract. */
  readonly table: string;
  /** The job's staging table as PostgreSQL names it in errors. */
  readonly stagingName: string;
  /** `COPY … FROM STDIN` into it, its columns in the order of the COPY text. */
  readonly copyStatement: string;
}

/** The staging tables of a job, in load order. */
export function stagingTargets(plan: readonly TablePlan[], job: string): StagingTarget[] {
  return plan.map((table) => ({
    table: table.table,
    stagingName: stagingTable(table.table, job),
    copyStatement: copyIntoStaging(table, job),
  }));
}
