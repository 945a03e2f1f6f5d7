import type pg from 'pg';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { inTransaction } from '#common/postgres/pool.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import type { JobState } from '#core/job/job-state.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { pauseJob } from '#core/job/pause-job.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { insertLedgerRows, recordRefusals, recordTableRows } from '#core/ledger/ledger.repository.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import type { BatchGroup } from './batch-group.js';
import { RefusingCopy } from './refusing-copy.js';
import type { StagingTarget } from './staging-targets.js';
import { endingStalledLoaders } from './stalled-loaders.js';

export type GroupOutcome =
  /** Loaded now; batches that the ledger had already are in `repeated`. */
  | {
      readonly kind: 'loaded';
      readonly fresh: readonly CleanMessage[];
      readonly repeated: readonly CleanMessage[];
    }
  /** The job takes no batches any more, or is unknown: they are dropped. */
  | { readonly kind: 'dropped'; readonly state: JobState | 'unknown' };

export interface GroupLoaderParts {
  readonly pool: pg.Pool;
  readonly logger: Logger;
  /** A loader that is silent for longer has lost its partitions. */
  readonly sessionTimeoutMs: number;
}

/** Ledger rows are waited for this long: longer, and something is wrong that only coming again can tell. */
const LEDGER_LOCK_TIMEOUT = '10s';

/**
 * Loads clean batches of one job in one transaction.
 *
 * lock the job row and look at its state → insert ledger rows, skipping those that are there → COPY each table →
 * COMMIT. Nothing here waits for input: the group is complete in memory before BEGIN.
 *
 * Invariants
 * - LD1 (G3): a batch's ledger row and its rows in staging come in one transaction; the ledger's primary key
 *   makes a repeat a no-op, however often it is delivered.
 * - LD2 (G5): the job row is held FOR KEY SHARE until COMMIT; whoever ends or pauses the job takes it FOR UPDATE, so
 *   nothing is loaded afterwards. A failed job that may be resumed still takes what is under way for it: it only
 *   fills its own staging tables, and can go on from its checkpoint.
 * - LD3 (G10): only a fault of the allow-list on one of our own staging tables is looked into for records at
 *   fault (`RefusingCopy`); everything else fails the whole group, which comes again.
 * - LD4: when tables and contract do not fit, or a permission is missing, waiting does not help: the job is paused
 *   with reason `schema`, and goes on when somebody has mended it and continues it.
 */
export class GroupLoader {
  constructor(private readonly parts: GroupLoaderParts) {}

  /** @throws SluiceError JOB_PAUSED; database errors as they are */
  async load(
    group: BatchGroup,
    targets: readonly StagingTarget[],
    progress: () => void,
  ): Promise<GroupOutcome> {
    try {
      return await this.attempt(group, targets, progress);
    } catch (error) {
      const kind = classifyDatabaseError(error);
      if (kind === 'retry') return this.attempt(group, targets, progress);
      if (kind === 'schema') await this.pauseForSchema(group, error);
      throw error;
    }
  }

  /** LD4. @throws SluiceError JOB_PAUSED; returns when the job was not running any more */
  private async pauseForSchema({ job, dataset }: BatchGroup, error: unknown): Promise<void> {
    const cause = new SluiceError(
      'JOB_SCHEMA',
      `Loading failed with SQLSTATE ${sqlstateOf(error) ?? 'unknown'}: ${loggableMessage(error)}`,
      { job, dataset },
      { cause: error },
    );
    const { message } = cause;
    if (!(await pauseJob(this.parts.pool, job, 'schema', jobErrorOf(cause)))) return;
    this.parts.logger.error({ job, dataset, err: cause }, `paused: ${message}`);
    throw new SluiceError('JOB_PAUSED', `Job ${job} is paused: ${message}`, { job, dataset }, { cause });
  }

  private async attempt(
    group: BatchGroup,
    targets: readonly StagingTarget[],
    progress: () => void,
  ): Promise<GroupOutcome> {
    faultPoint('loader.before-begin');
    const outcome = await inTransaction(this.parts.pool, async (client): Promise<GroupOutcome> => {
      const { state, takesBatches, pid } = await lockJob(client, group.job);
      if (state === 'paused')
        throw new SluiceError('JOB_PAUSED', `Job ${group.job} is paused.`, { job: group.job });
      if (!takesBatches) return { kind: 'dropped', state };
      await client.query(`SET LOCAL lock_timeout = '${LEDGER_LOCK_TIMEOUT}'`);
      const inserted = await endingStalledLoaders(this.parts, pid, () =>
        insertLedgerRows(client, group.batches),
      );
      // One delivery may bring a batch twice, when a publisher sent it again: only its first message is fresh.
      const fresh = group.batches.filter(({ batch }) => inserted.delete(batch));
      const repeated = group.batches.filter((message) => !fresh.includes(message));
      progress();
      const copy = new RefusingCopy(client, fresh, targets, progress);
      const refusals = await copy.run();
      if (refusals.length > 0) await this.keep(client, fresh, refusals, copy);
      faultPoint('loader.before-commit');
      return { kind: 'loaded', fresh, repeated };
    });
    if (outcome.kind === 'loaded') faultPoint('loader.committed');
    return outcome;
  }

  /** Puts the refusals into the outbox of the batches that they belong to. */
  private async keep(
    client: pg.PoolClient,
    batches: readonly CleanMessage[],
    refusals: readonly LoadRefusal[],
    copy: RefusingCopy,
  ): Promise<void> {
    for (const message of batches) {
      const { job, batch, firstRecord, counts } = message;
      const own = refusals.filter(
        ({ record }) => record >= firstRecord && record < firstRecord + counts.records,
      );
      if (own.length === 0) continue;
      await recordRefusals(client, job, batch, own);
      await recordTableRows(client, job, batch, copy.rowsOf(message));
    }
    const [first] = batches;
    this.parts.logger.info({ job: first?.job, refused: refusals.length }, 'records refused by the database');
  }
}

interface LockedJob {
  readonly state: JobState | 'unknown';
  readonly takesBatches: boolean;
  /** Of our own backend. */
  readonly pid: number;
}

async function lockJob(client: pg.PoolClient, job: string): Promise<LockedJob> {
  const { rows } = await client.query<LockedJob>(
    `SELECT state, state = 'running' OR state = 'failed' AND resumable AS "takesBatches", pg_backend_pid() AS pid
     FROM sluice.job WHERE id = $1 FOR KEY SHARE`,
    [job],
  );
  return rows[0] ?? { state: 'unknown', takesBatches: false, pid: 0 };
}
