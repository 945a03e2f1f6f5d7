import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  beginningOf,
  compareWithInbox,
  hasReached,
  lagOf,
  type LogEnds,
  nextOf,
  rangesText,
  skipLost,
  type StreamPosition,
} from './position.js';

const ends = (...list: readonly (readonly [low: number, high: number])[]): LogEnds[] =>
  list.map(([low, high], partition) => ({ partition, low, high }));

describe('the position of a stream', () => {
  it('begins with what the inbox holds, and misses nothing that was deleted before', () => {
    const inbox = ends([3, 10], [0, 0]);
    const position = beginningOf(inbox);
    expect(compareWithInbox(position, inbox)).toEqual({ lost: [], recreated: [] });
    expect(lagOf(position, inbox)).toBe(7);
  });

  it('reads a partition that was added from its first offset, and misses what of it is gone (PO2)', () => {
    const position = { 0: { next: 4 } };
    expect(nextOf(position, 1)).toBe(0);
    expect(compareWithInbox(position, ends([0, 4], [0, 9])).lost).toEqual([]);
    expect(compareWithInbox(position, ends([0, 4], [2, 9])).lost).toEqual([{ partition: 1, from: 0, to: 2 }]);
  });

  it('says which offsets of which partitions are lost', () => {
    const position = { 0: { next: 4 }, 1: { next: 7 }, 2: { next: 5 } };
    const { lost, recreated } = compareWithInbox(position, ends([9, 20], [7, 7], [6, 6]));
    expect(lost).toEqual([
      { partition: 0, from: 4, to: 9 },
      { partition: 2, from: 5, to: 6 },
    ]);
    expect(recreated).toEqual([]);
    expect(rangesText(lost)).toBe('partition 0: 5 (offsets 4 to 8); partition 2: 1 (offsets 5 to 5)');
  });

  it('knows a topic that was created again by its ends, and by partitions that are gone (PO3)', () => {
    const position = { 0: { next: 4 }, 1: { next: 7 }, 2: { next: 0 } };
    expect(compareWithInbox(position, ends([0, 3])).recreated).toEqual([0, 1]);
    // Where nothing was taken, nothing is missed.
    expect(compareWithInbox(position, ends([0, 4], [0, 7])).recreated).toEqual([]);
  });

  it('is reached when every partition of the target is', () => {
    const target = { 0: { next: 4 }, 1: { next: 0 } };
    expect(hasReached({ 0: { next: 4 } }, target)).toBe(true);
    expect(hasReached({ 0: { next: 3 }, 1: { next: 9 } }, target)).toBe(false);
  });

  it('is one that the inbox fits, once what is lost is skipped, and moves nothing else', () => {
    const anyEnds = fc
      .array(fc.tuple(fc.nat(20), fc.nat(20)), { minLength: 1, maxLength: 4 })
      .map((list) => ends(...list.map(([low, more]) => [low, low + more] as const)));
    const anyPosition = fc.dictionary(
      fc.constantFrom('0', '1', '2', '3', '4'),
      fc.record({ next: fc.nat(50) }),
    );
    fc.assert(
      fc.property(anyPosition, anyEnds, (position: StreamPosition, inbox) => {
        const before = compareWithInbox(position, inbox);
        const after = skipLost(position, inbox);
        expect(compareWithInbox(after, inbox)).toEqual({ lost: [], recreated: [] });
        const moved = new Set([...before.lost.map(({ partition }) => partition), ...before.recreated]);
        for (const { partition } of inbox)
          if (!moved.has(partition)) expect(nextOf(after, partition)).toBe(nextOf(position, partition));
      }),
    );
  });

  it('counts what is in no job yet, also where a part of it is gone', () => {
    expect(lagOf({ 0: { next: 4 }, 1: { next: 2 } }, ends([0, 10], [5, 9]))).toBe(6 + 4);
  });
});
