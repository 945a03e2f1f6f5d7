import { SluiceError } from '../../errors/sluice-error.js';
import type { ReadMessage } from '../message.js';
import type { TopicReader } from './topic-reader.js';

/** The messages of a partition from `from` on, and before `to`. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** What was there when the range was chosen is there: brokers that give none of it for so long are not well. */
const MAX_MS_WITHOUT_PROGRESS = 30_000;

/**
 * Every message of the ranges once, range by range, in the order of their offsets. Places without a message (marks of
 * transactions, what was aborted or compacted) are skipped. An empty range is not looked at.
 * @param reader without a partition to read; at the end it has none again
 * @throws OffsetOutOfRange
 * @throws SluiceError TOPIC_MISSING, PARTITION_MISSING, BROKER_FAULT; BROKER_UNAVAILABLE when nothing comes for 30 s; the
 *   signal's reason
 */
export async function* readRanges(
  reader: TopicReader,
  ranges: readonly OffsetRange[],
  signal: AbortSignal,
): AsyncGenerator<readonly ReadMessage[]> {
  for (const { partition, from: first, to: last } of ranges) {
    const [from, to] = [BigInt(first), BigInt(last)];
    if (from >= to) continue;
    reader.moveTo(partition, from);
    try {
      for (let progressedAt = performance.now(), at = from; at < to;) {
        const fetched = await reader.fetch(signal);
        const messages = fetched.filter(({ place }) => BigInt(place.offset) < to);
        if (messages.length > 0) yield messages;
        const next = reader.next.get(partition) ?? to;
        // What its caller took for a portion is not the brokers' time.
        if (next > at || messages.length > 0) progressedAt = performance.now();
        else if (performance.now() - progressedAt > MAX_MS_WITHOUT_PROGRESS)
          throw new SluiceError(
            'BROKER_UNAVAILABLE',
            `${reader.topic}: the brokers give nothing from offset ${at} of partition ${partition} on.`,
          );
        at = next;
      }
    } finally {
      reader.leave(partition);
    }
  }
}
