import type { Kafka } from 'kafkajs';
import type { ReadMessage } from '#common/kafka/message.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { eventually } from '#test/support/eventually.js';
import { parseTopicAddress } from '../sources/topic/topic-address.js';

/** What a job at this address of one partition would read. */
export async function messagesOf(kafka: Kafka, address: string): Promise<ReadMessage[]> {
  const { topic, ranges } = parseTopicAddress(address);
  const { from, to } = ranges[0] ?? { from: 0, to: 0 };
  const reader = await TopicReader.open(kafka, topic, new Map([[0, BigInt(from)]]), { maxWaitMs: 100 });
  try {
    const messages: ReadMessage[] = [];
    await eventually(async () => {
      const fetched = await reader.fetch(new AbortController().signal);
      messages.push(...fetched.filter(({ place }) => Number(place.offset) < to));
      return Number(reader.next.get(0)) >= to;
    }, `the messages up to ${to}`);
    return messages;
  } finally {
    await reader.close();
  }
}
