import type pg from 'pg';
import { isErrorCode } from '#common/errors/error-codes.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { JobState, PauseReason } from '#core/job/job-state.js';
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
  readonly contractVersion: number;
  readonly firstEpoch: number;
  readonly epoch: number;
  /** Its messages carry a seal. */
  readonly signed: boolean;
  /** Of our own backend. */
  readonly pid: number;
}

const UNKNOWN_JOB: LockedJob = {
  state: 'unknown',
  pauseReason: null,
  takesBatches: false,
  contractVersion: 0,
  firstEpoch: 0,
  epoch: 0,
  signed: false,
  pid: 0,
};

export async function lockJob(client: pg.PoolClient, job: string): Promise<LockedJob> {
  const { rows } = await client.query<LockedJob>(
    `SELECT state, pause_reason AS "pauseReason", state = 'running' OR state = 'failed' AND resumable AS "takesBatches",
       contract_version AS "contractVersion", first_epoch AS "firstEpoch", epoch, signed, pg_backend_pid() AS pid
     FROM sluice.job WHERE id = $1 FOR KEY SHARE`,
    [job],
  );
  return rows[0] ?? UNKNOWN_JOB;
}

/**
 * LD7: those that this job has published. The epoch in the row is raised before anything is published under it.
 * @throws SluiceError SETTING_INVALID when that cannot be told, and the job has to be paused (LD8)
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

/** A code that only a newer validator knows is told in the message. */
function faultOf({ code, message }: BatchFault, place: { job: string; dataset: string }): SluiceError {
  return isErrorCode(code)
    ? new SluiceError(code, message, place)
    : new SluiceError('INTERNAL', `${message} [${code}]`, place);
}
