import { SluiceError } from '#common/errors/sluice-error.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import type { MessagePlace } from '#core/message/header-reader.js';
import { planMark } from '#core/message/plan-mark.js';
import type { TablePlan } from '#core/staging/table-plan.js';
import { stagingTable } from '#core/staging/staging-names.js';
import { copyIntoStaging } from '#core/staging/staging-tables.js';

/** Where a section of a clean batch goes. */
export interface StagingTarget {
  /** The section's table, as in the contract. */
  readonly table: string;
  /** The job's staging table as PostgreSQL names it in errors. */
  readonly stagingName: string;
  /** As in the contract. */
  readonly columns: readonly string[];
  /** `COPY … FROM STDIN` into it, its columns in the order of the COPY text. */
  readonly copyStatement: string;
}

/** What this loader would make of a job's batches. */
export interface LoaderPlan {
  readonly targets: readonly StagingTarget[];
  readonly contractVersion: number;
  /** `planMark` of the tables. */
  readonly mark: string;
  /** It can check seals. */
  readonly checksSeals: boolean;
}

export function loaderPlan(
  plan: readonly TablePlan[],
  contractVersion: number,
  job: string,
  checksSeals = false,
): LoaderPlan {
  return { targets: stagingTargets(plan, job), contractVersion, mark: planMark(plan), checksSeals };
}

/** The staging tables of a job, in load order. */
export function stagingTargets(plan: readonly TablePlan[], job: string): StagingTarget[] {
  return plan.map((table) => ({
    table: table.table,
    stagingName: stagingTable(table.table, job),
    columns: table.columns,
    copyStatement: copyIntoStaging(table, job),
  }));
}

/**
 * A batch has one section for each table of its dataset, in load order. One that was written for other tables says so
 * (`plan`): what follows from that is the job's matter (LD5), not the message's fault.
 * @throws SluiceError MESSAGE_INVALID
 */
export function assertSections(
  { fault, plan, sections }: CleanMessage,
  { topic, partition, offset }: MessagePlace,
  tables: readonly TablePlan[],
): void {
  if (fault !== null || (plan !== null && plan !== planMark(tables))) return;
  const isRight =
    sections.length === tables.length && sections.every(({ table }, at) => table === tables[at]?.table);
  if (isRight) return;
  throw new SluiceError(
    'MESSAGE_INVALID',
    `Message ${topic}/${partition}/${offset}: its sections are not the tables of the dataset.`,
  );
}
