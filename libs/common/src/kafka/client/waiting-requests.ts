/**
 * Keeps kafkajs's connections from waking a service that has nothing to do.
 *
 * - A connection whose requests wait (more in flight than allowed, or throttled by the broker) sets a timer to look at them
 *   again. kafkajs sets that timer from the first answer on without any waiting too, with a time in the past: each connection
 *   then looks every millisecond, for ever (tulios/kafkajs#1556, #1704). Four idle services woke 3,600 times a second for
 *   it and took a sixth of a core. Here the timer is set only while a request waits; whatever comes later is sent at once,
 *   or waits and sets it.
 * - Every connection asks ten times a second whether a request has timed out. Our shortest time-out is some seconds, so
 *   once a second is often enough.
 *
 * `waiting-requests.spec.ts` proves both. The hooks: two methods of kafkajs's `RequestQueue`.
 */
import { createRequire } from 'node:module';

/** How often a connection looks for requests that have timed out; one that has is found at most this much later. */
export const TIMEOUT_LOOK_MS = 1_000;

/** kafkajs's queue of one connection's requests, with what is added here. */
interface RequestQueuePrototype {
  isSluices?: true;
  readonly pending: readonly unknown[];
  readonly inflight: ReadonlyMap<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>;
  readonly enforceRequestTimeout: boolean;
  readonly requestTimeout: number;
  requestTimeoutIntervalId: NodeJS.Timeout | null;
  isConnected(): boolean;
  destroy(): void;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
}

/** Installs the hooks in this process's kafkajs; once, before the first connection. */
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
  prototype.scheduleRequestTimeoutCheck = function look(this: RequestQueuePrototype): void {
    if (!this.enforceRequestTimeout) return;
    this.destroy();
    this.requestTimeoutIntervalId = setInterval(
      () => {
        const now = Date.now();
        for (const request of this.inflight.values())
          if (now - request.sentAt > request.requestTimeout) request.timeoutRequest();
        if (!this.isConnected()) this.destroy();
      },
      Math.min(this.requestTimeout, TIMEOUT_LOOK_MS),
    );
  };
}
