import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { JobCounts } from '#api/job-facts.js';
import type { JobState } from '#api/job-words.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import type { GroupBounds } from '#common/kafka/transport/fetched-messages.js';
import { inTransaction } from '#common/postgres/pool.js';
import { classifyDatabaseError, sqlstateOf } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { noteDropped } from '#core/job/job-problem.js';
import { failLoading, pauseLoading } from '#core/job/loader-transitions.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { insertLedgerRows, recordRefusals, recordTableRows } from '#core/ledger/ledger.repository.js';
import type { TracedWork } from '#common/telemetry/tracing/traced-work.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { LOADING_ATTEMPTS, jobFault } from '../faults/job-faults.js';
import type { MergeAtOnce } from '../finalize/merge-at-once.js';
import {
  compareWithLedger,
  type LockedJob,
  lockJob,
  type Obstacle,
  obstacleOf,
  ownBatches,
} from './locked-job.js';
import { RefusingCopy } from './refusing-copy.js';
import { type LoaderPlan, unfitColumnFault } from './staging-targets.js';
import { endingStalledLoaders } from './stalled-loaders.js';

/** Clean batches of one job that are loaded in one transaction, in batch order as they came. */
export interface BatchGroup {
  readonly dataset: string;
  readonly job: string;
  readonly batches: readonly CleanMessage[];
  /** While traces are on. */
  readonly work?: TracedWork | undefined;
}

export type GroupOutcome =
  /** Loaded now; batches that the ledger had already are in `repeated`. */
  | {
      readonly kind: 'loaded';
      readonly fresh: readonly CleanMessage[];
      readonly repeated: readonly CleanMessage[];
      /** The job has succeeded with them (LD10). */
      readonly merged: JobCounts | null;
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
  /** Pause before the second attempt after an unknown error; as much longer before each further one. */
  readonly retryPauseMs?: number;
  /** A job was paused for a fault. Must not throw. */
  readonly onFault?: (dataset: string) => void;
  /** Fresh batches were copied into staging, or copying failed. Must not throw. */
  readonly onCopied?: (group: BatchGroup, seconds: number) => void;
  /** A group is committed. Must not throw. */
  readonly onCommitted?: (group: BatchGroup, seconds: number) => void;
  /** A job is visible that was merged with its load, and how long the merge took (LD10). Must not throw. */
  readonly onMergedAtOnce?: (group: BatchGroup, seconds: number) => void;
  /** Makes a job that one group has loaded whole visible at once (LD10). Absent: all jobs are left to the sweep. */
  readonly atOnce?: MergeAtOnce;
}

/** A transaction takes up to six batches of the usual size: fewer commits, little to repeat. */
export const LOAD_GROUP: GroupBounds = { maxGroupBytes: 4 * 1024 * 1024, maxGroupMessages: 64 };

/** How long a transaction waits for ledger rows; if it takes longer, something is wrong that only a retry can find out. */
const LEDGER_LOCK_TIMEOUT = '10s';
/** A job that has changed its state this often is left for the next delivery. */
const MAX_LOOKS = 5;

const RETRY_PAUSE_MS = 500;

/**
 * Loads clean batches of one job in one transaction.
 *
 * lock the job row and check its state → insert ledger rows, skipping those that are there → COPY each table →
 * COMMIT. Nothing here waits for input: the group is complete in memory before BEGIN.
 *
 * Invariants
 * - LD1 (G3): a batch's ledger row and its rows in staging come in one transaction; the ledger's primary key
 *   makes a repeat a no-op, however often it is delivered.
 * - LD2 (G5): the job row is held FOR KEY SHARE until COMMIT; ending or pausing the job takes it FOR UPDATE, so
 *   nothing is loaded afterwards. A failed job that may be resumed still takes its batches that are under way: they only
 *   fill its own staging tables, and it can continue from its checkpoint.
 * - LD3 (G10): only a fault of the allow-list on one of our staging tables is searched for records at
 *   fault (`RefusingCopy`); everything else fails the whole group.
 * - LD4: when tables and contract do not fit, or a permission is missing, waiting does not help: the job is paused
 *   with reason `schema`, and resumes when an operator has fixed it and continues the job.
 * - LD5: batches of another contract version than the job's or ours, or written for other tables than ours, are never
 *   loaded: the job is paused with reason `contract`. Continued, it begins again from its first batch, so until then
 *   all its batches are dropped and hold up nothing.
 * - LD6: a batch that the validator could not validate fails the job (or pauses it, when only versions differ), and so
 *   do a batch that arrives again with other contents than the ledger has, and a column that can read no value of the
 *   job's first batches: then no record is blamed.
 * - LD7: batches of an epoch that the job has not had yet are foreign, those of an earlier beginning are obsolete: both are
 *   dropped, and so are batches without a seal when the job's messages are sealed.
 * - LD8: any other failure is retried a few times and then pauses the job with reason `fault`. Only the state of the
 *   database itself is left to the caller to wait for: one job's batches never keep those of others waiting.
 * - LD9: the batches of a paused job wait in their topic, unless another job of the dataset has batches behind them: then they
 *   are dropped, the job's row says from which one on, and they are published again when the job is continued.
 * - LD10: a merging job that this group brings whole becomes visible with it, in the same transaction, where nothing has to be
 *   settled or waited for (`MergeAtOnce`). It is tried once: after a failure the group is loaded alone.
 */
