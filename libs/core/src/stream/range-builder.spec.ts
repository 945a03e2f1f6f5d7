import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type ClosedRange, type QueuedMessage, RangeBuilder } from './range-builder.js';

const SETTINGS = { maxRecords: 5, maxBytes: 100, maxMs: 1_000 };

/** A log of some partitions with gaps that no reader sees, in the order in which a reader brings it. */
const arrivals = fc.array(
  fc.record({
    partition: fc.integer({ min: 0, max: 3 }),
    gap: fc.integer({ min: 0, max: 2 }),
    bytes: fc.integer({ min: 0, max: 120 }),
    timestamp: fc.integer({ min: 1, max: 1_000_000 }),
    /** Milliseconds until it comes, and whether what came is looked at then. */
    afterMs: fc.integer({ min: 0, max: 600 }),
    looks: fc.boolean(),
  }),
  { maxLength: 60 },
);

/** What an owner of a stream does with it: the position moves with each range. */
function play(log: readonly (QueuedMessage & { afterMs: number; looks: boolean })[]): {
  ranges: ClosedRange<QueuedMessage>[];
  waited: number[];
} {
  const position = new Map<number, number>();
  const builder = new RangeBuilder<QueuedMessage>(SETTINGS, (partition) => position.get(partition) ?? 0);
  const ranges: ClosedRange<QueuedMessage>[] = [];
  const waited: number[] = [];
  const arrivedAt = new Map<QueuedMessage, number>();
  let now = 0;
  const closeAll = (atOnce = false): void => {
    for (;;) {
      const range = builder.close(now, atOnce);
      if (range === null) return;
      ranges.push(range);
      waited.push(now - Math.min(...range.messages.map((message) => arrivedAt.get(message) ?? 0)));
      for (const { partition, to } of range.ranges) position.set(partition, to);
    }
  };
  for (const message of log) {
    now += Math.min(message.afterMs, builder.msToClose(now));
    closeAll();
    arrivedAt.set(message, now);
    builder.offer([message], now);
    if (message.looks || builder.isFull) closeAll();
  }
  closeAll(true);
  return { ranges, waited };
}

describe('RangeBuilder', () => {
  it('puts every message into exactly one range, in contiguous ranges of each partition (RA1, RA2, RA3)', () => {
    fc.assert(
      fc.property(arrivals, (steps) => {
        const next = new Map<number, number>();
        const log = steps.map(({ partition, gap, ...rest }) => {
          const offset = (next.get(partition) ?? 0) + gap;
          next.set(partition, offset + 1);
          return { partition, offset, ...rest };
        });
        const { ranges, waited } = play(log);
        const ends = new Map<number, number>();
        for (const range of ranges) {
          expect(range.messages.length).toBeGreaterThan(0);
          expect(range.messages.length).toBeLessThanOrEqual(SETTINGS.maxRecords);
          if (range.messages.length > 1) expect(range.bytes).toBeLessThanOrEqual(SETTINGS.maxBytes);
          expect(range.bytes).toBe(range.messages.reduce((sum, { bytes }) => sum + bytes, 0));
          expect(range.oldest).toBe(Math.min(...range.messages.map(({ timestamp }) => timestamp)));
          for (const { partition, from, to } of range.ranges) {
            expect(from).toBe(ends.get(partition) ?? 0);
            ends.set(partition, to);
            const own = range.messages.filter((message) => message.partition === partition);
            expect(own.every(({ offset }) => offset >= from && offset < to)).toBe(true);
            expect(own.at(-1)?.offset).toBe(to - 1);
          }
          const places = range.messages.map(({ partition, offset }) => partition * 1_000 + offset);
          expect(places).toEqual(places.toSorted((a, b) => a - b));
        }
        const place = ({ partition, offset }: QueuedMessage): string => `${partition}/${offset}`;
        expect(ranges.flatMap(({ messages }) => messages.map(place)).sort()).toEqual(log.map(place).sort());
        expect(ends).toEqual(next);
        for (const ms of waited) expect(ms).toBeLessThanOrEqual(SETTINGS.maxMs);
      }),
    );
  });

  const message = (offset: number, bytes = 1): QueuedMessage => ({
    ...{ partition: 0, offset, bytes, timestamp: 1_000 + offset },
  });
  const builder = (): RangeBuilder<QueuedMessage> => new RangeBuilder(SETTINGS, () => 0);

  it('closes by count, by bytes, and by the age of the first message', () => {
    const counted = builder();
    counted.offer(
      [0, 1, 2, 3, 4, 5, 6].map((offset) => message(offset)),
      0,
    );
    expect(counted.close(0)).toMatchObject({ closedBy: 'records', ranges: [{ from: 0, to: 5 }] });
    expect(counted.close(999)).toBeNull();
    expect(counted.msToClose(400)).toBe(600);
    expect(counted.close(1_000)).toMatchObject({ closedBy: 'time', messages: [message(5), message(6)] });

    const large = builder();
    large.offer([message(0, 40), message(1, 61), message(2, 10)], 0);
    expect(large.close(0)).toMatchObject({ closedBy: 'bytes', bytes: 40 });
    expect(large.close(0)).toBeNull();
    large.offer([message(3, 500)], 10);
    expect(large.close(10)).toMatchObject({ closedBy: 'bytes', bytes: 71 });
    expect(large.close(10)).toMatchObject({ closedBy: 'bytes', bytes: 500 });
  });

  it('never closes an empty range, and says so', () => {
    const empty = builder();
    expect([empty.close(0, true), empty.msToClose(0), empty.oldest]).toEqual([null, Infinity, null]);
  });

  it('knows its oldest message by the producers’ clocks, which need not agree with the order', () => {
    const mixed = builder();
    mixed.offer(
      [
        { ...message(0), timestamp: 9 },
        { ...message(1), timestamp: 3 },
      ],
      0,
    );
    expect(mixed.oldest).toBe(3);
  });
});
