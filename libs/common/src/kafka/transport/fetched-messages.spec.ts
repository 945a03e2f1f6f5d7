import { describe, expect, it } from '@jest/globals';
import { groupsWithin } from './fetched-messages.js';

const BOUNDS = { maxGroupBytes: 3000, maxGroupMessages: 64 };

describe('groups of messages', () => {
  const sizes = (bytes: readonly number[], bounds = BOUNDS): number[] =>
    groupsWithin(bytes, bounds, (each) => each).map(({ length }) => length);

  it('stay within the bytes and the messages, and a larger message goes alone', () => {
    expect(sizes([1001, 1001, 1001, 1001])).toEqual([2, 2]);
    expect(sizes([1000, 1000, 1000, 1])).toEqual([3, 1]);
    expect(sizes([6000, 1])).toEqual([1, 1]);
    expect(sizes(Array.from({ length: 65 }, () => 1))).toEqual([64, 1]);
    expect(sizes([1, 1, 3000], { ...BOUNDS, maxGroupMessages: Infinity })).toEqual([2, 1]);
    expect(sizes([])).toEqual([]);
  });

  it('keep every message, in order', () => {
    expect(groupsWithin([2000, 1500, 10], BOUNDS, (each) => each)).toEqual([[2000], [1500, 10]]);
  });
});
