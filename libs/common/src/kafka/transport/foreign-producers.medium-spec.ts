import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { librdkafkaFolder } from '#test/support/foreign-clients.js';
import { type ForeignClient, SENT_COUNT, runProducer } from '#test/support/foreign-producers.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { createKafka } from '../client/kafka-client.js';
import type { ReadMessage } from '../message.js';
import { TopicReader } from './topic-reader.js';
import { createTopics } from './topics-admin.js';

/** What every producer in test/fixtures/producers sends. */
const SENT = Array.from({ length: SENT_COUNT }, (_, at) => ({
  key: at % 3 === 0 ? null : `key ${at}`,
  value: `value ${at} ${'x'.repeat(at)}`,
  timestamp: 1_700_000_000_000 + at,
  trace: at % 2 === 0 ? ['ff', at.toString(16).padStart(2, '0')].join('') : null,
}));

const HAS_LIBRDKAFKA = (await librdkafkaFolder()) !== null;

describe('what other clients send, TopicReader reads', () => {
  let broker: TestKafka;
  let kafka: Kafka;

  beforeAll(async () => {
    broker = await startTestKafka();
    const logger = pino({ level: 'silent' });
    kafka = createKafka({ brokers: broker.brokers, clientId: 'foreign-spec', logger });
  });

  afterAll(() => broker.stop());

  async function read(topic: string): Promise<ReadMessage[]> {
    const reader = await TopicReader.open(kafka, topic, new Map([[0, 0n]]), { maxWaitMs: 200 });
    try {
      const messages: ReadMessage[] = [];
      const end = (await reader.ends()).get(0)?.high ?? 0n;
      while ((reader.next.get(0) ?? end) < end)
        messages.push(...(await reader.fetch(AbortSignal.timeout(60_000))));
      return messages;
    } finally {
      await reader.close();
    }
  }

  /** @param noKey what the client sends for a message without a key */
  async function expectSent(topic: string, noKey: string | null = null): Promise<void> {
    const messages = await read(topic);
    expect(
      messages.map(({ key, value, timestamp, headers }) => ({
        key: key?.toString() ?? null,
        value: value?.toString(),
        timestamp,
        trace: (headers['trace'] as Buffer | undefined)?.toString('hex') ?? null,
      })),
    ).toEqual(SENT.map((sent) => ({ ...sent, key: sent.key ?? noKey })));
  }

  /** Makes the topics that a client sends to, and runs it. */
  async function produced(
    client: ForeignClient,
    names: readonly string[],
  ): Promise<(name: string) => string> {
    const prefix = `foreign-${randomUUID()}-`;
    // What they send bears dates of 2023, which a broker deletes after a week, soon after it has started or minutes later.
    const config = { 'retention.ms': '-1' };
    const topics = names.map((name) => ({ topic: `${prefix}${name}`, partitions: 1, config }));
    await createTopics(kafka, topics, 1);
    await runProducer(client, broker.brokers, prefix);
    return (name) => prefix + name;
  }

  it('Apache Kafka’s client: every compression, idempotent, transactions with some that are aborted', async () => {
    const names = ['none', 'gzip', 'snappy', 'lz4', 'zstd', 'transactions'];
    const topicOf = await produced('apache', names);
    for (const name of names) await expectSent(topicOf(name));
  });

  (HAS_LIBRDKAFKA ? it : it.skip)('librdkafka: every compression, idempotent', async () => {
    const names = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
    const topicOf = await produced('librdkafka', names);
    for (const name of names) await expectSent(topicOf(name));
  });

  it.each<[ForeignClient, string[], string | null]>([
    ['kafkajs', ['none', 'gzip'], null],
    ['platformatic', ['none', 'gzip', 'snappy', 'lz4'], ''],
  ])('%s: %j', async (client, codecs, noKey) => {
    const topicOf = await produced(client, codecs);
    for (const codec of codecs) await expectSent(topicOf(codec), noKey);
  });
});
