/** Injection token of {@link LiveTiming}. */
export const LIVE_TIMING = Symbol('timing of live streams');

export interface LiveTiming {
  /** How often a watched job is read, which is also the shortest time between two events. */
  readonly pollIntervalMs: number;
  /** How often a comment goes out, so that proxies and clients can tell a quiet stream from a dead one. */
  readonly heartbeatIntervalMs: number;
}

export const DEFAULT_LIVE_TIMING: LiveTiming = { pollIntervalMs: 1_000, heartbeatIntervalMs: 15_000 };
