import type { Kafka } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText } from '../client/kafka-errors.js';
import { countPartitions, withAdmin } from './topics-admin.js';

/** How far a consumer group has come in a topic. */
export interface GroupProgress {
  /** Messages that are there and not handled. Those that have expired unread do not count: they cannot be handled. */
  readonly lag: bigint;
  /** The offsets that it has committed, in words: the same as long as it handles nothing. */
  readonly committed: string;
  readonly members: number;
  readonly ends: TopicEnds;
  /**
   * Whether every message before these ends, of the same topic at an earlier time, is handled or gone. Those behind them may still
   * wait, so this comes true also where messages never cease to come.
   */
  hasReached(ends: TopicEnds): boolean;
}

/** Partition → the offset behind its last message. */
export type TopicEnds = ReadonlyMap<number, bigint>;

/** @throws SluiceError TOPIC_MISSING, BROKER_FAULT, BROKER_UNAVAILABLE */
export async function groupProgress(kafka: Kafka, groupId: string, topic: string): Promise<GroupProgress> {
  // kafkajs would look for a missing topic for ten seconds when it reads the topic's ends.
  await countPartitions(kafka, [topic], 'READ');
  try {
    return await progressIn(kafka, groupId, topic);
  } catch (error) {
    const text = brokerErrorText(error, { operation: 'DESCRIBE', topic, group: groupId });
    throw new SluiceError(
      brokerErrorCode(error),
      `Cannot read consumer group ${groupId}: ${text}`,
      {},
      { cause: error },
    );
  }
}

async function progressIn(kafka: Kafka, groupId: string, topic: string): Promise<GroupProgress> {
  return withAdmin(kafka, async (admin) => {
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const ends = await admin.fetchTopicOffsets(topic);
    const { groups } = await admin.describeGroups([groupId]);
    const committedOf = (partition: number): string =>
      offsets?.partitions.find((own) => own.partition === partition)?.offset ?? '-1';
    const lag = ends.reduce(
      (sum, { partition, low, high }) =>
        sum + partitionLag(BigInt(committedOf(partition)), BigInt(low), BigInt(high)),
      0n,
    );
    const committed = ends
      .map(({ partition }) => `${partition}:${committedOf(partition)}`)
      .sort()
      .join(' ');
    const behindLastHandled = new Map(
      ends.map(({ partition, low, high }) => [
        partition,
        BigInt(high) - partitionLag(BigInt(committedOf(partition)), BigInt(low), BigInt(high)),
      ]),
    );
    const highs = new Map(ends.map(({ partition, high }) => [partition, BigInt(high)]));
    return {
      lag,
      committed,
      members: groups[0]?.members.length ?? 0,
      ends: highs,
      hasReached: (marks) =>
        [...highs].every(([partition, high]) => {
          const mark = marks.get(partition) ?? 0n;
          // A topic that was made again is shorter than it was.
          return (behindLastHandled.get(partition) ?? 0n) >= (mark < high ? mark : high);
        }),
    };
  });
}

/**
 * Never below 0, so that one partition does not hide another's lag. A committed offset above the end is one of a topic
 * that was lost and made again: the group begins at its first message.
 */
export function partitionLag(committed: bigint, low: bigint, high: bigint): bigint {
  return high - (committed > low && committed <= high ? committed : low);
}
