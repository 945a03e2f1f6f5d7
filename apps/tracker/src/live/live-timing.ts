/** Injection token of {@link LiveTiming}. */
export const LIVE_TIMING = Symbol('timing of live streams');

export interface LiveTiming {
  /** How often a watched job is read, which is also the shortest time between two events. */
  readonly pollIntervalMs: number;
  /** How often, and how many times, a job that has just begun to be watched is checked for its end. */
  readonly early?: { readonly intervalMs: number; readonly looks: number };
  /** How often a comment goes out, so that proxies and clients can distinguish a quiet stream from a dead one. */
  readonly heartbeatIntervalMs: number;
}

export const DEFAULT_LIVE_TIMING: LiveTiming = {
  pollIntervalMs: 1_000,
  // The first two seconds: a job of twenty records takes a tenth of one, and the event of its end some 170 ms more.
  early: { intervalMs: 50, looks: 40 },
  heartbeatIntervalMs: 15_000,
};
