import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { JobCounts } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { linkAborts } from '#common/lifecycle/linked-abort.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import { DeclaredWaits } from '#core/job/declared-waits.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { pauseFinalizing } from '#core/job/loader-transitions.js';
import type { Announcer } from '../announce/announcer.js';
import { FINALIZING_ATTEMPTS, FINALIZING_ATTEMPTS_AGAINST_OTHERS, jobFault } from '../faults/job-faults.js';
import { fail } from '../finalize/conclude.js';
import { mainTable } from '#core/staging/table-plan.js';
import { type Decision, decisionOf } from '../finalize/decision.js';
import type { Finalizer } from '../finalize/finalizer.js';
import {
  type FinalizeStep,
  type FinalizedDataset,
  type FinalizingJob,
  whatIsWaitedFor,
} from '../finalize/finalizing-job.js';
import type { FinalizeRepository } from './finalize.repository.js';

export interface HeldJobParts {
  readonly pool: Pool;
  readonly repository: FinalizeRepository;
  readonly finalizer: Finalizer;
  readonly announcer: Announcer;
  readonly leaseSeconds: number;
  /** Before the second attempt; twice as long before each further one. */
  readonly firstPauseMs: number;
  readonly logger: Logger;
  readonly onStep: (job: FinalizingJob, step: FinalizeStep, detail: string | undefined) => void;
  /** A merge is visible. Must not throw. */
  readonly onMerged: (dataset: string, counts: JobCounts) => void;
  /** A job was paused for a fault. */
  readonly onFault: (dataset: string) => void;
  /** A job has failed because its sums do not add up. */
  readonly onUnbalanced: (dataset: string) => void;
  /** Another loader has taken the job. Must not throw. */
  readonly onLeaseLost: () => void;
  /** A step is over, or has failed. */
  readonly onStepEnd: (job: FinalizingJob, step: FinalizeStep, seconds: number) => void;
}

const LONGEST_PAUSE_MS = 30_000;

/**
 * One claimed job, until it is decided, lost or released.
 *
 * - HJ1: a job is worked on under its lease alone; without it (another epoch, cancelled) our backends are ended.
 * - HJ2 (G10): a decision of the finalizer fails the job, and what an operator has to fix pauses it. The state of the
 *   database is waited out, and the job row says so. Everything else is tried a few times, and then pauses the job with
 *   reason `fault` and what was said: no job occupies its slot, and its dataset, because of an unknown error.
 * - HJ3: the search for our backends ends before the job is let go. A search that outlives the job can end a connection
 *   that is back in the pool, and another job's first statement on it fails.
 */
export class HeldJob {
  private readonly waits: DeclaredWaits;
  /** Since when, by `performance.now()`. */
  private stepInHand: { readonly step: FinalizeStep; readonly since: number } | null = null;
  private isLost = false;
  private readonly failures = { unknown: 0, others: 0 };

  constructor(
    private readonly parts: HeldJobParts,
    private readonly job: FinalizingJob,
    private readonly dataset: FinalizedDataset,
    private readonly stopping: AbortSignal,
  ) {
    this.waits = new DeclaredWaits(parts.pool, job.id, 'finalize', parts.logger, null);
  }

  /** HJ1: finalizes for as long as the lease is ours. Does not throw. */
  async finalize(): Promise<void> {
    const { job, parts } = this;
    const { logger, repository, leaseSeconds, onLeaseLost } = parts;
    const lost = new AbortController();
    const { signal: over, unlink } = linkAborts(lost.signal, this.stopping);
    const beat = setInterval(
      () => {
        this.renewLease(lost).catch((error: unknown) => {
          logger.warn({ job: job.id, err: error }, 'cannot renew the lease now');
        });
      },
      Math.min(2_000, (leaseSeconds * 1_000) / 3),
    );
    let ending: Promise<void> | undefined;
    const endBackends = (): void => {
      ending = repository.terminateBackends(job.id, job.epoch).catch((error: unknown) => {
        logger.warn({ job: job.id, err: error }, 'cannot end our own backends; a successor will');
      });
    };
    over.addEventListener('abort', endBackends, { once: true });
    try {
      await this.untilDecided(over);
      if (this.isLost && (await repository.isTaken(job))) onLeaseLost();
      await this.waits.settled();
      if (this.stopping.aborted) await repository.release(job);
    } catch (error) {
      logger.warn(
        { job: job.id, err: error },
        'finalization is given up; the loader that claims the job next continues it',
      );
    } finally {
      clearInterval(beat);
      over.removeEventListener('abort', endBackends);
      unlink();
      await ending;
    }
  }

  private async renewLease(lost: AbortController): Promise<void> {
    if (await this.parts.repository.renewLease(this.job)) return;
    this.isLost = true;
    lost.abort();
  }

