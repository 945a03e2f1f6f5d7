import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import type { JobError, PauseDetail } from '#api/job-facts.js';
import type { JobState } from '#api/job-words.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { type ChosenOfBatch, chosenRecordsOf } from './chosen-records.js';
import { type NewJob, createJob } from './create-job.js';
import { DeclaredWaits } from './declared-waits.js';
import {
  type Claim,
  claimToIngest,
  finishSource,
  letGo,
  releaseIngest,
  renewIngestLease,
  saveCheckpoint,
} from './ingest-claim.js';
import { type JobStart, failReading, pauseForContract, startJob } from './ingestor-transitions.js';
import type { Checkpoint, Job } from './job.entity.js';
import { readJob } from './read-job.js';

/** When a lease is not renewed for this long, another ingestor may claim the job. */
export const DEFAULT_LEASE_SECONDS = 30;

/**
 * What an ingestor reads of its jobs and changes in their rows; what an operator asks for stands in `OperatorRepository`.
 */
export class JobRepository {
  private readonly pool: Pool;

  /** @param database initialized */
  constructor(
    database: DataSource,
    private readonly leaseSeconds: number = DEFAULT_LEASE_SECONDS,
  ) {
    this.pool = poolOf(database);
  }

  /** What the ingestor waits for on behalf of the job. */
  waitsOf({ id, wait }: Pick<Job, 'id' | 'wait'>, logger: Logger): DeclaredWaits {
    return new DeclaredWaits(this.pool, id, 'ingest', logger, wait);
  }

  /**
   * @param owner the process that has it from its first moment on, with epoch 1; null: none yet
   * @throws SluiceError JOB_ACTIVE naming the active job that excludes it (LN3)
   */
  async create(job: NewJob, owner: string | null = null): Promise<void> {
    const claim = owner === null ? null : { owner, leaseSeconds: this.leaseSeconds };
    await inTransaction(this.pool, (client) => createJob(client, job, claim));
  }

  /** The whole row, the source's full address included. @throws SluiceError JOB_UNKNOWN */
  async load(id: string): Promise<Job> {
    const job = await readJob(this.pool, id);
    if (!job) throw new SluiceError('JOB_UNKNOWN', `No job has the id ${id}.`, { job: id });
    return job;
  }

  /** The records that a job of a replay takes of its origin; null: all of them. */
  chosenRecords(id: string): Promise<AsyncGenerator<ChosenOfBatch> | null> {
    return chosenRecordsOf(this.pool, id);
  }

  /** Takes the oldest job that waits, or whose ingestor is gone before its source was read to the end. */
  claimNext(owner: string): Promise<Claim | null> {
    return claimToIngest(this.pool, owner, this.leaseSeconds);
  }

  /**
   * @param checkpoint saved with it; null leaves the one that is there, and so does one that is less far
   * @returns the job's state, or null when the claim is lost or released, or the job has ended
   */
  renewLease(claim: Claim, checkpoint: Checkpoint | null = null): Promise<JobState | null> {
    return renewIngestLease(this.pool, claim, this.leaseSeconds, checkpoint);
  }

  /**
   * queued → running, with everything that a resumed run must find again.
   * @param withinTransaction makes the staging tables, in the same transaction
   * @throws SluiceError JOB_LOST
   */
  async start(
    claim: Claim,
    start: JobStart,
    withinTransaction: (client: SqlClient) => Promise<void>,
  ): Promise<void> {
    await inTransaction(this.pool, async (client) => {
      if (!(await startJob(client, claim, start))) throw lost(claim);
      await withinTransaction(client);
    });
  }

  /** A checkpoint that is further already stays. @throws SluiceError JOB_LOST */
  async saveCheckpoint(claim: Claim, checkpoint: Checkpoint): Promise<void> {
    if (!(await saveCheckpoint(this.pool, claim, checkpoint))) throw lost(claim);
  }

  /**
   * The source was read to its end and every batch is acknowledged: releases the lease.
   * @param end the checkpoint behind the last batch
   * @throws SluiceError JOB_LOST
   */
  async finishSource(claim: Claim, end: Checkpoint, sourceBytes = end.byteOffset): Promise<void> {
    if (!(await finishSource(this.pool, claim, end, sourceBytes))) throw lost(claim);
  }

  /**
   * queued, running or paused → failed.
   * @param isResumable false when what was published cannot be trusted: the job can never be resumed
   * @returns false when the claim is lost
   */
  fail(claim: Claim, error: JobError, isResumable = true): Promise<boolean> {
    return failReading(this.pool, claim, error, isResumable);
  }

  /** running → paused, reason `contract`, and released. @returns false when the claim is lost */
  pauseForContract(claim: Claim, detail: PauseDetail): Promise<boolean> {
    return pauseForContract(this.pool, claim, detail);
  }

  /**
   * Gives a claimed job back untouched, so that the next ingestor need not wait for the lease to run out.
   * @param afterSeconds until then no ingestor claims it
   */
  release(claim: Claim, afterSeconds = 0): Promise<void> {
    return releaseIngest(this.pool, claim, afterSeconds);
  }

  /**
   * Says that nothing more is published under this claim, after the job was cancelled under it:
   * `OperatorRepository.ownerOf` is null from now on. Without effect on any other job.
   */
  letGo(claim: Claim): Promise<void> {
    return letGo(this.pool, claim);
  }
}

function lost(claim: Claim): SluiceError {
  return new SluiceError('JOB_LOST', `Job ${claim.id} is no longer held with epoch ${claim.epoch}.`, {
    job: claim.id,
  });
}
