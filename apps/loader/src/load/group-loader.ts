import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { inTransaction } from '#common/postgres/pool.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import type { JobState } from '#core/job/job-state.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { failLoading, pauseLoading } from '#core/job/loader-transitions.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { insertLedgerRows, recordRefusals, recordTableRows } from '#core/ledger/ledger.repository.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import type { BatchGroup } from './batch-group.js';
import { LOADING_ATTEMPTS, jobFault } from './job-faults.js';
import { type Obstacle, lockJob, obstacleOf, ownBatches } from './locked-job.js';
import { RefusingCopy } from './refusing-copy.js';
import { compareWithLedger } from './repeated-batches.js';
import type { LoaderPlan } from './staging-targets.js';
import { endingStalledLoaders } from './stalled-loaders.js';
import { unfitColumnFault } from './unfit-column.js';

export type GroupOutcome =
  /** Loaded now; batches that the ledger had already are in `repeated`. */
  | {
      readonly kind: 'loaded';
      readonly fresh: readonly CleanMessage[];
      readonly repeated: readonly CleanMessage[];
    }
  /** The job takes no batches any more, or is unknown, or was ended or paused because of them: they are dropped. */
  | {
      readonly kind: 'dropped';
      readonly state: JobState | 'unknown';
      /** Those that the ledger has: they were loaded before, and their events may not have arrived. */
      readonly loaded?: readonly CleanMessage[];
    };

export interface GroupLoaderParts {
  readonly pool: pg.Pool;
  readonly logger: Logger;
  /** A loader that is silent for longer has lost its partitions. */
  readonly sessionTimeoutMs: number;
  /** Before the second attempt at what failed for no known reason; as much longer before each further one. */
  readonly retryPauseMs?: number;
  /** A job was paused for a fault. Must not throw. */
  readonly onFault?: (dataset: string) => void;
}

/** Ledger rows are waited for this long: longer, and something is wrong that only coming again can tell. */
const LEDGER_LOCK_TIMEOUT = '10s';
/** A job that has moved on as often is left for the next delivery. */
const MAX_LOOKS = 5;

const RETRY_PAUSE_MS = 500;

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
 *   fault (`RefusingCopy`); everything else fails the whole group.
 * - LD4: when tables and contract do not fit, or a permission is missing, waiting does not help: the job is paused
 *   with reason `schema`, and goes on when an operator has mended it and continues it.
 * - LD5: batches of another contract version than the job's or ours, or written for other tables than ours, are never
 *   loaded: the job is paused with reason `contract`. Continued, it begins again from its first batch, so until then
 *   all its batches are dropped and hold up nothing.
 * - LD6: a batch that the validator could not validate fails the job (or pauses it, when only versions differ), and so
 *   do a batch that comes again with another content than the ledger has, and a column that can read no value of the
 *   job's first batches: then no record is blamed.
 * - LD7: batches of an epoch that the job has not had yet are foreign, those from before it began again are of no use:
 *   both are dropped, and so are batches without a seal when the job's messages are sealed.
 * - LD8: whatever else fails is tried a few times and then pauses the job with reason `fault`. Only the state of the
 *   database itself is left to the caller to wait for: one job's batches never keep those of others waiting.
 */
export class GroupLoader {
  constructor(private readonly parts: GroupLoaderParts) {}

