import { setTimeout as delay } from 'node:timers/promises';

/** A twentieth of the wait so far, within these bounds: what takes long is not asked so often that the asking delays it. */
const SHORTEST_INTERVAL_MS = 20;
const LONGEST_INTERVAL_MS = 100;

/**
 * Waits until `probe` answers something other than undefined, null or false, and returns it.
 * @throws when it has not after `withinMs`: a bound for what hangs, never a measure of speed
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  what: string,
  withinMs = 60_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const beganAt = performance.now();
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false)
      return answer as NonNullable<Exclude<T, false>>;
    const waitedMs = performance.now() - beganAt;
    if (waitedMs > withinMs) throw new Error(`Waited ${withinMs} ms in vain for ${what}.`);
    await delay(Math.min(Math.max(waitedMs / 20, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS));
  }
}
