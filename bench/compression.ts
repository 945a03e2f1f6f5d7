/**
 * What compressing raw batches costs and saves: the choice behind docs/decisions (topics are not compressed).
 *
 *     node dist/bench/compression.js [--megabytes 100] [--rounds 3]
 *
 * Publishes the same generated registrations in batches of the usual size to a broker of its own, uncompressed and
 * with gzip (all that kafkajs brings along), in turns, four requests in flight, and reads them back. Prints seconds and
 * CPU seconds of this process; compare the ratios, not the seconds.
 */
import { parseArgs } from 'node:util';
import kafkajs, { CompressionTypes, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/kafka-client.js';
import { createTopics } from '#common/kafka/topics-admin.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { generate } from '#datasets/tax-registration/generator.js';
import { startKafkaBroker } from '../test/support/kafka.js';

const IN_FLIGHT = 4;
const { values: options } = parseArgs({
  options: { megabytes: { type: 'string', default: '100' }, rounds: { type: 'string', default: '3' } },
});

const broker = await startKafkaBroker();
try {
  const kafka = createKafka({
    brokers: broker.brokers,
    clientId: 'bench',
    logger: pino({ level: 'silent' }),
  });
  const batches = batchesOf(Number(options.megabytes) * 1024 * 1024);
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const [name, compression] of [
      ['none', CompressionTypes.None],
      ['gzip', CompressionTypes.GZIP],
    ] as const) {
      process.stdout.write(
        `${JSON.stringify(await measure(kafka, `bench-${name}-${round}`, compression, batches))}\n`,
      );
    }
  }
} finally {
  await broker.stop();
}

async function measure(
  kafka: Kafka,
  topic: string,
  compression: CompressionTypes,
  batches: readonly Buffer[],
): Promise<object> {
  await createTopics(kafka, [{ topic, partitions: 1, config: {} }], 1);
  const produced = await timed(() => produce(kafka, topic, compression, batches));
  const consumed = await timed(() => consume(kafka, topic, batches.length));
  const admin = kafka.admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  return { topic, produced, consumed };
}

async function produce(
  kafka: Kafka,
  topic: string,
  compression: CompressionTypes,
  batches: readonly Buffer[],
): Promise<void> {
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  const inFlight = new Set<Promise<unknown>>();
  for (const value of batches) {
    while (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight);
    const sending: Promise<unknown> = producer
      .send({ topic, acks: -1, compression, messages: [{ value }] })
      .finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  }
  await Promise.all(inFlight);
  await producer.disconnect();
}

async function consume(kafka: Kafka, topic: string, count: number): Promise<void> {
  const consumer = kafka.consumer({ groupId: topic, maxBytesPerPartition: 2 * 1024 * 1024 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  let read = 0;
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: () => {
          if (++read === count) resolve();
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
}

async function timed(work: () => Promise<void>): Promise<{ seconds: number; cpuSeconds: number }> {
  const start = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { seconds: round((performance.now() - start) / 1e3), cpuSeconds: round((user + system) / 1e6) };
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}

function batchesOf(bytes: number): Buffer[] {
  const batches: Buffer[] = [];
  let pending: Buffer[] = [];
  let size = 0;
  let total = 0;
  for (const chunk of generate({ rows: Math.ceil(bytes / 140), seed: 1 })) {
    pending.push(chunk);
    size += chunk.length;
    if (size < DEFAULT_CUTTING.maxBatchBytes) continue;
    batches.push(Buffer.concat(pending));
    total += size;
    pending = [];
    size = 0;
    if (total >= bytes) break;
  }
  return batches;
}
