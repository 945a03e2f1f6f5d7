import type pg from 'pg';
import type { JobState, PauseReason } from '#api/job-words.js';
import { isErrorCode } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { BatchFault, CleanMessage } from '#core/message/clean-message.js';
import type { LoaderPlan } from './staging-targets.js';

/** What a group says about its job: why it must not be loaded. */
export interface Obstacle {
  readonly does: 'pause' | 'fail';
  readonly error: SluiceError;
}

/** The job of a group, held FOR KEY SHARE. */
export interface LockedJob {
  readonly state: JobState | 'unknown';
  readonly pauseReason: PauseReason | null;
  readonly takesBatches: boolean;
  /** While it is paused: its batches stand before those of another job of its dataset (LD9). */
  readonly isInTheWay: boolean;
  readonly contractVersion: number;
  readonly firstEpoch: number;
  readonly epoch: number;
  /** Its messages carry a seal. */
  readonly signed: boolean;
  /** Of our backend. */
  readonly pid: number;
}

const UNKNOWN_JOB: LockedJob = {
  state: 'unknown',
  pauseReason: null,
  takesBatches: false,
  isInTheWay: false,
  contractVersion: 0,
  firstEpoch: 0,
  epoch: 0,
  signed: false,
  pid: 0,
};

export async function lockJob(client: pg.PoolClient, job: string): Promise<LockedJob> {
  const { rows } = await prepared(client).query<LockedJob>(
    `SELECT state, pause_reason AS "pauseReason", state = 'running' OR state = 'failed' AND resumable AS "takesBatches",
       contract_version AS "contractVersion", first_epoch AS "firstEpoch", epoch, signed, pg_backend_pid() AS pid,
       CASE WHEN state = 'paused' THEN EXISTS (
         SELECT FROM sluice.job AS other WHERE other.dataset = job.dataset AND other.id <> job.id
           AND other.state IN ('queued', 'running')) ELSE false END AS "isInTheWay"
     FROM sluice.job WHERE id = $1 FOR KEY SHARE`,
    [job],
  );
  return rows[0] ?? UNKNOWN_JOB;
}

/**
 * LD7: those that this job has published. The epoch in the row is raised before anything is published under it.
 * @throws SluiceError SETTING_INVALID when that cannot be determined, and the job has to be paused (LD8)
 */
export function ownBatches(
  batches: readonly CleanMessage[],
  job: LockedJob,
  { checksSeals }: LoaderPlan,
): readonly CleanMessage[] {
  const current = batches.filter(({ epoch }) => epoch >= job.firstEpoch && epoch <= job.epoch);
  if (!job.signed) return current;
  if (checksSeals) return current.filter(({ sealed }) => sealed);
  throw new SluiceError(
    'SETTING_INVALID',
    'The messages of this job are sealed, and this loader has no SLUICE_MESSAGE_KEY to check that.',
  );
}

/** LD5 and LD6: why none of these batches may be loaded, or null. */
export function obstacleOf(
  batches: readonly CleanMessage[],
  job: LockedJob,
  plan: LoaderPlan,
): Obstacle | null {
  const [first] = batches;
  if (first === undefined) return null;
  const place = { job: first.job, dataset: first.dataset };
  const mismatch = (message: string): Obstacle => ({
    does: 'pause',
    error: new SluiceError('CONTRACT_MISMATCH', message, place),
  });
  if (job.contractVersion !== plan.contractVersion) {
    return mismatch(
      `Job ${first.job} was started with version ${job.contractVersion} of the contract, this loader has ${plan.contractVersion}.`,
    );
  }
  for (const { batch, fault, contractVersion, plan: mark } of batches) {
    if (fault !== null) {
      const error = faultOf(fault, place);
      return { does: error.code === 'CONTRACT_MISMATCH' ? 'pause' : 'fail', error };
    }
    if (contractVersion !== null && contractVersion !== job.contractVersion) {
      return mismatch(
        `Batch ${batch} was validated by version ${contractVersion} of the contract, its job has ${job.contractVersion}.`,
      );
    }
    if (mark !== null && mark !== plan.mark) {
      return mismatch(
        `Batch ${batch} was written for other tables or columns than this loader has, by the same version ${plan.contractVersion} of the contract.`,
      );
    }
  }
  return null;
}

