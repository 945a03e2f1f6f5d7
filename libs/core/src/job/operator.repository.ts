import type { DataSource, EntityManager } from 'typeorm';
import { SluiceError } from '#common/errors/sluice-error.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { BEGINS_AGAIN_AFTER, beginAgain } from './begin-again.js';
import type { DiscardedWork, JobProblem } from './job.entity.js';
import { ACTIVE_STATES, type JobState, type PauseReason } from './job-state.js';
import type { ResumeRequest } from './job-view.js';
import { sqlClientOf } from './job.repository.js';
import { NEWER_SUCCESS } from './newer-success.js';

/** The job row as an operator's command finds it, locked. */
interface LockedJob {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
  readonly interrupted: boolean;
  readonly begun: boolean;
  readonly complete: boolean;
  readonly resumable: boolean;
  readonly problem: JobProblem | null;
  readonly pauseReason: PauseReason | null;
  readonly contractVersion: number;
  /** Why it failed. */
  readonly errorCode: string | null;
}

/** What a command has done. */
export interface CommandedJob {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
}

/**
 * Every change of a job row that an operator asks for. Each locks the row `FOR UPDATE` first, which waits for the load
 * transactions in flight (they hold it FOR KEY SHARE): what a command forbids does not happen after it has returned.
 */
export class OperatorRepository {
  /** @param versionOf the contract's version of a dataset in this process; null when it has no such dataset */
  constructor(
    private readonly database: DataSource,
    private readonly versionOf: (dataset: string) => number | null = () => null,
  ) {}

  /**
   * Any active state → cancelled. An ingestor stays in the row until it has let go: see `ownerOf`.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED
   */
  async cancel(id: string): Promise<CommandedJob & { discarded: DiscardedWork }> {
    return this.onLocked(id, async (job, manager) => {
      if (!(ACTIVE_STATES as readonly JobState[]).includes(job.state)) throw refused(job, 'is', 'already');
      const discarded = await discardedWork(manager, id);
      await manager.query(
        `UPDATE sluice.job SET state = 'cancelled', pause_reason = NULL, pause_detail = NULL, problem = NULL, wait = NULL,
           finished_at = now(), epoch = epoch + 1, announced = false, resumable = false, discarded = $2, secret_uri = '',
           owner = CASE WHEN state = 'finalizing' THEN NULL ELSE owner END,
           lease_until = CASE WHEN state = 'finalizing' THEN NULL ELSE lease_until END
         WHERE id = $1`,
        [id, discarded],
      );
      return { ...commanded(job, 'cancelled'), discarded };
    });
  }

  /** running → paused, reason `operator`. @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED */
  async pause(id: string): Promise<CommandedJob> {
    return this.onLocked(id, async (job, manager) => {
      if (job.state !== 'running') throw refused(job, 'cannot be paused: it is');
      await manager.query(
        `UPDATE sluice.job SET state = 'paused', pause_reason = 'operator', pause_detail = NULL, wait = NULL WHERE id = $1`,
        [id],
      );
      return commanded(job, 'paused');
    });
  }

  /**
   * paused → running; the breaker judges what is loaded from here on. One that was paused for its contract begins again from its first
   * batch, by the version that this process has.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED, DATASET_UNKNOWN
   */
  async continue(id: string): Promise<CommandedJob> {
    return this.onLocked(id, async (job, manager) => {
      if (job.state !== 'paused') throw refused(job, 'cannot be continued: it is');
      if (job.pauseReason === 'contract') {
        await beginAgain(sqlClientOf(manager), id, this.knownVersionOf(job));
        return commanded(job, 'queued');
      }
      await manager.query(
        `UPDATE sluice.job SET state = 'running', pause_reason = NULL, pause_detail = NULL, wait = NULL,
           judged_batches = coalesce(
             (SELECT range_agg(int8range(batch, batch + 1)) FROM sluice.ledger WHERE job = $1), '{}')
         WHERE id = $1`,
        [id],
      );
      return commanded(job, 'running');
    });
  }