  /** @throws SluiceError JOB_PAUSED; what waiting helps against, as it is */
  async load(group: BatchGroup, plan: LoaderPlan, progress: () => void): Promise<GroupOutcome> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.attemptUntilDecided(group, plan, progress);
      } catch (error) {
        const kind = error instanceof SluiceError ? 'unknown' : classifyDatabaseError(error);
        if (kind === 'wait' || (error instanceof SluiceError && error.retryable)) throw error;
        if (error instanceof SluiceError && error.code === 'JOB_SCHEMA')
          return this.pause(group, 'schema', error);
        if (kind === 'schema') return this.pause(group, 'schema', schemaFault(error, group));
        if (attempt === LOADING_ATTEMPTS)
          return this.pause(group, 'fault', jobFault(error, 'Loading', attempt, group));
        this.parts.logger.warn({ job: group.job, attempt, err: error }, 'loading failed; will try again');
        progress();
        if (kind !== 'retry') await sleep((this.parts.retryPauseMs ?? RETRY_PAUSE_MS) * attempt);
      }
    }
  }

  /** LD5, LD6: the job is looked at again when it has moved on between the look at its batches and its end. */
  private async attemptUntilDecided(
    group: BatchGroup,
    plan: LoaderPlan,
    progress: () => void,
  ): Promise<GroupOutcome> {
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const outcome = await this.attempt(group, plan, progress);
      if ('kind' in outcome) return outcome;
      const { does, error } = outcome;
      const { pool, logger } = this.parts;
      const isDone =
        does === 'pause'
          ? await pauseLoading(pool, group.job, 'contract', jobErrorOf(error))
          : await failLoading(pool, group.job, jobErrorOf(error));
      if (!isDone) continue;
      const state = does === 'pause' ? 'paused' : 'failed';
      logger.error(
        { job: group.job, dataset: group.dataset, code: error.code },
        `${state}: ${error.message}`,
      );
      return { kind: 'dropped', state };
    }
    throw new SluiceError('JOB_PAUSED', `Job ${group.job} changes its state all the time.`, {
      job: group.job,
    });
  }

  /**
   * LD4, LD8. A job that has ended loses the batches: nothing that it still brings may stand before others.
   * @throws SluiceError JOB_PAUSED, also when it was paused meanwhile by another
   */
  private async pause(
    { job, dataset, batches }: BatchGroup,
    reason: 'schema' | 'fault',
    cause: SluiceError,
  ): Promise<GroupOutcome> {
    const { pool, logger } = this.parts;
    const place = { job, dataset };
    const isPaused = await pauseLoading(pool, job, reason, jobErrorOf(cause));
    const { rows } = await pool.query<{ state: JobState }>('SELECT state FROM sluice.job WHERE id = $1', [
      job,
    ]);
    const state = rows[0]?.state ?? 'unknown';
    logger.error(
      { ...place, state, batches: batches.length, err: cause },
      `cannot be loaded: ${cause.message}`,
    );
    if (isPaused && reason === 'fault') this.parts.onFault?.(dataset);
    if (!isPaused && state !== 'paused') return { kind: 'dropped', state };
    throw new SluiceError('JOB_PAUSED', `Job ${job} is paused: ${cause.message}`, place, { cause });
  }

  private async attempt(
    group: BatchGroup,
    plan: LoaderPlan,
    progress: () => void,
  ): Promise<GroupOutcome | Obstacle> {
    faultPoint('loader.before-begin');
    const outcome = await inTransaction(this.parts.pool, async (client): Promise<GroupOutcome | Obstacle> => {
      const job = await lockJob(client, group.job);
      const { state, takesBatches, pid } = job;
      if (state === 'paused' && job.pauseReason !== 'contract')
        throw new SluiceError('JOB_PAUSED', `Job ${group.job} is paused.`, { job: group.job });
      const batches = ownBatches(group.batches, job, plan);
      if (batches.length < group.batches.length) {
        const facts = { job: group.job, dropped: group.batches.length - batches.length, epoch: job.epoch };
        this.parts.logger.warn(facts, 'batches of another epoch, or without a seal, dropped');
      }
      if (batches.length === 0) return { kind: 'dropped', state };
      if (!takesBatches) {
        // A job may be finalized between the commit of a group and its events: the group comes again to an ended job.
        const { equal } = await compareWithLedger(client, group.job, batches);
        return { kind: 'dropped', state, ...(equal.length > 0 ? { loaded: equal } : {}) };
      }
      const obstacle = obstacleOf(batches, job, plan);
      if (obstacle !== null) return state === 'running' ? obstacle : { kind: 'dropped', state };
      await client.query(`SET LOCAL lock_timeout = '${LEDGER_LOCK_TIMEOUT}'`);
      const inserted = await endingStalledLoaders(
        this.parts,
        { pid, job: group.job, dataset: group.dataset },
        () => insertLedgerRows(client, batches),
      );
      // One delivery may bring a batch twice, when a publisher sent it again: only its first message is fresh.
      const fresh = batches.filter(({ batch }) => inserted.delete(batch));
      const repeated = batches.filter((message) => !fresh.includes(message));
      const { differing } = await compareWithLedger(client, group.job, repeated);
      if (differing !== null) throw new OfTheJob(differing);
      progress();
      const copy = new RefusingCopy(client, fresh, plan.targets, progress);
      const refusals = await copy.run();
      const unfit = state === 'running' ? await unfitColumnFault(client, copy.unfitColumn(), fresh) : null;
      if (unfit !== null) throw new OfTheJob(unfit);
      if (refusals.length > 0) await this.keep(client, fresh, refusals, copy);
      faultPoint('loader.before-commit');
      return { kind: 'loaded', fresh, repeated };
    }).catch((error: unknown): Obstacle => {
      if (error instanceof OfTheJob) return { does: 'fail', error: error.fault };
      throw error;
    });
    if ('kind' in outcome && outcome.kind === 'loaded') faultPoint('loader.committed');
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

/** A fault that fails the job; rolls back what the group has written so far. */
class OfTheJob extends Error {
  constructor(readonly fault: SluiceError) {
    super(fault.message);
  }
}

function schemaFault(error: unknown, { job, dataset }: BatchGroup): SluiceError {
  const text = `Loading failed with SQLSTATE ${sqlstateOf(error) ?? 'unknown'}: ${loggableMessage(error)}`;
  return new SluiceError('JOB_SCHEMA', text, { job, dataset }, { cause: error });
}
