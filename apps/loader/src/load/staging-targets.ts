import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type CleanMessage, planMark } from '#core/message/clean-message.js';
import type { MessagePlace } from '#core/message/header-reader.js';
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

/** The staging tables of a job, in load order, that of its deletes last; which only mode `upsert` has, and brings rows for. */
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

/** A column that took no value at all of what was COPYed into it. */
export interface UnfitColumn {
  readonly target: StagingTarget;
  readonly column: string;
  readonly records: number;
}

/**
 * What a column of another type refuses of every record is a matter of the table: a text of a contract may be anything that
 * its rules make of it, so only its values show it (varchar → uuid). Once the job has loaded a record, the column takes
 * some values, and what it refuses is a record's fault again.
 * @param client in the transaction that has COPYed the batches
 * @returns why the job has to fail, or null
 */
export async function unfitColumnFault(
  client: pg.PoolClient,
  unfit: UnfitColumn | null,
  batches: readonly CleanMessage[],
): Promise<SluiceError | null> {
  const [first] = batches;
  if (unfit === null || first === undefined) return null;
  const { target, column, records } = unfit;
  const { rows } = await client.query<{ type: string; hasLoaded: boolean }>(
    `SELECT format_type(a.atttypid, a.atttypmod) AS type,
       EXISTS (SELECT FROM sluice.ledger WHERE job = $3 AND batch <> ALL($4::bigint[])
               AND accepted > jsonb_array_length(load_refusals)) AS "hasLoaded"
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'sluice_staging'::regnamespace AND c.relname = $1 AND a.attname = $2`,
    [target.stagingName, column, first.job, batches.map(({ batch }) => batch)],
  );
  const [found] = rows;
  if (found === undefined || found.hasLoaded) return null;
  return new SluiceError(
    'TARGET_DOES_NOT_FIT',
    `Column ${column} of ${target.table} is ${found.type}, and PostgreSQL could read none of the values that the first ` +
      `${records} records have for it.`,
    { job: first.job, dataset: first.dataset },
  );
}
