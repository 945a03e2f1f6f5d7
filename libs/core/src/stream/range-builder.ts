import type { StreamSettings } from '#api/streams.js';
import type { OffsetRange } from './position.js';

/**
 * Gathers messages of an inbox into ranges, each of which becomes one job. PURE: the caller has the clock.
 *
 * Invariants
 * - RA1: a range is closed by count, bytes or time, whichever comes first; a single message that is larger than the bound
 *   is a range of its own. An empty range is never closed.
 * - RA2: the ranges of a partition follow each other without a gap: each begins where the one before ended, also where
 *   offsets are missing that no reader sees (aborted transactions, their markers, compacted messages).
 * - RA3: messages of a closed range stand in the order of (partition, offset), in which the job numbers its records.
 * - RA4: what was offered and is in no closed range yet is all that is held: the caller stops reading while that is enough
 *   for a range.
 */
export interface QueuedMessage {
  readonly partition: number;
  readonly offset: number;
  /** Key, value and headers as they travel. */
  readonly bytes: number;
  /** Milliseconds since 1970, as the producer or the broker set it. */
  readonly timestamp: number;
}

export interface ClosedRange<M extends QueuedMessage> {
  readonly messages: readonly M[];
  /** By partition, ascending. */
  readonly ranges: readonly OffsetRange[];
  readonly bytes: number;
  /** Of its oldest message. */
  readonly oldest: number;
  readonly closedBy: 'records' | 'bytes' | 'time';
}

export const DEFAULT_STREAM_SETTINGS: StreamSettings = {
  maxRecords: 20_000,
  maxBytes: 4 * 1024 * 1024,
  maxMs: 1_000,
};

export class RangeBuilder<M extends QueuedMessage> {
  private queue: M[] = [];
  private queuedBytes = 0;
  /** When the first message came that is in no closed range, and when the last ones came. */
  private openedAt = 0;
  private offeredAt = 0;

  /**
   * @param settings may be replaced while a range is open
   * @param nextOf where the next range of a partition begins
   */
  constructor(
    public settings: StreamSettings,
    private readonly nextOf: (partition: number) => number,
  ) {}

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** There is enough for a range: nothing more should be read before it is closed. */
  get isFull(): boolean {
    const { maxRecords, maxBytes } = this.settings;
    return this.queue.length >= maxRecords || this.queuedBytes >= maxBytes;
  }

  /** Timestamp of the oldest message that is in no closed range; null when there is none. */
  get oldest(): number | null {
    return this.isEmpty ? null : oldestOf(this.queue);
  }

  offer(messages: readonly M[], now: number): void {
    if (messages.length === 0) return;
    if (this.isEmpty) this.openedAt = now;
    this.offeredAt = now;
    for (const message of messages) {
      this.queue.push(message);
      this.queuedBytes += message.bytes;
    }
  }

  /** Milliseconds until the open range closes by time; Infinity when it is empty. */
  msToClose(now: number): number {
    return this.isEmpty ? Infinity : Math.max(0, this.openedAt + this.settings.maxMs - now);
  }

  /**
   * @param atOnce the open range closes whatever its age: nothing more is waited for
   * @returns the range that is closed now; null when none is
   */
  close(now: number, atOnce = false): ClosedRange<M> | null {
    if (this.isEmpty) return null;
    if (!this.isFull && !atOnce && this.msToClose(now) > 0) return null;
    const { count, bytes, closedBy } = this.takeable();
    const messages = this.queue.slice(0, count);
    this.queue = this.queue.slice(count);
    this.queuedBytes -= bytes;
    // Reading stops while there is enough for a range, so what is left came with the last messages.
    this.openedAt = this.offeredAt;
    messages.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    return { messages, ranges: this.rangesOf(messages), bytes, oldest: oldestOf(messages), closedBy };
  }

  /** RA1 */
  private takeable(): { count: number; bytes: number; closedBy: ClosedRange<M>['closedBy'] } {
    const { maxRecords, maxBytes } = this.settings;
    let count = 0;
    let bytes = 0;
    for (const message of this.queue) {
      if (count > 0 && bytes + message.bytes > maxBytes) return { count, bytes, closedBy: 'bytes' };
      count += 1;
      bytes += message.bytes;
      if (count >= maxRecords) return { count, bytes, closedBy: 'records' };
      if (bytes >= maxBytes) return { count, bytes, closedBy: 'bytes' };
    }
    return { count, bytes, closedBy: 'time' };
  }

  /** RA2 @param messages sorted */
  private rangesOf(messages: readonly M[]): OffsetRange[] {
    const ranges = new Map<number, OffsetRange>();
    for (const { partition, offset } of messages) {
      const from = ranges.get(partition)?.from ?? this.nextOf(partition);
      ranges.set(partition, { partition, from, to: offset + 1 });
    }
    return [...ranges.values()];
  }
}

function oldestOf(messages: readonly QueuedMessage[]): number {
  return messages.reduce((oldest, { timestamp }) => Math.min(oldest, timestamp), Infinity);
}
