import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset, ExistingKeys, WriteMode } from '#core/dataset/dataset.js';
import type { SourceTotals } from '#core/ledger/balance.js';
import type { ClaimedToFinalize } from '#core/job/finalize-claim.js';
import { planOfDeletes, planTables } from '#core/record/compile-contract.js';
import type { TablePlan } from '#core/staging/table-plan.js';

/** A job that this loader holds in state `finalizing`, as far as finalization needs it. */
export interface FinalizingJob {
  readonly id: string;
  readonly dataset: string;
  /** Of our claim: a loader that finds a higher one in the job row has lost the job. */
  readonly epoch: number;
  readonly mode: WriteMode;
  readonly dryRun: boolean;
  /**
   * It succeeds when all of its records are refused: a stream made it, whose breaker judges several jobs together, or it
   * repairs dead letters, which are decided about when it has succeeded.
   */
  readonly mayBringNothing: boolean;
  /** A single refused record fails the job. */
  readonly strict: boolean;
  readonly maxRefusedShare: number;
  /** Null: any size will do. */
  readonly maxShrinkShare: number | null;
  /** `append`: what becomes of records whose key is in the table already. */
  readonly existingKeys: ExistingKeys;
  /** That its batches were validated by. */
  readonly contractVersion: number;
  readonly source: SourceTotals;
}

/** As the row of a claimed job says. */
export function finalizingJobOf(row: ClaimedToFinalize): FinalizingJob {
  return {
    id: row.id,
    dataset: row.dataset,
    epoch: row.epoch,
    mode: row.mode,
    dryRun: row.dry_run,
    strict: row.strict,
    mayBringNothing: row.stream !== null || row.repair !== null,
    maxRefusedShare: row.max_refused_share,
    maxShrinkShare: row.max_shrink_share,
    existingKeys: row.existing_keys,
    contractVersion: row.contract_version,
    source: {
      batches: Number(row.total_batches),
      records: Number(row.total_records),
      bytes: Number(row.total_bytes),
      dataStart: row.head?.dataStart ?? 0,
      ...(row.head?.bytes === undefined
        ? {}
        : { headBytes: row.head.bytes, headLines: row.head.lines, firstLine: row.head.firstLine }),
      crc32cSum: row.checkpoint?.crc32cSum ?? null,
    },
  };
}

/** What finalization needs to know of a dataset. */
export interface FinalizedDataset {
  /** Parents before children; the first table's rows are the records. */
  readonly tables: readonly TablePlan[];
  /** What records that are deletes are staged in. Absent: there are none, by the dataset or by the job's mode. */
  readonly deletes?: TablePlan;
  readonly keepOfDuplicates: 'first' | 'last';
  readonly contractVersion: number;
}

/** What finalization needs to know of each dataset, by its name. */
export function finalizedDatasets(datasets: readonly Dataset[]): ReadonlyMap<string, FinalizedDataset> {
  return new Map(
    datasets.map((dataset) => {
      const { name, keepOfDuplicates, contractVersion } = dataset;
      const deletes = planOfDeletes(dataset);
      const tables = planTables(dataset);
      return [name, { tables, keepOfDuplicates, contractVersion, ...(deletes === null ? {} : { deletes }) }];
    }),
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

/** The dataset as a job of this mode has it: only `upsert` takes deletes. */
export function datasetOfMode({ deletes, ...dataset }: FinalizedDataset, mode: WriteMode): FinalizedDataset {
  return deletes === undefined || mode !== 'upsert' ? dataset : { ...dataset, deletes };
}

/** Every table that the job's records are staged in, that of its deletes last. */
export function stagedTables({ tables, deletes }: FinalizedDataset): readonly TablePlan[] {
  return deletes === undefined ? tables : [...tables, deletes];
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
