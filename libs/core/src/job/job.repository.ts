import type { Logger } from 'pino';
import type { DataSource, EntityManager } from 'typeorm';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { SourceIdentity } from '../source/source-identity.js';
import { DeclaredWaits } from './declared-waits.js';
import type { Checkpoint, JobError, PauseDetail, PinnedCutting, PinnedHead } from './job.entity.js';
import { Job } from './job.entity.js';
import { ACTIVE_STATES, type JobState } from './job-state.js';

/** A job that this process may work on, until somebody else raises the epoch. */
export interface Claim {
  readonly id: string;
  readonly epoch: number;
}

/** What is known of a job when its first record is about to be cut. */
export interface JobStart {
  readonly cutting: PinnedCutting;
  readonly head: PinnedHead;
  readonly sourceIdentity: SourceIdentity;
  readonly expectedBytes: number | null;
  /** Of the ingestor that begins: nothing of the job has been validated by another one. */
  readonly contractVersion: number;
  /** Whether its messages will carry a seal. */
  readonly signed: boolean;
}

/** A lease that is not renewed for so long lets somebody else claim the job. */
export const DEFAULT_LEASE_SECONDS = 30;

/**
 * Every change of a job row that the ingestor makes; an operator's stand in `OperatorRepository`. State changes are
 * compare-and-set in one statement (J1); the lease counts by the database's clock alone.
 */
export class JobRepository {
  constructor(
    private readonly database: DataSource,
    private readonly leaseSeconds: number = DEFAULT_LEASE_SECONDS,
  ) {}

  /** What the ingestor waits for on behalf of the job. */
  waitsOf({ id, wait }: Pick<Job, 'id' | 'wait'>, logger: Logger): DeclaredWaits {
    return new DeclaredWaits(sqlClientOf(this.database.manager), id, 'ingest', logger, wait);
  }

  /** @throws SluiceError JOB_ACTIVE when another job holds the dataset (partial unique index) */
  async create(job: Partial<Job> & Pick<Job, 'id' | 'dataset'>): Promise<void> {
    try {
      await this.database
        .getRepository(Job)
        .insert({ state: 'queued', epoch: 0, announced: true, ...job } as never);
    } catch (error) {
      if (sqlstateOf(error) !== '23505') throw error;
      const active = await this.activeJobOf(job.dataset);
      throw new SluiceError('JOB_ACTIVE', `Job ${active ?? 'unknown'} of dataset ${job.dataset} is active.`, {
        dataset: job.dataset,
        ...(active === null ? {} : { job: active }),
      });
    }
  }

  async activeJobOf(dataset: string): Promise<string | null> {
    const rows = await this.database.query<{ id: string }[]>(
      'SELECT id FROM sluice.job WHERE dataset = $1 AND state = ANY($2)',
      [dataset, ACTIVE_STATES],
    );
    return rows[0]?.id ?? null;
  }

  /** The whole row, the source's full address included. @throws SluiceError JOB_UNKNOWN */
  async load(id: string): Promise<Job> {
    const job = await this.database
      .getRepository(Job)
      .createQueryBuilder('job')
      .addSelect('job.secretUri')
      .where('job.id = :id', { id })
      .getOne();
    if (!job) throw new SluiceError('JOB_UNKNOWN', `No job has the id ${id}.`, { job: id });
    return job;
  }

  /** Takes the oldest job that waits, or whose ingestor is gone before its source was read to the end. */
  async claimNext(owner: string): Promise<Claim | null> {
    return this.changed<Claim>(
      `UPDATE sluice.job SET owner = $1, epoch = epoch + 1, lease_until = now() + $2 * interval '1 second'
       WHERE id = (
         SELECT id FROM sluice.job
         WHERE total_batches IS NULL
           AND ((state = 'queued' AND (lease_until IS NULL OR lease_until < now()))
             OR (state = 'running' AND lease_until < now()))
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id, epoch`,
      [owner, this.leaseSeconds],
    );
  }

  /**
   * @param checkpoint saved with it; null leaves the one that is there, and so does one that is less far
   * @returns the job's state, or null when the claim is lost or given back, or the job has ended
   */
  async renewLease(claim: Claim, checkpoint: Checkpoint | null = null): Promise<JobState | null> {
    const row = await this.changed<{ state: JobState }>(
      `UPDATE sluice.job SET lease_until = now() + $3 * interval '1 second', checkpoint = ${furtherOf('$4')}
       WHERE id = $1 AND epoch = $2 AND owner IS NOT NULL AND state IN ('queued', 'running', 'paused')
       RETURNING state`,
      [claim.id, claim.epoch, this.leaseSeconds, checkpoint],
    );
    return row?.state ?? null;
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
    await this.database.transaction(async (manager) => {
      const started = await this.changed(
        `UPDATE sluice.job SET state = 'running', started_at = now(),
           cutting = $3, head = $4, source_identity = $5, expected_bytes = $6, contract_version = $7, signed = $8
         WHERE id = $1 AND epoch = $2 AND state = 'queued' RETURNING id`,
        [
          ...[claim.id, claim.epoch, start.cutting, start.head, start.sourceIdentity, start.expectedBytes],
          ...[start.contractVersion, start.signed],
        ],
        manager,
      );
      if (!started) throw lost(claim);
      await withinTransaction(sqlClientOf(manager));
    });
  }

