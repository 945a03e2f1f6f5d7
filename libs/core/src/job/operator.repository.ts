import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { DiscardedWork, JobProblem } from '#api/job-facts.js';
import type { JobState, PauseReason } from '#api/job-words.js';
import type { ResumeRequest } from '#api/jobs.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { BEGINS_AGAIN_AFTER, beginAgain } from './begin-again.js';
import { publishDroppedAgain, republish } from './job-problem.js';
import { originsOf, targetOf } from './job-state.js';
import { enterLaneAgain } from './lanes.js';
import { NEWER_SUCCESS } from './newer-success.js';
import { cancelJob, continueFromStart, continueJob, pauseJob, resumeJob } from './operator-transitions.js';
import { discardWork } from './unsuccessful-job.js';

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
  readonly droppedFrom: string | null;
}

/** What a command has done. */
export interface CommandedJob {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
}

/**
 * What an operator asks for. Each command locks the job row `FOR UPDATE` first, which waits for the load
 * transactions in flight (they hold it FOR KEY SHARE): what a command forbids does not happen after it has returned.
 */
export class OperatorRepository {
  private readonly pool: Pool;

  /**
   * @param database initialized
   * @param versionOf the contract's version of a dataset in this process; null when it has no such dataset
   */
  constructor(
    database: DataSource,
    private readonly versionOf: (dataset: string) => number | null = () => null,
  ) {
    this.pool = poolOf(database);
  }

  /**
   * Any active state → cancelled. An ingestor stays in the row until it has released the job: see `ownerOf`.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED
   */
  async cancel(id: string): Promise<CommandedJob & { discarded: DiscardedWork }> {
    return this.onLocked(id, async (job, client) => {
      const discarded = await discardedWork(client, id);
      if (!(await cancelJob(client, id, discarded))) throw refused(job, 'is', 'already');
      return { ...commanded(job, 'cancelled'), discarded };
    });
  }

  /** running → paused, reason `operator`. @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED */
  async pause(id: string): Promise<CommandedJob> {
    return this.onLocked(id, async (job, client) => {
      if (!(await pauseJob(client, id))) throw refused(job, 'cannot be paused: it is');
      return commanded(job, 'paused');
    });
  }

  /**
   * paused → running; the breaker judges what is loaded from here on. One that was paused for its contract begins again from its first
   * batch, by the version that this process has.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED, DATASET_UNKNOWN
   */
  async continue(id: string): Promise<CommandedJob> {
    return this.onLocked(id, async (job, client) => {
      const beginsAgain = job.pauseReason === 'contract';
      const isContinued = beginsAgain ? await continueFromStart(client, id) : await continueJob(client, id);
      if (!isContinued) throw refused(job, 'cannot be continued: it is');
      if (!beginsAgain) {
        if (job.droppedFrom !== null) await publishDroppedAgain(client, id);
        return commanded(job, 'running');
      }
      await beginAgain(client, id, this.knownVersionOf(job));
      return commanded(job, 'queued');
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
    return this.onLocked(id, async (job, client) => {
      if (job.state === 'running' && job.problem !== null) {
        await republish(client, id, job.problem.firstMissingBatch);
        return commanded(job, 'running');
      }
      // It resumes by itself; the answer only has to say so.
      if (job.interrupted) return commanded(job, 'running');
      await assertResumable(client, job);
      const beginsAgain = this.hasToBeginAgain(job);
      const state = await takeUpAgain(client, job, beginsAgain, limits);
      if (beginsAgain) await beginAgain(client, id, this.knownVersionOf(job));
      else if (job.droppedFrom !== null) await publishDroppedAgain(client, id);
      return commanded(job, state);
    });
  }

  /**
   * Gives up a failed job's staging and ledger, which the loaders' sweep then drops together.
   * @throws SluiceError JOB_UNKNOWN, JOB_TRANSITION_REFUSED
   */
  async discard(id: string): Promise<CommandedJob> {
    return this.onLocked(id, async (job, client) => {
      if (!(await discardWork(client, id))) throw refused(job, 'has nothing to discard: it is');
      return commanded(job, 'failed');
    });
  }

  /** The process that still works on a job that was ended; null when there is none, or it has shown no sign of life for a lease. */
  async ownerOf(id: string): Promise<string | null> {
    const { rows } = await this.pool.query<{ owner: string | null }>(
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

  private async onLocked<T>(id: string, work: (job: LockedJob, client: SqlClient) => Promise<T>): Promise<T> {
    return inTransaction(this.pool, async (client) => {
      const { rows } = await client.query<LockedJob>(
        `SELECT id, dataset, state, resumable, problem, started_at IS NOT NULL AS begun,
           total_batches IS NOT NULL AS complete, pause_reason AS "pauseReason",
           contract_version AS "contractVersion", error->>'code' AS "errorCode", dropped_from AS "droppedFrom",
           state = 'running' AND coalesce(lease_until < now(), false) AS interrupted
         FROM sluice.job WHERE id = $1 FOR UPDATE`,
        [id],
      );
      const job = rows[0];
      if (!job) throw new SluiceError('JOB_UNKNOWN', `No job has the id ${id}.`, { job: id });
      return work(job, client);
    });
  }
}

/** JS3. */
async function assertResumable(client: SqlClient, job: LockedJob): Promise<void> {
  const { id, dataset, state } = job;
  if (state === 'cancelled') {
    throw new SluiceError('JOB_RESUME_REFUSED', `Job ${id} was cancelled; its work was discarded.`, {
      job: id,
    });
  }
  if (!originsOf('resume').includes(state)) throw nothingToResume(job);
  // Before its success is looked for: a job that succeeds between the two is found by one of them.
  const beside = await enterLaneAgain(client, job);
  const { rows } = await client.query<{ id: string }>(
    `SELECT newer.id FROM sluice.job AS job, LATERAL (SELECT newer.id, newer.created_at ${NEWER_SUCCESS}) AS newer
     WHERE job.id = $1 ORDER BY newer.created_at DESC LIMIT 1`,
    [id],
  );
  const newer = rows[0];
  if (newer) {
    const message = `Job ${newer.id} of dataset ${dataset} is newer than job ${id} and has succeeded.`;
    throw new SluiceError('JOB_RESUME_REFUSED', message, { job: id, dataset });
  }
  if (!job.resumable) {
    const message = `What job ${id} had staged was given up.`;
    throw new SluiceError('JOB_RESUME_REFUSED', message, { job: id });
  }
  if (beside !== null) throw beside;
}

async function takeUpAgain(
  client: SqlClient,
  job: LockedJob,
  beginsAgain: boolean,
  limits: ResumeRequest,
): Promise<JobState> {
  const transition = job.begun && !beginsAgain ? 'resume' : 'resumeFromStart';
  if (!(await resumeJob(client, job.id, transition, job.complete, limits))) throw nothingToResume(job);
  return targetOf(transition);
}

async function discardedWork(client: SqlClient, id: string): Promise<DiscardedWork> {
  const { rows } = await client.query<Record<keyof DiscardedWork, string>>(
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
  const sums = rows[0];
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

function nothingToResume({ id, state }: LockedJob): SluiceError {
  return new SluiceError('JOB_NOTHING_TO_RESUME', `Job ${id} is ${state}.`, { job: id });
}

function refused({ id, state }: LockedJob, verb: string, rest = ''): SluiceError {
  const text = `Job ${id} ${verb} ${state}${rest === '' ? '' : ` ${rest}`}.`;
  return new SluiceError('JOB_TRANSITION_REFUSED', text, { job: id });
}
