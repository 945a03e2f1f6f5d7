import { describe, expect, it } from '@jest/globals';
import { inboxMessage } from './stream-job.js';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const place = { topic: 'sluice.things.inbox', partition: 3, offset: '17' };

describe('inboxMessage', () => {
  it.each([
    ['its own', 1_700_000_000_000, 1_700_000_000_000],
    ['none', -1, NOW],
    ['zero', 0, NOW],
    ['nanoseconds in place of milliseconds, which are no date', 9_007_199_254_740_991, NOW],
  ])('has a time that can be stored: %s', (_, timestamp, expected) => {
    const { timestamp: found } = inboxMessage({ place, timestamp, key: null, value: null, headers: {} }, NOW);
    expect(found).toBe(expected);
    expect(() => new Date(found).toISOString()).not.toThrow();
  });

  it('counts the bytes that travel: key, value and headers', () => {
    const message = {
      ...{ place, timestamp: NOW, key: Buffer.from('key'), value: Buffer.from('value') },
      headers: { one: Buffer.from('1'), two: [Buffer.from('2'), 'é'], none: undefined },
    };
    expect(inboxMessage(message, NOW)).toMatchObject({
      partition: 3,
      offset: 17,
      bytes: 3 + 5 + 4 + 4 + 5 + 4,
    });
  });
});
