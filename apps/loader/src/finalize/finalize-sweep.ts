import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { Wakeup } from '#common/lifecycle/wakeup.js';
import { declareWait } from '#core/job/job-wait.js';
import { AnnounceLoop } from '../announce/announce-loop.js';
import type { Announcer } from '../announce/announcer.js';
import type { FinalizeConfig } from './finalize.config.js';
import { FinalizeRepository, LARGE_JOB_BYTES } from './finalize.repository.js';
import { Finalizer } from './finalizer.js';
import type { FinalizeStep, FinalizedDataset, FinalizingJob } from './finalizing-job.js';
import { HeldJob } from './held-job.js';
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
  /** A job was paused for a fault. Must not throw. */
  readonly onFault?: (dataset: string) => void;
  /** Something of a job could not be announced. Must not throw. */
  readonly onAnnounceFailure?: () => void;
  /** Before a failed step is tried again; twice as long before each further time. */
  readonly firstPauseMs?: number;
}

interface Held {
  readonly job: FinalizingJob;
  readonly work: Promise<void>;
}

const BUSY_PAUSE_MS = 200;
/** While batches come in, a complete job is looked for after each group; leftovers are not that urgent. */
const CLEARING_PAUSE_MS = 1_000;
const FIRST_PAUSE_MS = 500;

/**
 * In every loader, looks for what is due: complete jobs, finalizations whose loader is gone, outcomes that are not
 * announced, staging tables that are no longer needed. Runs beside the poll loop.
 *
 * - Z3: announcing has a loop of its own ({@link AnnounceLoop}): finalizing never waits for it.
 * - Z4: several finalizations run side by side, `SLUICE_FINALIZE_AT_ONCE` at most and one of each dataset. A large job
 *   leaves the last place free, so a small one never waits behind large ones. A job that waits for a place says so.
 *
 * Z1 and Z2 are those of one job: {@link HeldJob}.
 */
export class FinalizeSweep {
  private readonly repository: FinalizeRepository;
  private readonly finalizer: Finalizer;
  private readonly leftovers: Leftovers;
  private readonly announcing: AnnounceLoop;
  private readonly wakeup = new Wakeup();
  private readonly stopping = new AbortController();
  private readonly held = new Map<string, Held>();
  private nudgedAt = -Infinity;
  private clearedAt = -Infinity;
  private loop: Promise<void> | undefined;

  constructor(private readonly parts: FinalizeSweepParts) {
    const { pool, owner, config, announcer, logger } = parts;
    this.repository = new FinalizeRepository(pool, owner, config.finalizeLeaseSeconds);
    this.finalizer = new Finalizer(pool, config);
    this.leftovers = new Leftovers(pool, config.keepFailedHours, logger);
    this.announcing = new AnnounceLoop({
      pool,
      owner,
      announcer,
      logger,
      pauseMs: () => this.pauseMs(),
      onFailure: () => parts.onAnnounceFailure?.(),
    });
  }

  start(): void {
    this.loop ??= this.run();
    this.announcing.start();
  }

  /**
   * Something was committed that may have completed a job: look now instead of at the next beat, and for a while more
   * often; the totals of a short job, or another loader's last batch, come a moment later.
   */
  nudge(): void {
    this.nudgedAt = performance.now();
    this.wakeup.wake();
    this.announcing.wake();
  }

  /** Gives jobs that are being finalized back as they are: their steps so far are in the catalogs. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeup.wake();
    await this.loop;
    await Promise.all([...this.held.values()].map(({ work }) => work));
    await this.announcing.stop();
  }

  private async run(): Promise<void> {
    while (!this.isStopping()) {
      await this.survives('finalize', () => this.finalizeDue());
      if (this.isClearingDue()) await this.survives('clear away', () => this.clearAway());
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

  /** Z4. */
  private async finalizeDue(): Promise<void> {
    const places = this.parts.config.finalizeAtOnce;
    while (this.held.size < places && !this.isStopping()) {
      const isLastPlace = places > 1 && this.held.size === places - 1;
      const job = await this.repository.claimNext(
        this.freeDatasets(),
        isLastPlace ? LARGE_JOB_BYTES : undefined,
      );
      const dataset = job && this.parts.datasets.get(job.dataset);
      if (!job || !dataset) break;
      this.hold(job, dataset);
    }
    if (this.held.size > 0) await this.declareWaits(this.held.size);
  }

  private freeDatasets(): string[] {
    const taken = new Set([...this.held.values()].map(({ job }) => job.dataset));
    return [...this.parts.datasets.keys()].filter((name) => !taken.has(name));
  }

  private hold(job: FinalizingJob, dataset: FinalizedDataset): void {
    const { pool, logger, config, announcer, onStep, onFault, firstPauseMs } = this.parts;
    const parts = {
      pool,
      repository: this.repository,
      finalizer: this.finalizer,
      announcer,
      leaseSeconds: config.finalizeLeaseSeconds,
      firstPauseMs: firstPauseMs ?? FIRST_PAUSE_MS,
      logger,
      onStep,
      onFault: (name: string) => onFault?.(name),
    };
    const work = new HeldJob(parts, job, dataset, this.stopping.signal).finalize().finally(() => {
      this.held.delete(job.id);
      // Write its counts if it failed, announce it, and look for the next one.
      this.clearedAt = -Infinity;
      this.nudge();
    });
    this.held.set(job.id, { job, work });
  }

  /** Jobs that are due and that neither we nor another loader has taken: all places are taken. */
  private async declareWaits(taken: number): Promise<void> {
    const due = await this.repository.findDue(this.freeDatasets());
    const message = `the loader finalizes ${taken} other jobs: ${[...this.held.keys()].join(', ')}`;
    for (const id of due) {
      await declareWait(this.parts.pool, id, { stage: 'finalize', code: 'SLOT_TAKEN', message });
    }
  }

  private async clearAway(): Promise<void> {
    const { logger } = this.parts;
    this.clearedAt = performance.now();
    // Before announcing: who learns of the end finds the counts.
    if (await this.leftovers.countUnsuccessful()) this.announcing.wake();
    for (const job of await this.leftovers.giveUp()) {
      logger.info({ job }, 'a failed job is given up: it cannot be resumed any more');
    }
    for (const job of await this.leftovers.clear()) {
      logger.info({ job }, 'dropped what a job that has ended had staged');
    }
  }
}
