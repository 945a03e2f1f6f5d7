import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset, ExistingKeys, WriteMode } from '#core/dataset/dataset.js';
import type { SourceTotals } from '#core/ledger/balance.js';
import { planTables } from '#core/record/compile-contract.js';
import type { TablePlan } from '#core/staging/table-plan.js';

/** A job that this loader holds in state `finalizing`, as far as finalization goes by it. */
export interface FinalizingJob {
  readonly id: string;
  readonly dataset: string;
  /** Of our claim: whoever finds a higher one in the job row has lost the job. */
  readonly epoch: number;
  readonly mode: WriteMode;
  readonly dryRun: boolean;
  readonly maxRefusedShare: number;
  /** Null: any size will do. */
  readonly maxShrinkShare: number | null;
  /** `append`: what becomes of records whose key is in the table already. */
  readonly existingKeys: ExistingKeys;
  /** That its batches were validated by. */
  readonly contractVersion: number;
  readonly source: SourceTotals;
}

/** What finalization needs to know of a dataset. */
export interface FinalizedDataset {
  /** Parents before children; the first table's rows are the records. */
  readonly tables: readonly TablePlan[];
  readonly keepOfDuplicates: 'first' | 'last';
  readonly contractVersion: number;
}

/** What finalization needs to know of each dataset, by its name. */
export function finalizedDatasets(datasets: readonly Dataset[]): ReadonlyMap<string, FinalizedDataset> {
  return new Map(
    datasets.map(({ name, contract, keepOfDuplicates, contractVersion }) => [
      name,
      { tables: planTables({ name, contract }), keepOfDuplicates, contractVersion },
    ]),
  );
}

/**
 * Keys, columns and the version column are ours, its rows are the job's.
 * @throws SluiceError CONTRACT_MISMATCH
 */
export function assertOwnVersion(job: FinalizingJob, { contractVersion }: FinalizedDataset): void {
  if (job.contractVersion === contractVersion) return;
  throw new SluiceError(
    'CONTRACT_MISMATCH',
    `Job ${job.id} was started with version ${job.contractVersion} of the contract, this loader has ${contractVersion}.`,
    { dataset: job.dataset, job: job.id },
  );
}

/** What the source calls the columns of a table, in one text; columns without a field are named themselves. */
export function fieldOf({ tables }: FinalizedDataset, table: string, columns: readonly string[]): string {
  const sources = tables.find((plan) => plan.table === table)?.sources ?? {};
  return columns.map((column) => sources[column] ?? column).join(', ');
}

/** The steps as they are announced, in a word each. */
export type FinalizeStep =
  | 'check'
  | 'index'
  | 'settle'
  | 'vacuum'
  | 'constraints'
  | 'analyze'
  | 'snapshots'
  | 'swap'
  | 'merge'
  | 'report';

/** `detail` says what a step waits for, and for whom. */
export type OnStep = (step: FinalizeStep, detail?: string) => void;

/** What `detail` says that a step waits for; null when it waits for nothing. */
export function whatIsWaitedFor(detail: string | undefined): string | null {
  return detail === undefined ? null : (/^waiting for (.+)$/s.exec(detail)?.[1] ?? null);
}
