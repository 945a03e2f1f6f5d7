import { createRequire } from 'node:module';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { createKafka } from './kafka-client.js';
import { TIMEOUT_LOOK_MS, installWaitingRequests } from './waiting-requests.js';

interface Queue {
  push(request: { entry: object; expectResponse: boolean; sendRequest: () => void }): void;
  fulfillRequest(answer: { correlationId: number; payload: Buffer; size: number }): void;
  maybeThrottle(throttleMs: number): void;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
}

const RequestQueue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as {
  new (options: object): Queue;
  prototype: Queue;
};
/** kafkajs's own, taken before anything is installed. */
const { scheduleCheckPendingRequests: kafkajsOwn } = RequestQueue.prototype;

describe("kafkajs's queue of requests, once taught", () => {
  const sent: number[] = [];
  const rejected: unknown[] = [];
  let isConnected = true;
  let queue: Queue;

  beforeAll(() => {
    // As every client of ours is made.
    createKafka({ brokers: ['127.0.0.1:1'], clientId: 'client', logger: pino({ level: 'silent' }) });
  });

  beforeEach(() => {
    jest.useFakeTimers();
    sent.length = 0;
    rejected.length = 0;
    isConnected = true;
    const nothing = (): void => undefined;
    queue = new RequestQueue({
      ...{ maxInFlightRequests: 1, requestTimeout: 30_000, enforceRequestTimeout: true },
      isConnected: () => isConnected,
      ...{ clientId: 'client', broker: 'broker', logger: { debug: nothing, warn: nothing } },
    });
  });

  afterEach(() => {
    queue.destroy();
    jest.useRealTimers();
  });

  function push(correlationId: number): void {
    queue.push({
      entry: { correlationId, resolve: () => undefined, reject: (error: unknown) => rejected.push(error) },
      expectResponse: true,
      sendRequest: () => sent.push(correlationId),
    });
  }

  function answer(correlationId: number): void {
    queue.fulfillRequest({ correlationId, payload: Buffer.alloc(0), size: 0 });
  }

  it('sets no timer while nothing waits, where kafkajs alone sets one', () => {
    push(1);
    answer(1);
    expect(jest.getTimerCount()).toBe(0);
    kafkajsOwn.call(queue);
    expect(jest.getTimerCount()).toBe(1);
    jest.runOnlyPendingTimers();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('sends what waits for room as soon as an answer makes some', () => {
    push(1);
    push(2);
    expect(sent).toEqual([1]);
    answer(1);
    expect(sent).toEqual([1, 2]);
    answer(2);
    jest.runOnlyPendingTimers();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('sends what the broker throttles when that is over, and what comes after it at once', () => {
    queue.maybeThrottle(500);
    push(1);
    jest.advanceTimersByTime(499);
    expect(sent).toEqual([]);
    jest.advanceTimersByTime(50);
    expect(sent).toEqual([1]);
    answer(1);
    push(2);
    expect(sent).toEqual([1, 2]);
    jest.runOnlyPendingTimers();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('looks once a second whether a request has timed out, as long as it is connected', () => {
    queue.scheduleRequestTimeoutCheck();
    push(1);
    push(2);
    jest.advanceTimersByTime(30_000);
    expect(rejected).toEqual([]);
    jest.advanceTimersByTime(TIMEOUT_LOOK_MS);
    expect(rejected).toMatchObject([{ name: 'KafkaJSRequestTimeoutError' }]);
    // It has made room.
    expect(sent).toEqual([1, 2]);
    isConnected = false;
    jest.advanceTimersByTime(TIMEOUT_LOOK_MS);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is taught once', () => {
    const { prototype } = RequestQueue;
    const taught = Object.getOwnPropertyDescriptors(prototype);
    installWaitingRequests();
    expect(Object.getOwnPropertyDescriptors(prototype)).toEqual(taught);
  });
});
