import type { LostOffsets } from '#api/streams.js';

/**
 * How far a stream has come in each partition of its inbox. PURE.
 *
 * - PO1: the position of a partition is the end of the last range of it that became part of a job; ranges are contiguous.
 * - PO2: a partition without a position is a new one: all of it is to be read, from offset 0.
 * - PO3: kafkajs shows no id of a topic, so that a topic that was created again is known by offsets that are gone from its
 *   end, or by another message at the place of the last one that was taken.
 */
export interface PartitionPosition {
  /** The next offset that becomes part of a job. */
  readonly next: number;
  /** The last message that became part of one, where there was one. */
  readonly last?: LastMessage;
}

/** Proves that the topic is still the same one. */
export interface LastMessage {
  readonly offset: number;
  /** Of key and value, in hex. */
  readonly sha256: string;
}

/** By partition number. */
export type StreamPosition = Readonly<Record<string, PartitionPosition>>;

/** The offsets that a partition holds: [low, high). */
export interface LogEnds {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

/** [from, to) of one partition. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** What a stream finds when it looks at its inbox again. */
export interface InboxFindings {
  /** Offsets that were never read, and have been deleted since. */
  readonly lost: readonly LostOffsets[];
  /** Partitions that end before their position. */
  readonly recreated: readonly number[];
}

/** The offset at which a partition is read on. */
export function nextOf(position: StreamPosition, partition: number): number {
  return position[partition]?.next ?? 0;
}

/** The position of a stream that begins: what the inbox holds is taken, what has been deleted before is not missed. */
export function beginningOf(ends: readonly LogEnds[]): StreamPosition {
  return Object.fromEntries(ends.map(({ partition, low }) => [partition, { next: low }]));
}

/** Compares a position with what the inbox holds now. */
export function compareWithInbox(position: StreamPosition, ends: readonly LogEnds[]): InboxFindings {
  const known = new Map(ends.map((one) => [one.partition, one]));
  const lost = ends.flatMap(({ partition, low, high }) => {
    const from = nextOf(position, partition);
    return from < low && from <= high ? [{ partition, from, to: low }] : [];
  });
  const shorter = ends.filter(({ partition, high }) => nextOf(position, partition) > high);
  const gone = Object.entries(position)
    .filter(([partition, { next }]) => !known.has(Number(partition)) && next > 0)
    .map(([partition]) => Number(partition));
  return { lost, recreated: [...shorter.map(({ partition }) => partition), ...gone].sort((a, b) => a - b) };
}

/**
 * Continues behind what is lost: an expired partition at its first offset that is there, one of a topic that was created
 * again at its beginning.
 * @param restarted partitions that hold other messages than before though their offsets fit
 */
export function skipLost(
  position: StreamPosition,
  ends: readonly LogEnds[],
  restarted: readonly number[] = [],
): StreamPosition {
  const { lost, recreated } = compareWithInbox(position, ends);
  const moved = new Set([...lost.map(({ partition }) => partition), ...recreated, ...restarted]);
  return Object.fromEntries(
    ends.map(({ partition, low }) => [
      partition,
      moved.has(partition) ? { next: low } : (position[partition] ?? { next: 0 }),
    ]),
  );
}

/** Messages that are in no job yet. */
export function lagOf(position: StreamPosition, ends: readonly LogEnds[]): number {
  return ends.reduce((sum, { partition, low, high }) => {
    return sum + Math.max(0, high - Math.max(low, nextOf(position, partition)));
  }, 0);
}

/** Whether everything before `target` has been taken: what a drained stream waits for. */
export function hasReached(position: StreamPosition, target: StreamPosition): boolean {
  return Object.entries(target).every(([partition, { next }]) => nextOf(position, Number(partition)) >= next);
}

/** Ranges as people read them: `0: 17–42 (25), 3: 0–9 (9)`. */
export function rangesText(ranges: readonly LostOffsets[]): string {
  return ranges
    .map(({ partition, from, to }) => `partition ${partition}: ${to - from} (offsets ${from} to ${to - 1})`)
    .join('; ');
}