/** A code that only a newer validator knows stands in the message. */
function faultOf({ code, message }: BatchFault, place: { job: string; dataset: string }): SluiceError {
  return isErrorCode(code)
    ? new SluiceError(code, message, place)
    : new SluiceError('INTERNAL', `${message} [${code}]`, place);
}

interface LoadedBatch {
  readonly batch: string;
  readonly firstRecord: string;
  readonly firstLine: string;
  readonly byteStart: string;
  readonly byteEnd: string;
  readonly crc32c: string;
  readonly records: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
}

export interface KnownBatches {
  /** Those that the ledger has unchanged: they were loaded before, and their events may not have arrived. */
  readonly equal: readonly CleanMessage[];
  /** BATCH_DIFFERS, for the first one that the ledger has with other contents; null when there is none. */
  readonly differing: SluiceError | null;
}

/**
 * Compares batches with what the ledger has of them: bytes, places and counts. Validating is a pure function, so a
 * batch that differs comes from another source, another contract or a stranger. Batches that the ledger does not have
 * are in neither part of the answer.
 */
export async function compareWithLedger(
  client: SqlClient,
  job: string,
  batches: readonly CleanMessage[],
): Promise<KnownBatches> {
  if (batches.length === 0) return { equal: [], differing: null };
  const { rows } = await prepared(client).query<LoadedBatch>(
    `SELECT batch, first_record AS "firstRecord", first_line AS "firstLine", byte_start AS "byteStart",
       byte_end AS "byteEnd", crc32c, records, accepted, refused, skipped, warnings
     FROM sluice.ledger WHERE job = $1 AND batch = ANY($2::bigint[])`,
    [job, batches.map(({ batch }) => batch)],
  );
  const loaded = new Map(rows.map((row) => [Number(row.batch), factsOf(row)]));
  const equal: CleanMessage[] = [];
  let differing: SluiceError | null = null;
  for (const message of batches) {
    const before = loaded.get(message.batch);
    if (before === undefined) continue;
    const now = factsOf({ ...message, ...message.counts });
    const differences = (Object.keys(now) as (keyof BatchFacts)[]).filter(
      (fact) => before[fact] !== now[fact],
    );
    if (differences.length === 0) equal.push(message);
    else differing ??= batchDiffers(job, message.batch, before, now, differences);
  }
  return { equal, differing };
}

function batchDiffers(
  job: string,
  batch: number,
  before: BatchFacts,
  now: BatchFacts,
  differences: readonly (keyof BatchFacts)[],
): SluiceError {
  const named = differences.map((fact) => `${fact} ${before[fact]}, now ${now[fact]}`).join('; ');
  const text = `Batch ${batch} of job ${job} arrived again with other contents: ${named}.`;
  return new SluiceError('BATCH_DIFFERS', text, { job, batch });
}

type BatchFacts = Readonly<Record<Exclude<keyof LoadedBatch, 'batch'>, number>>;

function factsOf(batch: Readonly<Record<keyof BatchFacts, number | string>>): BatchFacts {
  return {
    firstRecord: Number(batch.firstRecord),
    firstLine: Number(batch.firstLine),
    byteStart: Number(batch.byteStart),
    byteEnd: Number(batch.byteEnd),
    crc32c: Number(batch.crc32c),
    records: Number(batch.records),
    accepted: Number(batch.accepted),
    refused: Number(batch.refused),
    skipped: Number(batch.skipped),
    warnings: Number(batch.warnings),
  };
}
