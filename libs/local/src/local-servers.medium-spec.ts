import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import pg from 'pg';
import { createTopics } from '#common/kafka/transport/topics-admin.js';
import { type TestKafka, startKafkaBroker } from '#test/support/kafka.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { describeBroker } from './kafka/kafka-broker.js';
import { ensureDatabase } from './postgres/postgres-server.js';

describe('the PostgreSQL of a local system', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await startTestDatabase();
  });
  afterAll(() => database.stop());

  it('is UTF-8 with the builtin C.UTF-8 locale, whatever the machine is set to', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<Record<string, string>>(
      `SELECT pg_encoding_to_char(encoding) AS encoding, datlocprovider AS provider, datlocale AS locale
         FROM pg_database WHERE datname = current_database()`,
    );
    await client.end();
    expect(rows).toEqual([{ encoding: 'UTF8', provider: 'b', locale: 'C.UTF-8' }]);
  });

  it('lets no client in without the password', async () => {
    const url = new URL(database.url);
    url.password = 'guessed';
    const client = new pg.Client({ connectionString: url.href });
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
  });

  it('is not taken for the server of other data, and gets no database then', async () => {
    const ensured = ensureDatabase(database.url, 'never_made', '/elsewhere/data');
    await expect(ensured).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query(`SELECT FROM pg_database WHERE datname = 'never_made'`);
    await client.end();
    expect(rows).toEqual([]);
  });
});

describe('the Kafka of a local system', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    kafka = await startKafkaBroker();
  });
  afterAll(() => kafka.stop());

  it('stores and returns a message of 8 MiB, also in a topic without a size setting', async () => {
    const client = new kafkajs.Kafka({ brokers: kafka.brokers, logLevel: kafkajs.logLevel.NOTHING });
    const producer = client.producer();
    await producer.connect();
    await createTopics(client, [{ topic: 'large', partitions: 1, config: {} }], 1);
    const value = Buffer.alloc(8 * 1024 * 1024 - 200, 'x');
    await producer.send({ topic: 'large', acks: -1, messages: [{ value }] });
    const consumer = client.consumer({ groupId: 'large', maxBytesPerPartition: 10 * 1024 * 1024 });
    await consumer.connect();
    await consumer.subscribe({ topics: ['large'], fromBeginning: true });
    const received = await new Promise<number | undefined>((resolve) => {
      void consumer.run({
        eachMessage: ({ message }) => {
          resolve(message.value?.length);
          return Promise.resolve();
        },
      });
    });
    await Promise.all([consumer.disconnect(), producer.disconnect()]);
    expect(received).toBe(value.length);
  });

  it('is not taken for the broker of another cluster', async () => {
    await expect(describeBroker(kafka.brokers[0]!, 'another')).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    });
  });

  it('does not make topics by use', async () => {
    const client = new kafkajs.Kafka({
      brokers: kafka.brokers,
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 1 },
    });
    const producer = client.producer();
    await producer.connect();
    await expect(producer.send({ topic: 'unheard-of', messages: [{ value: 'x' }] })).rejects.toThrow(
      /does not host/,
    );
    await producer.disconnect();
  });
});