export class GroupLoader {
  constructor(private readonly parts: GroupLoaderParts) {}

  /** @throws SluiceError JOB_PAUSED; what waiting helps against, as it is */
  async load(group: BatchGroup, plan: LoaderPlan, progress: () => void): Promise<GroupOutcome> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.attemptUntilDecided(group, plan, progress, attempt === 1);
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

  /** LD5, LD6: the job is checked again when it has moved on between the check of its batches and its end. */
  private async attemptUntilDecided(
    group: BatchGroup,
    plan: LoaderPlan,
    progress: () => void,
    isFirst: boolean,
  ): Promise<GroupOutcome> {
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const outcome = await this.attempt(group, plan, progress, isFirst);
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
    throw new SluiceError('JOB_PAUSED', `The state of job ${group.job} changes at each attempt.`, {
      job: group.job,
    });
  }

  /**
   * LD4, LD8. Batches of a job that has ended are dropped: they must not hold up those of others.
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
    isFirst: boolean,
  ): Promise<GroupOutcome | Obstacle> {
    faultPoint('loader.before-begin');
    let committingSince = 0;
    let mergingFor = 0;
    const outcome = await inTransaction(this.parts.pool, async (client): Promise<GroupOutcome | Obstacle> => {
      const job = await lockJob(client, group.job);
      const { state, takesBatches, pid } = job;
      if (state === 'paused' && job.pauseReason !== 'contract') {
        if (!job.isInTheWay)
          throw new SluiceError('JOB_PAUSED', `Job ${group.job} is paused.`, { job: group.job });
        return await this.dropInTheWay(client, group, job);
      }
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
      if (differing !== null) throw new OfTheJob(differing, state);
      progress();
      const copy = new RefusingCopy(client, fresh, plan.targets, progress);
      const since = performance.now();
      const refusals = await copy.run().finally(() => {
        this.parts.onCopied?.(group, (performance.now() - since) / 1_000);
      });
      const unfit = state === 'running' ? await unfitColumnFault(client, copy.unfitColumn(), fresh) : null;
      if (unfit !== null) throw new OfTheJob(unfit, state);
      if (refusals.length > 0) await this.keep(client, fresh, refusals, copy);
      progress();
      const mayBeWhole = isFirst && state === 'running' && fresh.some(({ batch }) => batch === 0);
      const mergingSince = performance.now();
      const merged = mayBeWhole
        ? ((await this.parts.atOnce?.tryOnce(client, group.job, fresh.length)) ?? null)
        : null;
      faultPoint('loader.before-commit');
      committingSince = performance.now();
      mergingFor = committingSince - mergingSince;
      return { kind: 'loaded', fresh, repeated, merged };
    }).catch((error: unknown): GroupOutcome | Obstacle => {
      if (error instanceof OfTheJob) {
        const { state, fault } = error;
        // A job that has failed already cannot fail again, and its batches must not hold up those of others.
        return state === 'running' ? { does: 'fail', error: fault } : { kind: 'dropped', state };
      }
      throw error;
    });
    if ('kind' in outcome && outcome.kind === 'loaded') {
      faultPoint('loader.committed');
      this.parts.onCommitted?.(group, (performance.now() - committingSince) / 1_000);
      if (outcome.merged !== null) {
        faultPoint('finalizer.visible');
        this.parts.onMergedAtOnce?.(group, mergingFor / 1_000);
      }
    }
    return outcome;
  }

  /** LD9. */
  private async dropInTheWay(
    client: pg.PoolClient,
    group: BatchGroup,
    job: LockedJob,
  ): Promise<GroupOutcome> {
    const { equal } = await compareWithLedger(client, group.job, group.batches);
    const dropped = group.batches.filter(
      (message) => message.epoch >= job.firstEpoch && message.epoch <= job.epoch && !equal.includes(message),
    );
    if (dropped.length > 0)
      await noteDropped(client, group.job, Math.min(...dropped.map(({ batch }) => batch)));
    return { kind: 'dropped', state: job.state, ...(equal.length > 0 ? { loaded: equal } : {}) };
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
  constructor(
    readonly fault: SluiceError,
    /** The job's, as it was locked. */
    readonly state: LockedJob['state'],
  ) {
    super(fault.message);
  }
}

function schemaFault(error: unknown, { job, dataset }: BatchGroup): SluiceError {
  const text = `Loading failed with SQLSTATE ${sqlstateOf(error) ?? 'unknown'}: ${loggableMessage(error)}`;
  return new SluiceError('JOB_SCHEMA', text, { job, dataset }, { cause: error });
}

/** Splits a delivery into runs of consecutive messages of one job. */
export function groupByJob(messages: readonly CleanMessage[]): BatchGroup[] {
  const groups: { dataset: string; job: string; batches: CleanMessage[] }[] = [];
  for (const message of messages) {
    const open = groups.at(-1);
    if (open?.job === message.job) open.batches.push(message);
    else groups.push({ dataset: message.dataset, job: message.job, batches: [message] });
  }
  return groups;
}
