import type { Kafka } from 'kafkajs';
import { SluiceError } from '../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText } from './kafka-errors.js';
import { countPartitions, withAdmin } from './topics-admin.js';

/** How far a consumer group has come in a topic. */
export interface GroupProgress {
  /** Messages that are there and not handled. Those that have expired unread do not count: they cannot be handled. */
  readonly lag: bigint;
  /** The offsets that it has committed, in words: the same as long as it handles nothing. */
  readonly committed: string;
  readonly members: number;
}

/** @throws SluiceError TOPIC_MISSING, BROKER_FAULT, BROKER_UNAVAILABLE */
export async function groupProgress(kafka: Kafka, groupId: string, topic: string): Promise<GroupProgress> {
  // Asked for its ends, a topic that is not there is looked for again for ten seconds.
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
    return { lag, committed, members: groups[0]?.members.length ?? 0 };
  });
}

/**
 * Never below 0, so that one partition does not hide another's lag. A committed offset above the end is one of a topic
 * that was lost and made again: the group begins at its first message.
 */
export function partitionLag(committed: bigint, low: bigint, high: bigint): bigint {
  return high - (committed > low && committed <= high ? committed : low);
}
