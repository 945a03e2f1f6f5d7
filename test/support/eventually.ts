import { setTimeout as delay } from 'node:timers/promises';

const POLL_INTERVAL_MS = 20;

/**
 * Waits until `probe` answers something other than undefined, null or false, and returns it.
 * @throws when it has not after `withinMs`: a bound for what hangs, never a measure of speed
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  what: string,
  withinMs = 60_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false)
      return answer as NonNullable<Exclude<T, false>>;
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain for ${what}.`);
    await delay(POLL_INTERVAL_MS);
  }
}
