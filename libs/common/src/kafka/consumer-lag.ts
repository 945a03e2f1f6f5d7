import type { Kafka } from 'kafkajs';
import { withAdmin } from './topics-admin.js';

/**
 * How many messages of a topic a group has still to handle: those that are there and not committed. Messages that
 * have expired unread do not count, because nobody can handle them any more.
 */
export async function consumerLag(kafka: Kafka, groupId: string, topic: string): Promise<bigint> {
  return withAdmin(kafka, async (admin) => {
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const ends = await admin.fetchTopicOffsets(topic);
    return ends.reduce((lag, { partition, low, high }) => {
      const offset = committed?.partitions.find((own) => own.partition === partition)?.offset ?? '-1';
      const next = BigInt(offset) > BigInt(low) ? BigInt(offset) : BigInt(low);
      return lag + (BigInt(high) - next);
    }, 0n);
  });
}
