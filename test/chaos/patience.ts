import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 30;
const LOOK_EVERY_MS = 500;
/** Longer than every time-out, lease and back-off of a chaos system together. */
const MAX_STANDSTILL_MS = 120_000;
/** A round whose parts move for ever and get nowhere is stuck, too. */
const MAX_ROUND_MS = 600_000;

/** Nothing has moved for so long that nothing will. */
export class StuckError extends Error {}

/**
 * Waits as long as anything moves: bounded by standstill, not by time.
 * @param look what progress can be seen by, as text; null while it cannot be looked at
 */
export class Patience {
  private seen: string | null = null;
  private movedAt = performance.now();
  private lookedAt = 0;
  private readonly endsAt = performance.now() + MAX_ROUND_MS;

  constructor(
    private readonly look: () => Promise<string | null>,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * @returns the probe's first answer that is not null, undefined or false
   * @throws StuckError, or the signal's reason
   */
  async until<T>(what: string, probe: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
    this.movedAt = performance.now();
    for (;;) {
      this.signal.throwIfAborted();
      const answer = await probe();
      if (answer !== undefined && answer !== null && answer !== false)
        return answer as NonNullable<Exclude<T, false>>;
      await this.expectMovement(what);
      await sleep(POLL_MS, undefined, { signal: this.signal });
    }
  }

  private async expectMovement(what: string): Promise<void> {
    const now = performance.now();
    if (now > this.endsAt) throw new StuckError(`${MAX_ROUND_MS / 1000} s were not enough for ${what}`);
    if (now - this.lookedAt < LOOK_EVERY_MS) return;
    this.lookedAt = now;
    const found = await this.look();
    if (found !== null && found !== this.seen) {
      this.seen = found;
      this.movedAt = performance.now();
    }
    if (performance.now() - this.movedAt > MAX_STANDSTILL_MS) {
      throw new StuckError(`nothing has moved for ${MAX_STANDSTILL_MS / 1000} s while waiting for ${what}`);
    }
  }
}
