import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { socketsTo } from '#test/support/sockets-to.js';
import type { MessageHarness } from '../source-harness.js';

let broker: TestKafka;
let kafka: Kafka;

/** Partition 1 of a topic of two; the range is what was put there first. What is read is counted by the sockets themselves. */
const harness: MessageHarness = {
  async begin() {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'topic-kind-spec',
      logger: pino({ level: 'silent' }),
    });
    return { kafkaBrokers: broker.brokers.join(',') };
  },

  end: () => broker.stop(),

  async start(values) {
    const topic = `kind-${randomUUID()}`;
    await put(topic, values);
    const sockets = new Set(socketsTo(broker));
    const own = (): Socket[] => socketsTo(broker).filter((socket) => !sockets.has(socket));
    const seen = new Map<Socket, number>();
    return {
      uri: `topic://${topic}?1=0-${values.length}`,
      secrets: [],
      replace: async (others) => {
        await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
        await put(topic, others);
      },
      remove: () => withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] })),
      pulledBytes: () => {
        for (const socket of own()) seen.set(socket, socket.bytesRead);
        return [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
      },
      openHandles: () => Promise.resolve(own().length),
      stop: () => Promise.resolve(),
    };
  },
};

export default harness;

async function put(topic: string, values: readonly (Buffer | null)[]): Promise<void> {
  await createTopics(kafka, [{ topic, partitions: 2, config: { 'max.message.bytes': '8388608' } }], 1);
  const publisher = new Publisher(kafka);
  await publisher.send(values.map((value) => ({ topic, partition: 1, key: null, headers: {}, value })));
  await publisher.disconnect();
}
