/**
 * Keeps kafkajs from looking for waiting requests when there are none.
 *
 * A connection of kafkajs whose requests wait (more in flight than allowed, or throttled by the broker) sets a timer to
 * look at them again. From its first answer on it sets that timer without any waiting too, with a time in the past:
 * each connection then looks every millisecond, for ever (tulios/kafkajs#1556, #1704). Four idle services woke 3,600
 * times a second for it and took a sixth of a core. Here the timer is set only while a request waits; whatever comes
 * later is sent at once, or waits and sets it. `waiting-requests.spec.ts` proves both.
 *
 * The hook: one method of kafkajs's `RequestQueue`.
 */
import { createRequire } from 'node:module';

/** kafkajs's queue of one connection's requests, with what is added here. */
interface RequestQueuePrototype {
  isSluices?: true;
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

/** Installs the hook in this process's kafkajs; once, before the first connection. */
export function installWaitingRequests(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as {
    prototype: RequestQueuePrototype;
  };
  if (prototype.isSluices) return;
  prototype.isSluices = true;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the queue below
  const { scheduleCheckPendingRequests } = prototype;
  prototype.scheduleCheckPendingRequests = function schedule(this: RequestQueuePrototype): void {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this);
  };
}
