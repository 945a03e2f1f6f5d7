import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { createKafka } from '../client/kafka-client.js';
import { PartitionTransaction } from './partition-transaction.js';
import { Publisher } from './publisher.js';
import { TopicReader } from './topic-reader.js';
import { createTopics } from './topics-admin.js';

const PRODUCE = 0;

/** PT1 to PT4 are the invariants of partition-transaction.ts. */
describe('PartitionTransaction on a real broker', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let topic: string;
  const open: PartitionTransaction[] = [];

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'transaction-spec',
      logger: pino({ level: 'silent' }),
    });
  });

  beforeEach(async () => {
    topic = `repair-${randomUUID()}`;
    await createTopics(kafka, [{ topic, partitions: 2, config: {} }], 1);
  });

  afterEach(async () => {
    for (const transaction of open.splice(0)) await transaction.close();
  });

  afterAll(async () => {
    await broker.stop();
  });

  async function begin(by = kafka): Promise<PartitionTransaction> {
    const transaction = await PartitionTransaction.begin(by, { topic, partition: 1, transactionalId: topic });
    open.push(transaction);
    return transaction;
  }

  const messages = (...values: string[]) =>
    values.map((value) => ({ key: `key of ${value}`, headers: { attempt: '1' }, value: Buffer.from(value) }));

  /** What a reader of committed messages sees, up to the first offset behind everything that is decided. */
  async function committed(count: number): Promise<string[]> {
    const reader = await TopicReader.open(kafka, topic, new Map([[1, 0n]]), { maxWaitMs: 100 });
    try {
      const seen: string[] = [];
      for (let silent = 0; seen.length < count && silent < 50;) {
        const fetched = await reader.fetch(new AbortController().signal);
        seen.push(...fetched.map(({ place, value }) => `${place.offset} ${String(value)}`));
        if (fetched.length === 0) silent += 1;
      }
      return seen;
    } finally {
      await reader.close();
    }
  }

  it('appends its messages in a row, request by request, and shows all of them at once (PT1)', async () => {
    const transaction = await begin();
    expect(transaction.sent).toBeNull();
    await transaction.send(messages('a', 'b'));
    await transaction.send([]);
    const large = 'x'.repeat(700_000);
    await transaction.send(messages('c', large, large, 'd'));
    expect(transaction.sent).toEqual({ from: 0, to: 6 });
    await transaction.commit();
    expect((await committed(6)).map((line) => line.slice(0, 3))).toEqual([
      ...['0 a', '1 b', '2 c', '3 x', '4 x', '5 d'],
    ]);
    await transaction.close();
    // Behind the mark that ends a transaction.
    const next = await begin();
    await next.send(messages('e'));
    expect(next.sent).toEqual({ from: 7, to: 8 });
  });

  it('shows nothing of what is not committed, whether it was aborted or its sender has died (PT4)', async () => {
    const aborted = await begin();
    await aborted.send(messages('a'));
    await aborted.close();
    const left = await begin();
    await left.send(messages('b'));
    const next = await begin();
    await next.send(messages('c'));
    await next.commit();
    expect((await committed(1)).map((line) => line.split(' ')[1])).toEqual(['c']);
  });

  it('is visible as soon as its commit resolves, time and again (PT3)', async () => {
    const reader = await TopicReader.open(kafka, topic, new Map());
    for (let round = 0; round < 20; round++) {
      const transaction = await begin();
      await transaction.send(messages('a'));
      await transaction.commit();
      const end = (await reader.ends()).get(1)?.high ?? 0n;
      expect(Number(end)).toBeGreaterThanOrEqual(transaction.sent?.to ?? Infinity);
      await transaction.close();
    }
    await reader.close();
  });

  it('fences the sender before it: that one neither appends nor commits any more', async () => {
    const zombie = await begin();
    await zombie.send(messages('a'));
    const next = await begin();
    await expect(zombie.send(messages('b'))).rejects.toMatchObject({ name: 'SluiceError' });
    await next.send(messages('c'));
    await expect(zombie.commit()).rejects.toMatchObject({ name: 'SluiceError' });
    await next.commit();
    expect((await committed(1)).map((line) => line.split(' ')[1])).toEqual(['c']);
  });

  it('fails when another program writes between its messages (PT1)', async () => {
    const publisher = new Publisher(kafka);
    const transaction = await begin();
    await transaction.send(messages('a'));
    await publisher.send([{ topic, partition: 1, key: 'foreign', headers: {}, value: Buffer.from('y') }]);
    await expect(transaction.send(messages('b'))).rejects.toMatchObject({
      code: 'BROKER_FAULT',
      message: expect.stringContaining('another program writes to it') as unknown,
    });
    await publisher.disconnect();
  });

  it('has each message once when an answer is lost, and the request is sent again (PT2)', async () => {
    let lost = 0;
    const losing = new kafkajs.Kafka({
      brokers: broker.brokers,
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { initialRetryTime: 50, retries: 8 },
      socketFactory: ({ host, port, onConnect }) => {
        const socket = connect(port, host, onConnect);
        loseFirstAnswer(socket, () => lost++ === 0);
        return socket;
      },
    });
    const transaction = await begin(losing);
    await transaction.send(messages('a', 'b'));
    await transaction.send(messages('c'));
    await transaction.commit();
    expect(lost).toBeGreaterThan(1);
    expect(transaction.sent).toEqual({ from: 0, to: 3 });
    expect(await committed(3)).toEqual(['0 a', '1 b', '2 c']);
  });

  it('names a topic that is missing', async () => {
    topic = `missing-${randomUUID()}`;
    const transaction = await begin();
    await expect(transaction.send(messages('a'))).rejects.toMatchObject({
      message: expect.stringContaining(topic) as unknown,
    });
  });
});

/** The broker has what was sent, and the answer to it is never heard. @param isToBeLost asked at each produce request */
function loseFirstAnswer(socket: Socket, isToBeLost: () => boolean): void {
  let loses = false;
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  const emit = socket.emit.bind(socket) as (...args: unknown[]) => boolean;
  const on = (...args: unknown[]): boolean => {
    const [bytes] = args;
    if (Buffer.isBuffer(bytes) && bytes.length > 6 && bytes.readInt16BE(4) === PRODUCE && isToBeLost())
      loses = true;
    return write(...args);
  };
  Object.assign(socket, {
    write: on,
    emit: (...args: unknown[]): boolean => {
      if (!loses || args[0] !== 'data') return emit(...args);
      loses = false;
      socket.destroy();
      // As from a broker that has closed the connection.
      return emit('end');
    },
  });
}
