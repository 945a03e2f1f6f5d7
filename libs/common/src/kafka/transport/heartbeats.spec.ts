import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { withHeartbeats } from './heartbeats.js';

const PACE = { intervalMs: 1_000, longestMs: 5_000 };

describe('withHeartbeats', () => {
  let sent = 0;
  const heartbeat = (): Promise<void> => {
    sent += 1;
    return Promise.resolve();
  };

  beforeEach(() => {
    sent = 0;
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('sends one an interval while the handler works, and none after it', async () => {
    let finish = (): void => undefined;
    const handled = withHeartbeats(heartbeat, () => new Promise((resolve) => (finish = resolve)), PACE);
    await jest.advanceTimersByTimeAsync(3_500);
    expect(sent).toBe(3);
    finish();
    await handled;
    await jest.advanceTimersByTimeAsync(60_000);
    expect(sent).toBe(3);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('sends none to a handler that is stuck', async () => {
    void withHeartbeats(heartbeat, () => new Promise(() => undefined), PACE);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(sent).toBe(5);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('passes on what the handler throws, and nothing of a heartbeat that fails', async () => {
    const failing = (): Promise<void> => Promise.reject(new Error('not a member'));
    let finish = (): void => undefined;
    const handled = withHeartbeats(failing, () => new Promise((resolve) => (finish = resolve)), PACE);
    await jest.advanceTimersByTimeAsync(2_000);
    finish();
    await handled;
    const error = new TypeError('no');
    await expect(withHeartbeats(heartbeat, () => Promise.reject(error), PACE)).rejects.toBe(error);
    expect(jest.getTimerCount()).toBe(0);
  });
});