  /**
   * failed → running (or queued, when it had not begun), for the next ingestor or finalizer to take up; a running
   * job with missing batches is read again. What it has published and loaded stays, but for a job whose batches were
   * validated by another version of the contract, or cannot be trusted: that one begins again from its first batch.
   * @param limits raise those that made it fail
   * @throws SluiceError JOB_UNKNOWN, JOB_NOTHING_TO_RESUME, JOB_RESUME_REFUSED, JOB_ACTIVE
   */
  async resume(id: string, limits: ResumeRequest = {}): Promise<CommandedJob> {
    return this.onLocked(id, async (job, manager) => {
      if (job.state === 'running' && job.problem !== null) {
        await republish(manager, id, job.problem.firstMissingBatch);
        return commanded(job, 'running');
      }
      // It goes on by itself; saying so is what was asked for.
      if (job.interrupted) return commanded(job, 'running');
      await assertResumable(manager, job);
      const taken = await takeUpAgain(manager, job, limits);
      if (!this.hasToBeginAgain(job)) return commanded(job, taken);
      await beginAgain(sqlClientOf(manager), id, this.knownVersionOf(job));
      return commanded(job, 'queued');
    });
  }

  /** The job that `resume` without an id means: the newest one that is failed and resumable, interrupted or stuck. */
  async newestToResume(): Promise<string | null> {
    const rows = await this.database.query<{ id: string }[]>(
      `SELECT id FROM sluice.job
       WHERE (state = 'failed' AND resumable AND NOT EXISTS (SELECT ${NEWER_SUCCESS})
           AND NOT EXISTS (SELECT FROM sluice.job AS active WHERE active.dataset = job.dataset AND active.state = ANY($1)))
         OR (state = 'running' AND (problem IS NOT NULL OR lease_until < now()))
       ORDER BY created_at DESC LIMIT 1`,
      [ACTIVE_STATES],
    );
    return rows[0]?.id ?? null;
  }

  /**
   * Gives up a failed job's staging and ledger, which the loaders' sweep then drops together.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED
   */
  async discard(id: string): Promise<CommandedJob> {
    return this.onLocked(id, async (job, manager) => {
      if (job.state !== 'failed') throw refused(job, 'has nothing to discard: it is');
      await manager.query(`UPDATE sluice.job SET resumable = false, secret_uri = '' WHERE id = $1`, [id]);
      return commanded(job, 'failed');
    });
  }

  /** Who still works on a job that was ended; null when nobody does, or has shown no sign of life for a lease. */
  async ownerOf(id: string): Promise<string | null> {
    const rows = await this.database.query<{ owner: string | null }[]>(
      'SELECT owner FROM sluice.job WHERE id = $1 AND lease_until > now()',
      [id],
    );
    return rows[0]?.owner ?? null;
  }

  private hasToBeginAgain({ dataset, contractVersion, errorCode }: LockedJob): boolean {
    const version = this.versionOf(dataset);
    return BEGINS_AGAIN_AFTER.includes(errorCode ?? '') || (version !== null && version !== contractVersion);
  }

  private knownVersionOf({ id, dataset }: LockedJob): number {
    const version = this.versionOf(dataset);
    if (version !== null) return version;
    throw new SluiceError(
      'DATASET_UNKNOWN',
      `This ingestor has no dataset "${dataset}", which job ${id} is of.`,
      {
        job: id,
        dataset,
      },
    );
  }

