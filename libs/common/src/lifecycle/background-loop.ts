import type { Logger } from 'pino';
import { messageOf } from '../errors/sluice-error.js';
import { Wakeup } from './wakeup.js';

export interface BackgroundLoopParts {
  /** What one turn does, after "cannot": `look for jobs`. */
  readonly duty: string;
  /** One turn. What it throws is logged and retried with the next turn. */
  readonly turn: () => Promise<void>;
  /** From the end of one turn to the next one; less when woken. Asked after each turn. */
  readonly pauseMs: () => number;
  readonly logger: Logger;
  /** A turn that takes longer is wedged: {@link BackgroundLoop.notLive}. Absent: a turn may take any time. */
  readonly maxSilenceMs?: number;
}

/** So that replicas that start together do not query the database at the same moment for ever. */
const JITTER_SHARE = 0.1;

/**
 * One duty of a service, repeated turn by turn until the service ends.
 *
 * - BL1: `start` begins one loop, however often it is called. `stop` ends the pause, waits for the turn that is under way
 *   and begins no other.
 * - BL2: a turn that fails is followed by the next one. The failure is logged once for each outage, and is the loop's
 *   problem until a turn succeeds.
 * - BL3: `wake` during a turn makes the next one follow at once.
 */
export class BackgroundLoop {
  private readonly wakeup = new Wakeup();
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private problem: string | null = null;
  private turnEndedAt = performance.now();

  constructor(private readonly parts: BackgroundLoopParts) {}

  /** Aborts when the loop is stopped, for what a turn has begun. */
  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  get isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** The next turn begins now. */
  wake(): void {
    this.wakeup.wake();
  }

  /** @param reason what {@link signal} aborts with */
  async stop(reason?: Error): Promise<void> {
    this.stopping.abort(reason);
    this.wakeup.wake();
    await this.running;
  }

  /** For `Health`. */
  notLive(): string[] {
    const { maxSilenceMs = Infinity, duty } = this.parts;
    const silentMs = performance.now() - this.turnEndedAt;
    return silentMs > maxSilenceMs
      ? [`the attempt to ${duty} has not ended for ${silentMs.toFixed(0)} ms`]
      : [];
  }

  /** For `Health`. */
  notReady(): string[] {
    return this.problem === null ? [] : [this.problem];
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      await this.turn();
      await this.wakeup.wait(this.parts.pauseMs() * (1 + JITTER_SHARE * (2 * Math.random() - 1)));
    }
  }

  private async turn(): Promise<void> {
    const { duty, logger, turn } = this.parts;
    try {
      await turn();
      this.problem = null;
    } catch (error) {
      if (this.problem === null) logger.warn({ err: error }, `cannot ${duty}; will retry`);
      this.problem = `cannot ${duty}: ${messageOf(error)}`;
    }
    this.turnEndedAt = performance.now();
  }
}
