import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { Wakeup } from '#common/lifecycle/wakeup.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import type { Announcer } from './announcer.js';
import { fail, pauseForSchema } from './conclude.js';
import { type Decision, decisionOf } from './decision.js';
import type { FinalizeConfig } from './finalize.config.js';
import { FinalizeRepository } from './finalize.repository.js';
import { Finalizer } from './finalizer.js';
import type { FinalizeStep, FinalizedDataset, FinalizingJob, OnStep } from './finalizing-job.js';
import { Leftovers } from './leftovers.js';

export interface FinalizeSweepParts {
  readonly pool: Pool;
  /** Who we are, for the job row. */
  readonly owner: string;
  /** By name: every dataset that this process may finalize. */
  readonly datasets: ReadonlyMap<string, FinalizedDataset>;
  readonly announcer: Announcer;
  readonly config: FinalizeConfig;
  readonly logger: Logger;
  /** A step has begun, or says what it waits for. Must not throw. */
  readonly onStep: (job: FinalizingJob, step: FinalizeStep, detail: string | undefined) => void;
}

const BUSY_PAUSE_MS = 200;
/** While batches come in, a complete job is looked for after each group; leftovers are not that urgent. */
const CLEARING_PAUSE_MS = 1_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * In every loader, looks for what is due: complete jobs, finalizations whose loader is gone, outcomes that nobody
 * has announced, staging tables that nobody needs. Runs beside the poll loop, one finalization at a time.
 *
 * - Z1: a job is worked on under its lease alone; without it (another epoch, cancelled) our backends are ended.
 * - Z2 (G10): only a decision of the finalizer fails a job, and what somebody has to mend in the tables pauses it.
 *   Whatever else goes wrong, the database first of all, is waited out and tried again: in the log as a warning, or
 *   as an error when it will not pass by itself.
 * - Z3: refusals are announced as they appear, and an ended job after them, until it is done.
 */
export class FinalizeSweep {
  private readonly repository: FinalizeRepository;
  private readonly finalizer: Finalizer;
  private readonly leftovers: Leftovers;
  private readonly wakeup = new Wakeup();
  private readonly stopping = new AbortController();
  private nudgedAt = -Infinity;
  private clearedAt = -Infinity;
  private loop: Promise<void> | undefined;
  private finalizing: Promise<void> | undefined;

  constructor(private readonly parts: FinalizeSweepParts) {
    const { pool, owner, config } = parts;
    this.repository = new FinalizeRepository(pool, owner, config.finalizeLeaseSeconds);
    this.finalizer = new Finalizer(pool, config);
    this.leftovers = new Leftovers(pool, config.keepFailedHours);
  }

  start(): void {
    this.loop ??= this.run();
  }

  /**
   * Something was committed that may have completed a job: look now instead of at the next beat, and for a while more
   * often; the totals of a short job, or another loader's last batch, come a moment later.
   */
  nudge(): void {
    this.nudgedAt = performance.now();
    this.wakeup.wake();
  }

  /** Gives a job that is being finalized back as it is: its steps so far are in the catalogs. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeup.wake();
    await this.loop;
    await this.finalizing;
  }

  private async run(): Promise<void> {
    while (!this.isStopping()) {
      await this.survives('finalize', () => this.finalizeNext());
      if (this.isClearingDue()) await this.survives('clear away', () => this.clearAway());
      await this.survives('announce', () => this.announceAll());
      await this.wakeup.wait(this.pauseMs());
    }
  }

  private pauseMs(): number {
    const { sweepIntervalMs } = this.parts.config;
    const isBusy = performance.now() - this.nudgedAt < sweepIntervalMs;
    return isBusy ? Math.min(BUSY_PAUSE_MS, sweepIntervalMs) : sweepIntervalMs;
  }

  private isClearingDue(): boolean {
    return (
      performance.now() - this.clearedAt >= Math.min(CLEARING_PAUSE_MS, this.parts.config.sweepIntervalMs)
    );
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private async survives(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.parts.logger.warn({ err: error }, `cannot ${what} now; will try again`);
    }
  }

  private async finalizeNext(): Promise<void> {
    if (this.finalizing !== undefined) return;
    const job = await this.repository.claimNext([...this.parts.datasets.keys()]);
    const dataset = job && this.parts.datasets.get(job.dataset);
    if (!job || !dataset) return;
    this.finalizing = this.hold(job, dataset).finally(() => {
      this.finalizing = undefined;
      // Write its counts if it failed, announce it, and look for the next one.
      this.clearedAt = -Infinity;
      this.nudge();
    });
  }

  /** Z1: finalizes for as long as the lease is ours. */
  private async hold(job: FinalizingJob, dataset: FinalizedDataset): Promise<void> {
    const { logger, config } = this.parts;
    const lost = new AbortController();
    const over = AbortSignal.any([lost.signal, this.stopping.signal]);
    const beat = setInterval(
      () => {
        this.repository.renewLease(job).then(
          (held) => {
            if (!held) lost.abort();
          },
          (error: unknown) => {
            logger.warn({ job: job.id, err: error }, 'cannot renew the lease now');
          },
        );
      },
      Math.min(2_000, (config.finalizeLeaseSeconds * 1_000) / 3),
    );
    const endBackends = (): void => {
      this.repository.terminateBackends(job.id, job.epoch).catch((error: unknown) => {
        logger.warn({ job: job.id, err: error }, 'cannot end our own backends; a successor will');
      });
    };
    over.addEventListener('abort', endBackends, { once: true });
    try {
      await this.finalizeUntilDecided(job, dataset, over);
      if (this.isStopping()) await this.repository.release(job);
    } catch (error) {
      logger.warn(
        { job: job.id, err: error },
        'finalization is given up; whoever claims the job next goes on with it',
      );
    } finally {
      clearInterval(beat);
      over.removeEventListener('abort', endBackends);
    }
  }

