import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Wakeup } from './wakeup.js';

const LONG_MS = 60_000;

describe('Wakeup', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  /** Whether the wait has ended, asked when all that can run has run. */
  const watched = (waiting: Promise<void>): (() => Promise<boolean>) => {
    let isOver = false;
    void waiting.then(() => (isOver = true));
    return async () => {
      await jest.advanceTimersByTimeAsync(0);
      return isOver;
    };
  };

  it('waits for the time that it was given', async () => {
    const isOver = watched(new Wakeup().wait(LONG_MS));
    await jest.advanceTimersByTimeAsync(LONG_MS - 1);
    expect(await isOver()).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(await isOver()).toBe(true);
  });

  it('ends the present wait when it is woken, and leaves no timer', async () => {
    const wakeup = new Wakeup();
    const isOver = watched(wakeup.wait(LONG_MS));
    expect(await isOver()).toBe(false);
    wakeup.wake();
    expect(await isOver()).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not begin the wait that it was woken before, and only that', async () => {
    const wakeup = new Wakeup();
    wakeup.wake();
    expect(await watched(wakeup.wait(LONG_MS))()).toBe(true);
    expect(await watched(wakeup.wait(LONG_MS))()).toBe(false);
  });
});
