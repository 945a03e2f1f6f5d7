import { randomUUID } from 'node:crypto';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { MessageSeal } from '#core/message/message-seal.js';
import { encodeRawMessage } from '#core/message/raw-message.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { socketsTo } from '#test/support/sockets-to.js';
import type { MessageHarness } from '../source-harness.js';
import { rawAddress } from './raw-address.js';

const PARTITIONS = 2;
const SECRET = 'the secret of this deployment';

let broker: TestKafka;
let kafka: Kafka;

/** Each value is a batch of one job, over two partitions; those of null are empty. */
const harness: MessageHarness = {
  looksThrough: true,
  hasNulls: false,

  async begin() {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'raw-kind-spec',
      logger: pino({ level: 'silent' }),
    });
    return { kafkaBrokers: broker.brokers.join(','), messageKey: SECRET };
  },

  end: () => broker.stop(),

  async start(values) {
    const dataset = `kind-${randomUUID()}`;
    const job = randomUUID();
    const topic = `sluice.${dataset}.raw`;
    await put(dataset, job, values);
    const sockets = new Set(socketsTo(broker));
    const own = () => socketsTo(broker).filter((socket) => !sockets.has(socket));
    const seen = new Map<object, number>();
    return {
      uri: rawAddress({
        ...{ dataset, job, firstEpoch: 1, isSealed: true, batches: values.length },
        ranges: Array.from({ length: PARTITIONS }, (_, partition) => ({
          ...{ partition, from: 0 },
          to: Math.ceil((values.length - partition) / PARTITIONS),
        })),
      }),
      secrets: [],
      replace: async (others) => {
        await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
        await put(dataset, job, others);
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

async function put(dataset: string, job: string, values: readonly (Buffer | null)[]): Promise<void> {
  const config = { 'max.message.bytes': '8388608' };
  await createTopics(kafka, [{ topic: `sluice.${dataset}.raw`, partitions: PARTITIONS, config }], 1);
  const publisher = new Publisher(kafka);
  const seal = MessageSeal.of(SECRET);
  const messages = values.map((value, batch) => {
    const bytes = value ?? Buffer.alloc(0);
    const facts = {
      dataset,
      job,
      epoch: 1,
      format: 'csv',
      columns: ['a'],
      context: {},
      options: {},
    } as const;
    const numbers = { batch, firstRecord: batch, firstLine: batch + 1, records: 1, lines: 1 };
    return encodeRawMessage(
      {
        ...{ ...facts, contractVersion: 1, attempt: 0 },
        batch: { ...numbers, byteStart: 0, byteEnd: bytes.length, bytes, unreadable: [] },
      },
      PARTITIONS,
    );
  });
  await publisher.send(messages.map((message) => seal?.sealed(message) ?? message));
  await publisher.disconnect();
}
