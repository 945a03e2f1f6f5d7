import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { IncomingMessage } from '#common/kafka/message.js';
import { readMessages } from '#common/kafka/transport/message-reader.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { createPool } from '#common/postgres/pool.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { ParkedMessageRepository } from '../fold/parked-message.repository.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';

/** PD1 and PD2 are the invariants of parked-decisions.ts. */
describe('what is done about a parked message', () => {
  let server: TestDatabase;
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let pool: pg.Pool;
  let parking: ParkedMessageRepository;
  let api: ReadApiApp;
  let topic: string;

  beforeAll(async () => {
    [server, broker] = await Promise.all([startMigratedDatabase(), startTestKafka()]);
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 2 });
    parking = new ParkedMessageRepository(pool);
    kafka = createKafka({ brokers: broker.brokers, clientId: 'test', logger: pino({ level: 'silent' }) });
    publisher = new Publisher(kafka);
    api = await startReadApi({ databaseUrl: server.url, kafka: { kafka, publisher } });
  });

  afterAll(async () => {
    await api.stop();
    await publisher.disconnect();
    await pool.end();
    await Promise.all([server.stop(), broker.stop()]);
  });

  /** A foreign message at offset 0 of partition 1, parked. */
  beforeEach(async () => {
    topic = `sluice.shops-${randomUUID()}.raw`;
    await createTopics(kafka, [{ topic, partitions: 2, config: {} }], 1);
    const producer = kafka.producer();
    await producer.connect();
    await producer.send({
      topic,
      messages: [
        {
          partition: 1,
          key: Buffer.from([0xff, 0x6b]),
          headers: { v: '9', twice: ['a', 'b'] },
          value: Buffer.from([0, 0xff, 0x0a]),
        },
        { partition: 1, value: null },
      ],
    });
    await producer.disconnect();
    await park('0', '1');
  });

  const park = (...offsets: string[]): Promise<void> =>
    parking.keep(
      offsets.map((offset) => ({
        topic,
        partition: 1,
        offset,
        reason: 'v is 9',
        at: new Date().toISOString(),
      })),
    );

  const request = async (path: string, body?: object): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${api.url}/parked-messages/${topic}/${path}`, {
      ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
      headers: { 'content-type': 'application/json' },
    });
    return { status: response.status, body: await response.json() };
  };

  async function messageAt(offset: string): Promise<IncomingMessage | undefined> {
    let found: IncomingMessage | undefined;
    await readMessages(kafka, [{ topic, partition: 1, offset }], (message) => {
      found = message;
      return Promise.resolve();
    });
    return found;
  }

  it('shows it as it stands in its topic', async () => {
    expect(await request('1/0')).toMatchObject({
      status: 200,
      body: {
        ...{ topic, partition: 1, offset: '0', reason: 'v is 9', state: 'open', decidedAt: null, note: null },
        key: '\ufffdk',
        headers: [
          { name: 'v', value: '9' },
          { name: 'twice', value: 'a' },
          { name: 'twice', value: 'b' },
        ],
        valueBytes: 3,
        valueBase64: Buffer.from([0, 0xff, 0x0a]).toString('base64'),
      },
    });
    expect(await request('1/1')).toMatchObject({ body: { key: null, headers: [], valueBase64: null } });
  });

  it('publishes it again, byte for byte, into its partition, and marks it (PD1)', async () => {
    expect(await request('1/0/retry', {})).toMatchObject({
      status: 200,
      body: { offset: '0', state: 'retried', note: 'published again', decidedAt: expect.any(String) },
    });
    expect(await messageAt('2')).toMatchObject({
      key: Buffer.from([0xff, 0x6b]),
      headers: { v: Buffer.from('9'), twice: [Buffer.from('a'), Buffer.from('b')] },
      value: Buffer.from([0, 0xff, 0x0a]),
    });
    expect(await request('1/1/retry', {})).toMatchObject({ status: 200, body: { state: 'retried' } });
    expect(await messageAt('3')).toMatchObject({ key: null, value: null });
  });

  it('skips it with a reason; a decision is taken once (PD2), and gone when it is parked again', async () => {
    expect(await request('1/0/skip', { reason: 'a test of ours' })).toMatchObject({
      body: { state: 'skipped', note: 'a test of ours' },
    });
    const decided = { status: 409, body: { code: 'PARKED_MESSAGE_DECIDED' } };
    expect(await request('1/0/skip', { reason: 'again' })).toMatchObject(decided);
    expect(await request('1/0/retry', {})).toMatchObject(decided);
    await expect(messageAt('2')).rejects.toMatchObject({ code: 'MESSAGE_EXPIRED' });
    await park('0');
    expect(await request('1/0')).toMatchObject({ body: { state: 'open', decidedAt: null, note: null } });
  });

  it('refuses what was not parked, what is gone, and what is no place or reason', async () => {
    expect(await request('0/0')).toMatchObject({ status: 404, body: { code: 'PARKED_MESSAGE_UNKNOWN' } });
    expect(await request('1/x')).toMatchObject({ status: 400, body: { code: 'REQUEST_INVALID' } });
    expect((await request('1/0/skip', { reason: 'two\nlines' })).body).toMatchObject({
      code: 'REQUEST_INVALID',
    });
    await withAdmin(kafka, async (admin) => {
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '2' }] });
    });
    expect(await request('1/0/retry', {})).toMatchObject({ status: 422, body: { code: 'MESSAGE_EXPIRED' } });
    expect(await request('1/0/skip', { reason: 'it is gone' })).toMatchObject({ body: { state: 'skipped' } });
  });
});
