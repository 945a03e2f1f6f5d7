export interface HeartbeatPace {
  readonly intervalMs: number;
  /** A handler that takes longer counts as stuck: the group may drop this consumer then. */
  readonly longestMs: number;
}

/**
 * Keeps a consumer in its group while a handler works: kafkajs sends no heartbeat while a batch is being handled, and the
 * brokers drop a member that sends none for a session.
 * @param heartbeat of the batch's payload. That it fails shows at the next one that the caller waits for, not here.
 */
export async function withHeartbeats(
  heartbeat: () => Promise<void>,
  handle: () => Promise<void>,
  { intervalMs, longestMs }: HeartbeatPace,
): Promise<void> {
  let left = Math.floor(longestMs / intervalMs);
  const timer = setInterval(() => {
    left -= 1;
    if (left <= 0) clearInterval(timer);
    heartbeat().catch(() => undefined);
  }, intervalMs);
  try {
    await handle();
  } finally {
    clearInterval(timer);
  }
}
