import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { Wakeup } from '#common/lifecycle/wakeup.js';
import { AnnounceLoop } from '../announce/announce-loop.js';
import type { EndedJob } from '../announce/announcer.js';
import { CleanUp } from './clean-up.js';
import { DueJobs, type DueJobsParts } from './due-jobs.js';
import { Leftovers } from './leftovers.js';

export interface SweepParts extends Omit<DueJobsParts, 'stopping' | 'onFinalized'> {
  readonly pool: Pool;
  /** The name of this process in the job row. */
  readonly owner: string;
  readonly logger: Logger;
  /** The brokers have acknowledged that a job has ended. Must not throw. */
  readonly onAnnounced?: (job: EndedJob) => void;
  /** Something of a job could not be announced. Must not throw. */
  readonly onAnnounceFailure?: () => void;
}

const BUSY_PAUSE_MS = 200;
/** While batches come in, the loader checks for a complete job after each load group; leftovers are not that urgent. */
const CLEANING_PAUSE_MS = 1_000;

/**
 * When to act, in every loader. Each duty has a loop of its own, so none waits for another:
 *
 * - {@link DueJobs}: finalizes complete jobs, and those whose loader is gone.
 * - {@link AnnounceLoop}: publishes what stands in the outboxes.
 * - {@link CleanUp}: counts what unsuccessful jobs have loaded, and drops staging tables that are no longer needed.
 */
export class Sweep {
  private readonly due: DueJobs;
  private readonly finalizing: BackgroundLoop;
  private readonly announcing: AnnounceLoop;
  private readonly cleaning: BackgroundLoop;
  private readonly cleaningAhead = new Wakeup();
  private wokenAt = -Infinity;
  private cleanedAt = -Infinity;

  constructor(private readonly parts: SweepParts) {
    const { pool, owner, config, announcer, logger } = parts;
    const pauseMs = (): number => this.pauseMs();
    this.announcing = new AnnounceLoop({
      ...{ pool, owner, announcer, logger, pauseMs },
      onAnnounced: (job) => parts.onAnnounced?.(job),
      onFailure: () => parts.onAnnounceFailure?.(),
    });
    const cleanUp = new CleanUp(new Leftovers(pool, config.keepFailedHours, logger), logger, () => {
      this.announcing.wake();
    });
    this.cleaning = new BackgroundLoop({
      duty: 'clean up after jobs',
      turn: () => this.clean(cleanUp),
      pauseMs,
      logger,
    });
    this.finalizing = new BackgroundLoop({
      duty: 'find jobs to finalize',
      turn: () => this.due.take(),
      pauseMs,
      logger,
    });
    this.due = new DueJobs({
      ...parts,
      stopping: this.finalizing.signal,
      onFinalized: () => {
        // The counts of a failed job are written, its end is announced, and the next job gets its slot.
        this.cleaningAhead.wake();
        this.wake();
      },
    });
  }

  start(): void {
    for (const loop of [this.finalizing, this.announcing, this.cleaning]) loop.start();
  }

  /**
   * Something was committed that may have completed a job: the loader looks now instead of after the pause, and for a
   * while more often; the totals of a short job, or another loader's last batch, come a moment later.
   */
  wake(): void {
    this.wokenAt = performance.now();
    this.finalizing.wake();
    this.announcing.wake();
    this.cleaning.wake();
  }

  /** Releases the jobs that are being finalized as they are: their steps so far are in the catalogs. */
  async stop(): Promise<void> {
    const stopped = [this.finalizing.stop(), this.cleaning.stop()];
    this.cleaningAhead.wake();
    await Promise.all(stopped);
    await this.due.released();
    await this.announcing.stop();
  }

  /** Woken after each load group, it runs once in CLEANING_PAUSE_MS; after a finalization at once. */
  private async clean(cleanUp: CleanUp): Promise<void> {
    const pauseMs = Math.min(CLEANING_PAUSE_MS, this.parts.config.sweepIntervalMs);
    await this.cleaningAhead.wait(Math.max(0, this.cleanedAt + pauseMs - performance.now()));
    if (this.cleaning.isStopping) return;
    this.cleanedAt = performance.now();
    await cleanUp.run();
  }

  private pauseMs(): number {
    const { sweepIntervalMs } = this.parts.config;
    const isBusy = performance.now() - this.wokenAt < sweepIntervalMs;
    return isBusy ? Math.min(BUSY_PAUSE_MS, sweepIntervalMs) : sweepIntervalMs;
  }
}