  /** Z2. */
  private async finalizeUntilDecided(
    job: FinalizingJob,
    dataset: FinalizedDataset,
    over: AbortSignal,
  ): Promise<void> {
    const { logger } = this.parts;
    const isOver = (): boolean => over.aborted;
    for (let pauseMs = FIRST_PAUSE_MS; !isOver(); pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await this.attempt(job, dataset, over);
        return;
      } catch (error) {
        if (error instanceof SluiceError && error.code === 'JOB_LOST') {
          logger.info({ job: job.id }, 'the job is no longer ours to finalize');
          return;
        }
        if (isOver()) return;
        const passes = ['wait', 'retry'].includes(classifyDatabaseError(error));
        const text = 'finalization cannot go on now; will try again';
        if (passes) logger.warn({ job: job.id, err: error }, text);
        else logger.error({ job: job.id, err: error }, text);
        // An abort ends the pause; the loop's condition sees it.
        await sleep(pauseMs, undefined, { signal: over }).catch(() => undefined);
      }
    }
  }

  private async attempt(job: FinalizingJob, dataset: FinalizedDataset, over: AbortSignal): Promise<void> {
    const { logger, onStep } = this.parts;
    try {
      const announce: OnStep = (step, detail) => {
        logger.info({ job: job.id, step, detail }, 'finalizing');
        onStep(job, step, detail);
      };
      await this.finalizer.finalize(job, dataset, announce, over);
    } catch (error) {
      const decision = decisionOf(error, job);
      if (decision === null) throw error;
      await this.carryOut(decision, job);
    }
  }

  private async carryOut({ state, error }: Decision, job: FinalizingJob): Promise<void> {
    const { pool, logger, announcer } = this.parts;
    const isCarriedOut = await (state === 'failed' ? fail : pauseForSchema)(pool, job, error);
    if (!isCarriedOut) return;
    logger.error({ job: job.id, code: error.code }, error.message);
    // A failed job is announced by the sweep. That one is paused stands in its row; the event only makes it known sooner.
    if (state === 'paused') {
      await announcer.announceJob({ ...job, state }).catch((unsent: unknown) => {
        logger.warn({ job: job.id, err: unsent }, 'cannot announce that the job is paused');
      });
    }
  }

  /** Z3. */
  private async announceAll(): Promise<void> {
    const { announcer } = this.parts;
    for (const id of await this.repository.findUnannounced()) {
      if (this.isStopping()) return;
      await this.repository.announcing(id, async (job) => {
        if (job.refusals) await announcer.announceRefusals(id);
        if (!job.end) return;
        await announcer.announceJob(job);
        await this.repository.markAnnounced(id);
      });
    }
  }

  private async clearAway(): Promise<void> {
    const { logger } = this.parts;
    this.clearedAt = performance.now();
    // Before announcing: whoever hears of the end finds the counts.
    await this.leftovers.countUnsuccessful();
    for (const job of await this.leftovers.giveUp()) {
      logger.info({ job }, 'a failed job is given up: it cannot be resumed any more');
    }
    for (const job of await this.leftovers.clear()) {
      logger.info({ job }, 'dropped what a job that has ended had staged');
    }
  }
}