  /** HJ2. */
  private async untilDecided(over: AbortSignal): Promise<void> {
    const { logger, firstPauseMs } = this.parts;
    const isOver = (): boolean => over.aborted;
    for (let pauseMs = firstPauseMs; !isOver(); pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await this.attempt(over);
        return;
      } catch (error) {
        if (error instanceof SluiceError && error.code === 'JOB_LOST') {
          this.isLost = true;
          logger.info({ job: this.job.id }, 'the job is no longer ours to finalize');
          return;
        }
        if (isOver()) return;
        this.declare(error);
        // An abort ends the pause; the loop's condition sees it.
        await sleep(pauseMs, undefined, { signal: over }).catch(() => undefined);
      }
    }
  }

  /** @throws what is to be tried again */
  private async attempt(over: AbortSignal): Promise<void> {
    try {
      const counts = await this.parts.finalizer.finalize(
        this.job,
        this.dataset,
        (step, detail) => {
          this.onStep(step, detail);
        },
        over,
      );
      if (counts !== null) this.parts.onMerged(this.job.dataset, counts);
    } catch (error) {
      this.endStep();
      // Our own end of its backends, or of the process, is no fault of the job.
      if (over.aborted) throw error;
      const decision =
        decisionOf(error, this.job, mainTable(this.dataset.tables).schema) ?? this.giveUp(error);
      if (decision === null) throw error;
      await this.waits.settled();
      await this.carryOut(decision);
    } finally {
      this.endStep();
    }
  }

  private endStep(): void {
    if (this.stepInHand === null) return;
    const { step, since } = this.stepInHand;
    this.stepInHand = null;
    this.parts.onStepEnd(this.job, step, (performance.now() - since) / 1_000);
  }

  private onStep(step: FinalizeStep, detail: string | undefined): void {
    const { logger, onStep } = this.parts;
    if (step !== this.stepInHand?.step) {
      this.endStep();
      this.stepInHand = { step, since: performance.now() };
    }
    logger.info({ job: this.job.id, step, detail }, 'finalizing');
    const whom = whatIsWaitedFor(detail);
    if (whom === null) this.waits.clear();
    else this.waits.declare('SESSIONS_IN_THE_WAY', `${step} waits for ${whom}`);
    onStep(this.job, step, detail);
  }

  /** Whether an error that decides nothing has come too often. */
  private giveUp(error: unknown): Decision | null {
    const kind = kindOf(error);
    if (kind === 'wait') return null;
    const failures = kind === 'retry' ? ++this.failures.others : ++this.failures.unknown;
    if (failures < (kind === 'retry' ? FINALIZING_ATTEMPTS_AGAINST_OTHERS : FINALIZING_ATTEMPTS)) return null;
    const { dataset, id: job } = this.job;
    return {
      state: 'paused',
      reason: 'fault',
      error: jobFault(error, 'Finalizing', failures, { dataset, job }),
    };
  }

  private declare(error: unknown): void {
    const { logger } = this.parts;
    const kind = kindOf(error);
    const text = 'finalization cannot continue now; will try again';
    if (kind === 'unknown') logger.error({ job: this.job.id, err: error }, text);
    else logger.warn({ job: this.job.id, err: error }, text);
    this.waits.declare(kind === 'wait' ? 'SERVER_AWAY' : 'TRYING_AGAIN', loggableMessage(error));
  }

  private async carryOut(decision: Decision): Promise<void> {
    const { pool, logger, announcer, onFault } = this.parts;
    const { job } = this;
    const { state, error } = decision;
    const isCarriedOut = await (state === 'failed'
      ? fail(pool, job, error)
      : pauseFinalizing(pool, job, decision.reason, jobErrorOf(error)));
    if (!isCarriedOut) return;
    logger.error({ job: job.id, code: error.code, err: error }, error.message);
    if (error.code === 'JOB_UNBALANCED') this.parts.onUnbalanced(job.dataset);
    if (state === 'failed') return; // The sweep announces it.
    if (decision.reason === 'fault') onFault(job.dataset);
    // That a job is paused stands in its row; the event only makes it known sooner.
    await announcer.announceJob({ ...job, state }).catch((unsent: unknown) => {
      logger.warn({ job: job.id, err: unsent }, 'cannot announce that the job is paused');
    });
  }
}

/** `wait`: it passes by itself, however long that takes. `retry`: it does when other sessions give way. */
function kindOf(error: unknown): 'wait' | 'retry' | 'unknown' {
  if (error instanceof SluiceError && error.code === 'MERGE_RACED') return 'retry';
  if (error instanceof SluiceError) return error.retryable ? 'wait' : 'unknown';
  const kind = classifyDatabaseError(error);
  return kind === 'wait' || kind === 'retry' ? kind : 'unknown';
}
