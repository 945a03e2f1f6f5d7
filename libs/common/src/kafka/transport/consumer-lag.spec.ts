import { describe, expect, it } from '@jest/globals';
import { partitionLag } from './consumer-lag.js';

describe('the lag of a group in a partition', () => {
  it.each([
    ['nothing committed', -1n, 3n, 10n, 7n],
    ['committed in between', 8n, 3n, 10n, 2n],
    ['all handled', 10n, 3n, 10n, 0n],
    ['what was next has expired', 1n, 3n, 10n, 7n],
    ['the topic was made again, and is shorter now', 50n, 0n, 4n, 4n],
    ['the topic was made again, and is empty', 50n, 0n, 0n, 0n],
  ])('%s', (_, committed, low, high, lag) => {
    expect(partitionLag(committed, low, high)).toBe(lag);
  });
});
