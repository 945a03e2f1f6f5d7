import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import { clearWait, declareWait } from '#core/job/job-wait.js';
import type { Announcer, EndedJob } from './announcer.js';
import { AnnounceRepository } from './announce.repository.js';
import { logEnd } from './end-line.js';

export interface AnnounceLoopParts {
  readonly pool: Pool;
  /** The name of this process in the job row. */
  readonly owner: string;
  readonly announcer: Announcer;
  readonly logger: Logger;
  /** Pause between two polls, unless woken. */
  readonly pauseMs: () => number;
  /** The end of a job is announced, and its row says so. */
  readonly onAnnounced: (job: EndedJob) => void;
  /** Something of a job could not be announced. */
  readonly onFailure: () => void;
}

/** A job with many refusals takes one turn after the other; this number of jobs take theirs side by side. */
const JOBS_AT_ONCE = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

interface Failures {
  readonly times: number;
  /** By `performance.now()`. */
  readonly notBefore: number;
}

/**
 * Announces what the outboxes hold: refusals as they appear, then the end of the job, until the brokers have acknowledged
 * it. Runs beside finalizing, which never waits for it.
 *
 * - AN1: what fails for one job is put off for that job alone, with growing pauses; all others have their turns.
 * - AN2: a job that has ended and cannot be announced says so in its row.
 * - AN3: the log has a line for each end of a job; a second one only when the loader dies before the row says that the end
 *   is announced.
 */
export class AnnounceLoop {
  private readonly repository: AnnounceRepository;
  private readonly loop: BackgroundLoop;
  private readonly atWork = new Map<string, Promise<void>>();
  private readonly failures = new Map<string, Failures>();

  constructor(private readonly parts: AnnounceLoopParts) {
    const { pool, owner, pauseMs, logger } = parts;
    this.repository = new AnnounceRepository(pool, owner);
    const turn = (): Promise<void> => this.beginTurns();
    this.loop = new BackgroundLoop({ duty: 'find what is to be announced', turn, pauseMs, logger });
  }

  start(): void {
    this.loop.start();
  }

  wake(): void {
    this.loop.wake();
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    await Promise.all(this.atWork.values());
  }

  private async beginTurns(): Promise<void> {
    const due = await this.repository.findUnannounced();
    for (const id of this.failures.keys()) if (!due.includes(id)) this.failures.delete(id);
    const now = performance.now();
    for (const id of due) {
      if (this.loop.isStopping || this.atWork.size >= JOBS_AT_ONCE) return;
      if (this.atWork.has(id) || (this.failures.get(id)?.notBefore ?? 0) > now) continue;
      const turn = this.turn(id).finally(() => {
        this.atWork.delete(id);
      });
      this.atWork.set(id, turn);
    }
  }

  /** Does not throw. */
  private async turn(id: string): Promise<void> {
    try {
      const isLeft = await this.announce(id);
      this.failures.delete(id);
      // There is more of this job, or another job waits for a free slot.
      if (isLeft || this.atWork.size >= JOBS_AT_ONCE) this.loop.wake();
    } catch (error) {
      await this.failed(id, error);
    }
  }

  /** @returns true when there is more to announce */
  private async announce(id: string): Promise<boolean> {
    const { pool, announcer } = this.parts;
    const job = await this.repository.take(id);
    if (job === null) return false;
    try {
      if (job.refusals && (await announcer.announceRefusals(id))) {
        const message = 'its refused records are being announced';
        await declareWait(pool, id, { stage: 'announce', code: 'OUTBOX_BEHIND', message });
        return true;
      }
      if (job.end) {
        await announcer.announceJob(job);
        logEnd(this.parts.logger, job);
        await this.repository.markAnnounced(id);
        this.parts.onAnnounced(job);
      }
      await clearWait(pool, id, ['announce']);
      return false;
    } finally {
      await this.repository.giveBack(id);
    }
  }

  private async failed(id: string, error: unknown): Promise<void> {
    const { pool, logger, onFailure } = this.parts;
    const times = (this.failures.get(id)?.times ?? 0) + 1;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (times - 1), LONGEST_PAUSE_MS);
    this.failures.set(id, { times, notBefore: performance.now() + pauseMs });
    onFailure();
    const text = `cannot announce a job now; will try again in ${pauseMs} ms`;
    if (error instanceof SluiceError && error.retryable) logger.warn({ job: id, err: error }, text);
    else logger.error({ job: id, err: error }, text);
    try {
      const message = `announcing fails: ${loggableMessage(error)}`;
      await declareWait(pool, id, { stage: 'announce', code: 'OUTBOX_BEHIND', message });
    } catch (unwritten) {
      logger.warn({ job: id }, `what the job waits for cannot be written: ${messageOf(unwritten)}`);
    }
  }
}