  /** A checkpoint that is further already stays. @throws SluiceError JOB_LOST */
  async saveCheckpoint(claim: Claim, checkpoint: Checkpoint): Promise<void> {
    const saved = await this.changed(
      `UPDATE sluice.job SET checkpoint = ${furtherOf('$3')} WHERE id = $1 AND epoch = $2 AND state IN ('running', 'paused') RETURNING id`,
      [claim.id, claim.epoch, checkpoint],
    );
    if (!saved) throw lost(claim);
  }

  /**
   * The source was read to its end and every batch is acknowledged: gives the lease back.
   * @param end the checkpoint behind the last batch: whoever reads the source again proves all of it
   * @throws SluiceError JOB_LOST
   */
  async finishSource(claim: Claim, end: Checkpoint, sourceBytes = end.byteOffset): Promise<void> {
    const saved = await this.changed(
      `UPDATE sluice.job SET total_batches = $3, total_records = $4, total_bytes = $5, checkpoint = $6,
         republish_from = NULL, owner = NULL, lease_until = NULL
       WHERE id = $1 AND epoch = $2 AND state IN ('running', 'paused') RETURNING id`,
      [claim.id, claim.epoch, end.nextBatch, end.nextRecord, sourceBytes, end],
    );
    if (!saved) throw lost(claim);
  }

  /**
   * queued, running or paused → failed.
   * @param isResumable false when what was published cannot be trusted, so that nobody goes on from it
   * @returns false when the claim is lost
   */
  async fail(claim: Claim, error: JobError, isResumable = true): Promise<boolean> {
    const failed = await this.changed(
      `UPDATE sluice.job SET state = 'failed', error = $3, finished_at = now(), owner = NULL, lease_until = NULL,
         pause_reason = NULL, pause_detail = NULL, problem = NULL, wait = NULL, announced = false,
         resumable = resumable AND $4, secret_uri = CASE WHEN resumable AND $4 THEN secret_uri ELSE '' END
       WHERE id = $1 AND epoch = $2 AND state IN ('queued', 'running', 'paused') RETURNING id`,
      [claim.id, claim.epoch, error, isResumable],
    );
    return failed !== null;
  }

  /** running → paused, reason `contract`, and given back. @returns false when the claim is lost */
  async pauseForContract(claim: Claim, detail: PauseDetail): Promise<boolean> {
    const paused = await this.changed(
      `UPDATE sluice.job SET state = 'paused', pause_reason = 'contract', pause_detail = $3, wait = NULL,
         owner = NULL, lease_until = now()
       WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING id`,
      [claim.id, claim.epoch, detail],
    );
    return paused !== null;
  }

  /** Gives a claimed job back untouched, so that the next ingestor need not wait for the lease to run out. */
  async release(claim: Claim): Promise<void> {
    await this.changed(
      `UPDATE sluice.job SET owner = NULL, lease_until = now() WHERE id = $1 AND epoch = $2 AND total_batches IS NULL
         AND state IN ('queued', 'running', 'paused') RETURNING id`,
      [claim.id, claim.epoch],
    );
  }

  /**
   * Says that nothing more is published under this claim, after the job was cancelled under it (which raised the
   * epoch by one): `OperatorRepository.ownerOf` is null from now on. Without effect on any other job.
   */
  async letGo(claim: Claim): Promise<void> {
    await this.changed(
      `UPDATE sluice.job SET owner = NULL, lease_until = NULL
       WHERE id = $1 AND epoch = $2 + 1 AND state = 'cancelled' RETURNING id`,
      [claim.id, claim.epoch],
    );
  }

  private async changed<T = unknown>(
    sql: string,
    parameters: unknown[],
    manager: EntityManager = this.database.manager,
  ): Promise<T | null> {
    // For UPDATE … RETURNING TypeORM answers [rows, count].
    const [rows] = await manager.query<[T[], number]>(sql, parameters);
    return rows[0] ?? null;
  }
}

/** Lets code that speaks plain `pg` take part in a transaction of TypeORM's. */
export function sqlClientOf(manager: EntityManager): SqlClient {
  return {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the interface's signature
    query: async <R>(sql: string, parameters?: unknown[]) => {
      const runner = manager.queryRunner;
      if (!runner) throw new SluiceError('INTERNAL', 'A transaction has no connection.');
      const result = await runner.query(sql, parameters, true);
      return { rows: result.records as R[], rowCount: result.affected ?? null };
    },
  };
}

function lost(claim: Claim): SluiceError {
  return new SluiceError('JOB_LOST', `Job ${claim.id} is no longer held with epoch ${claim.epoch}.`, {
    job: claim.id,
  });
}

/**
 * The further of the checkpoint that is there and the given one: two writes of one claim are on connections of their own, and
 * the one that was sent first may arrive last, when the process or a connection stalled in between.
 */
function furtherOf(parameter: string): string {
  const given = `${parameter}::jsonb`;
  const isLessFar = `(checkpoint->>'nextBatch')::bigint > (${given}->>'nextBatch')::bigint`;
  return `CASE WHEN ${isLessFar} THEN checkpoint ELSE coalesce(${given}, checkpoint) END`;
}
