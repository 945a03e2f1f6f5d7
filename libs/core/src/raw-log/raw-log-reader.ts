/**
 * Reads raw batches from a dataset's raw topic, without a consumer group: those of ranges of offsets, or those of one job.
 *
 * - RQ1: no other reader is disturbed: no group is joined, nothing is committed (`TopicReader`).
 * - RQ2: a batch may stand in the topic several times: published again by a job that was resumed, or twice for one send whose
 *   answer was lost. `scan` gives every message; `JobBatches` finds each batch of a job once.
 * - RQ3: whether a message is a raw batch, and one of this deployment, is asked when it is opened (`openRaw`); what cannot be
 *   read as one is the caller's to decide about and never ends the reading.
 * - RQ4: memory is bounded by one answer of each broker and one portion of each partition.
 */
import type { Kafka } from 'kafkajs';
import type { MessagePlace, ReadMessage } from '#common/kafka/message.js';
import type { PartitionEnds } from '#common/kafka/transport/offset-out-of-range.js';
import { type OffsetRange, readRanges } from '#common/kafka/transport/read-ranges.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { topicOf } from '../message/topics.js';

export type { OffsetRange } from '#common/kafka/transport/read-ranges.js';

/** One partition is read at a time. A single larger message comes all the same. */
const BYTES_AT_ONCE = 4 * 1024 * 1024;
/** Of what is read ahead in all partitions together, when single places are read. */
const BYTES_AHEAD = 16 * 1024 * 1024;

export class RawLogReader {
  /** By partition what was read ahead, in the order of offsets. */
  private readonly ahead = new Map<number, ReadMessage[]>();

  private constructor(
    readonly topic: string,
    private readonly reader: TopicReader,
  ) {}

  /**
   * @param partitions of which single places are read ({@link at}) in turns: they share what is read ahead
   * @throws SluiceError TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT
   */
  static async open(kafka: Kafka, dataset: string, partitions = 1): Promise<RawLogReader> {
    const topic = topicOf(dataset, 'raw');
    const share = Math.max(256 * 1024, Math.floor(BYTES_AHEAD / Math.max(1, partitions)));
    const maxPartitionBytes = Math.min(BYTES_AT_ONCE, share);
    const limits = { maxBytes: BYTES_AT_ONCE, maxPartitionBytes };
    return new RawLogReader(topic, await TopicReader.open(kafka, topic, new Map(), limits));
  }

  /** What every partition has now. @throws SluiceError as {@link open} */
  ends(): Promise<ReadonlyMap<number, PartitionEnds>> {
    return this.reader.ends();
  }

  /**
   * By partition the offset of its first message of this time or a later one, by the ingestors' clocks; its end without one.
   * @throws SluiceError as {@link open}
   */
  offsetsAt(time: Date): Promise<ReadonlyMap<number, bigint>> {
    return this.reader.offsetsAt(time.getTime());
  }

  /**
   * Every message of the ranges once, range by range, by offset.
   * @throws as `readRanges`: OffsetOutOfRange for what retention has deleted
   */
  scan(ranges: readonly OffsetRange[], signal: AbortSignal): AsyncGenerator<readonly ReadMessage[]> {
    this.ahead.clear();
    return readRanges(this.reader, ranges, signal);
  }

  /**
   * The message at a place, null when there is none. Ascending places of a partition are read ahead; to go back is to read again.
   * @throws as {@link scan}
   */
  async at(
    { partition, offset }: Omit<MessagePlace, 'topic'>,
    signal: AbortSignal,
  ): Promise<ReadMessage | null> {
    const wanted = BigInt(offset);
    const held = this.ahead.get(partition) ?? [];
    const [first] = held;
    const last = held.at(-1);
    if (
      first === undefined ||
      last === undefined ||
      wanted < BigInt(first.place.offset) ||
      wanted > BigInt(last.place.offset)
    )
      return this.fetchedAt(partition, wanted, signal);
    const at = held.findIndex(({ place }) => BigInt(place.offset) >= wanted);
    // What was passed is not held any longer.
    const rest = held.slice(at);
    this.ahead.set(partition, rest);
    return rest[0]?.place.offset === offset ? rest[0] : null;
  }

  async close(): Promise<void> {
    this.ahead.clear();
    await this.reader.close();
  }

  private async fetchedAt(
    partition: number,
    wanted: bigint,
    signal: AbortSignal,
  ): Promise<ReadMessage | null> {
    this.ahead.delete(partition);
    const range = { partition, from: Number(wanted), to: Number.MAX_SAFE_INTEGER };
    for await (const messages of readRanges(this.reader, [range], signal)) {
      this.ahead.set(partition, [...messages]);
      const [first] = messages;
      return first !== undefined && BigInt(first.place.offset) === wanted ? first : null;
    }
    return null;
  }
}
