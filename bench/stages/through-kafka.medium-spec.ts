import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { withAdmin } from '#common/kafka/transport/topics-admin.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { COMPRESSIONS, type Compression, addCodecs, connectSender } from './compressing.js';
import { judgeSlice } from './judging.js';
import { RegistrationSlice } from './registrations.js';
import { cleanMessagesOf, consume, produce, rawMessagesOf, withTopics } from './through-kafka.js';

const ROWS = 10_000;

let broker: TestKafka;
let kafka: Kafka;

beforeAll(async () => {
  broker = await startTestKafka();
  kafka = createKafka({ brokers: broker.brokers, clientId: 'test', logger: pino({ level: 'silent' }) });
  addCodecs();
});

afterAll(() => broker.stop());

describe.each(Object.keys(COMPRESSIONS) as Compression[])('with compression %s', (kind) => {
  it('every byte comes back from the broker, and the topics go', async () => {
    const judged = judgeSlice(new RegistrationSlice(ROWS));
    const messages = [...cleanMessagesOf(judged), ...rawMessagesOf(judged)];
    const bytes = messages.reduce((sum, { message }) => sum + message.value.length, 0);
    const { send, disconnect } = await connectSender(kafka, COMPRESSIONS[kind]);
    const names = await withTopics(kafka, ['raw', 'clean'], async (topics) => {
      const produced = await produce(send, messages, ROWS);
      expect(produced.rows).toBe(ROWS);
      const consumed = await consume(kafka, topics, produced);
      expect(consumed).toMatchObject({ rows: ROWS, bytes });
      return topics;
    });
    await disconnect();
    const left = await withAdmin(kafka, (admin) => admin.listTopics());
    expect(left.filter((topic) => names.includes(topic))).toEqual([]);
  });
});
