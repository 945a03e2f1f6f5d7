import type { Pool, PoolClient } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction, pinWithin } from '#common/postgres/pool.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { type ForeignSession, mayNotEnd } from '../faults/foreign-session.js';
import type { FinalizeConfig } from './finalize.config.js';
import type { FinalizingJob } from './finalizing-job.js';

const QUERY_CANCELED = '57014';
const INSUFFICIENT_PRIVILEGE = '42501';
const APPLICATION_PREFIX = 'sluice-finalize';

/**
 * Runs the steps of one finalization, each in a transaction of its own that only the loader that holds the job can commit.
 *
 * - ST1: before its work and again before its COMMIT a step checks that the job is `finalizing` with our epoch.
 * - ST2: the second check locks the job row, the first does not: a cancel would wait behind an hour of index building.
 * - ST3: while it works, the backend bears the job and the epoch in its application_name, so that a successor finds
 *   and ends it ({@link terminateBackends}); between the first look and the COMMIT no other claim can slip in unseen,
 *   because the successor waits until the backend is gone before it looks in the catalogs itself.
 */
export class StepRunner {
  constructor(
    readonly pool: Pool,
    readonly job: FinalizingJob,
    private readonly config: FinalizeConfig,
    private readonly over?: AbortSignal,
  ) {}

  /** @throws SluiceError JOB_LOST when another loader has the job, or it was ended */
  async step<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    return this.lastStep(async (client) => {
      const result = await work(client);
      await this.assertHeld(client, 'FOR KEY SHARE');
      return result;
    });
  }

  /** A step that may end the job itself, by compare-and-set (`succeed`): its own second check. */
  async lastStep<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    return inTransaction(this.pool, async (client) => {
      const { maintenanceWorkMem } = this.config;
      await pinWithin(client, {
        application_name: applicationName(this.job),
        // Every name is written with its schema, and none is found by accident.
        search_path: '',
        maintenance_work_mem: maintenanceWorkMem,
        work_mem: maintenanceWorkMem,
        statement_timeout: '0',
        lock_timeout: '0',
      });
      await this.assertHeld(client, '');
      return work(client);
    });
  }

  /**
   * For what PostgreSQL does in no transaction: VACUUM.
   *
   * Behind a pooler in transaction mode each statement may reach another of the server's connections, so nothing is set
   * there; a VACUUM that a limit of the role ends is done without: it only saves room and later work.
   */
  async outside(sql: string): Promise<void> {
    const client = await this.pool.connect();
    let broken = true;
    try {
      if (await isPooled(client)) {
        await this.assertHeld(client, '');
        await client.query(sql).catch((error: unknown) => {
          if (sqlstateOf(error) !== QUERY_CANCELED) throw error;
        });
      } else {
        await client.query(
          `SELECT set_config('application_name', $1, false), set_config('statement_timeout', '0', false)`,
          [applicationName(this.job)],
        );
        await this.assertHeld(client, '');
        await client.query(sql);
        await client.query('RESET application_name; RESET statement_timeout');
      }
      broken = false;
    } finally {
      client.release(broken);
    }
  }

  /** The job may have been cancelled while we waited. @throws SluiceError JOB_LOST */
  async assertStillHeld(): Promise<void> {
    await this.assertHeld(this.pool, '');
  }

  /**
   * The signal comes before our backends are found and ended: a step that named its backend too late to be
   * found sees it here.
   */
  private async assertHeld(client: Pick<Pool, 'query'>, lock: '' | 'FOR KEY SHARE'): Promise<void> {
    if (this.over?.aborted) throw jobLost(this.job);
    const { rowCount } = await client.query(
      `SELECT FROM sluice.job WHERE id = $1 AND epoch = $2 AND state = 'finalizing' ${lock}`,
      [this.job.id, this.job.epoch],
    );
    if (rowCount !== 1) throw jobLost(this.job);
  }
}

/** Whether a pooler stands between us and the server: it gives a connection a number of its own. */
async function isPooled(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid !== (client as PoolClient & { processID?: number | null }).processID;
}

export function jobLost({ id, epoch, dataset }: FinalizingJob): SluiceError {
  return new SluiceError('JOB_LOST', `Job ${id} is no longer finalized with epoch ${epoch}.`, {
    dataset,
    job: id,
  });
}

/** At most 63 bytes: 16 + 36 + 1 + 10. */
function applicationName({ id, epoch }: FinalizingJob): string {
  return `${APPLICATION_PREFIX}:${id}:${epoch}`;
}

/** $1: what names of backends of the job begin with; $2: an epoch. */
const OF_THE_JOB = `pid <> pg_backend_pid()
  AND CASE WHEN starts_with(application_name, $1) AND substr(application_name, length($1) + 1) ~ '^[0-9]{1,18}$'
           THEN substr(application_name, length($1) + 1)::bigint <= $2 END`;

/**
 * Ends every backend that works on the job with an epoch up to `epoch`, and waits until they are gone: a stalled
 * finalizer's open transaction holds locks, and may still commit what it has checked.
 * @throws SluiceError JOB_SCHEMA when one is of another role and ours may not end it; DATABASE_UNAVAILABLE
 */
export async function terminateBackends(pool: Pool, jobId: string, epoch: number): Promise<void> {
  const patience = 200;
  const backends = [`${APPLICATION_PREFIX}:${jobId}:`, epoch];
  for (let round = 0; round < patience; round++) {
    try {
      const { rows } = await pool.query<{ pid: number }>(
        `SELECT pid, pg_terminate_backend(pid, 50) FROM pg_stat_activity WHERE ${OF_THE_JOB}`,
        backends,
      );
      if (rows.length === 0) return;
    } catch (error) {
      if (sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      const { rows } = await pool.query<ForeignSession>(
        `SELECT pid, usename AS role, application_name AS application, current_user AS us
         FROM pg_stat_activity WHERE usename <> current_user AND ${OF_THE_JOB} ORDER BY pid LIMIT 1`,
        backends,
      );
      // It may have gone by itself meanwhile.
      if (rows[0]) throw mayNotEnd(rows[0], { job: jobId });
    }
  }
  throw new SluiceError(
    'DATABASE_UNAVAILABLE',
    `Backends of an earlier finalization of job ${jobId} do not end.`,
    {
      job: jobId,
    },
  );
}