  private async onLocked<T>(
    id: string,
    work: (job: LockedJob, manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    return this.database.transaction(async (manager) => {
      const [job] = await manager.query<LockedJob[]>(
        `SELECT id, dataset, state, resumable, problem, started_at IS NOT NULL AS begun,
           total_batches IS NOT NULL AS complete, pause_reason AS "pauseReason",
           contract_version AS "contractVersion", error->>'code' AS "errorCode",
           state = 'running' AND coalesce(lease_until < now(), false) AS interrupted
         FROM sluice.job WHERE id = $1 FOR UPDATE`,
        [id],
      );
      if (!job) throw new SluiceError('JOB_UNKNOWN', `No job has the id ${id}.`, { job: id });
      return work(job, manager);
    });
  }
}

/** Clears the totals, so that an ingestor claims the job, and lets it publish from the first missing batch on. */
async function republish(manager: EntityManager, id: string, from: number): Promise<void> {
  await manager.query(
    `UPDATE sluice.job SET problem = NULL, republish_from = $2, owner = NULL, lease_until = now(),
       total_batches = NULL, total_records = NULL, total_bytes = NULL
     WHERE id = $1`,
    [id, from],
  );
}

async function assertResumable(manager: EntityManager, job: LockedJob): Promise<void> {
  const { id, dataset, state } = job;
  if (state === 'cancelled') {
    throw new SluiceError('JOB_RESUME_REFUSED', `Job ${id} was cancelled; its work was discarded.`, {
      job: id,
    });
  }
  if (state !== 'failed') {
    throw new SluiceError('JOB_NOTHING_TO_RESUME', `Job ${id} is ${state}.`, { job: id });
  }
  const [newer] = await manager.query<{ id: string }[]>(
    `SELECT newer.id FROM sluice.job AS job, LATERAL (SELECT newer.id, newer.created_at ${NEWER_SUCCESS}) AS newer
     WHERE job.id = $1 ORDER BY newer.created_at DESC LIMIT 1`,
    [id],
  );
  if (newer) {
    const message = `Job ${newer.id} of dataset ${dataset} is newer than job ${id} and has succeeded.`;
    throw new SluiceError('JOB_RESUME_REFUSED', message, { job: id, dataset });
  }
  if (!job.resumable) {
    const message = `What job ${id} had staged was given up.`;
    throw new SluiceError('JOB_RESUME_REFUSED', message, { job: id });
  }
}

async function takeUpAgain(manager: EntityManager, job: LockedJob, limits: ResumeRequest): Promise<JobState> {
  const state: JobState = job.begun ? 'running' : 'queued';
  try {
    // With a lease that has just ended, a job whose source is not read to its end is the next ingestor's.
    await manager.query(
      `UPDATE sluice.job SET state = $2, error = NULL, finished_at = NULL, counts = NULL, counted_batches = NULL, findings = NULL, wait = NULL,
         announced = true, owner = NULL, lease_until = CASE WHEN $3 THEN NULL ELSE now() END,
         max_refused_share = coalesce($4, max_refused_share),
         max_shrink_share = CASE WHEN $5 THEN NULL ELSE max_shrink_share END
       WHERE id = $1`,
      [job.id, state, job.complete, limits.maxRefusedShare ?? null, limits.allowShrink ?? false],
    );
  } catch (error) {
    if (sqlstateOf(error) !== '23505') throw error;
    throw new SluiceError('JOB_ACTIVE', `Another job of dataset ${job.dataset} is active.`, {
      dataset: job.dataset,
    });
  }
  return state;
}

async function discardedWork(manager: EntityManager, id: string): Promise<DiscardedWork> {
  const [sums] = await manager.query<Record<keyof DiscardedWork, string>[]>(
    `WITH loaded AS (SELECT count(*) AS batches, coalesce(sum(records), 0) AS records FROM sluice.ledger WHERE job = $1),
       published AS (
         SELECT coalesce(total_batches, (checkpoint->>'nextBatch')::bigint, 0) AS batches,
                coalesce(total_records, (checkpoint->>'nextRecord')::bigint, 0) AS records
         FROM sluice.job WHERE id = $1)
     SELECT loaded.batches AS "loadedBatches", loaded.records AS "loadedRecords",
            greatest(published.batches - loaded.batches, 0) AS "pendingBatches",
            greatest(published.records - loaded.records, 0) AS "pendingRecords"
     FROM loaded, published`,
    [id],
  );
  return {
    loadedBatches: Number(sums?.loadedBatches ?? 0),
    loadedRecords: Number(sums?.loadedRecords ?? 0),
    pendingBatches: Number(sums?.pendingBatches ?? 0),
    pendingRecords: Number(sums?.pendingRecords ?? 0),
  };
}

function commanded({ id, dataset }: LockedJob, state: JobState): CommandedJob {
  return { id, dataset, state };
}

function refused({ id, state }: LockedJob, verb: string, rest = ''): SluiceError {
  const text = `Job ${id} ${verb} ${state}${rest === '' ? '' : ` ${rest}`}.`;
  return new SluiceError('JOB_TRANSITION_REFUSED', text, { job: id });
}
