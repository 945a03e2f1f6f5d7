import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Kafka, type Transaction } from 'kafkajs';
import { pino } from 'pino';
import { eventually } from '#test/support/eventually.js';
import { type TestKafka, growTopic, startTestKafka } from '#test/support/kafka.js';
import { createKafka } from '../client/kafka-client.js';
import type { ReadMessage } from '../message.js';
import { OffsetOutOfRange } from './offset-out-of-range.js';
import { Publisher } from './publisher.js';
import { TopicReader } from './topic-reader.js';
import { createTopics, withAdmin } from './topics-admin.js';

/** TR1 to TR4 are the invariants of topic-reader.ts. */
describe('TopicReader on a real broker', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let topic: string;
  let reader: TopicReader | null = null;
  const never = new AbortController().signal;

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'topic-reader-spec',
      logger: pino({ level: 'silent' }),
    });
    publisher = new Publisher(kafka);
  });

  beforeEach(async () => {
    topic = `inbox-${randomUUID()}`;
    await createTopics(kafka, [{ topic, partitions: 3, config: {} }], 1);
  });

  afterEach(async () => {
    await reader?.close();
    reader = null;
  });

  afterAll(async () => {
    await publisher.disconnect();
    await broker.stop();
  });

  const send = (partition: number, ...values: string[]): Promise<void> =>
    publisher.send(
      values.map((value) => ({
        topic,
        partition,
        key: `key of ${value}`,
        headers: { kind: 'x' },
        value: Buffer.from(value),
      })),
    );

  async function open(starts: Record<number, number>, options = {}): Promise<TopicReader> {
    await reader?.close();
    const places = Object.entries(starts).map(([partition, at]) => [Number(partition), BigInt(at)] as const);
    reader = await TopicReader.open(kafka, topic, new Map(places), { maxWaitMs: 100, ...options });
    return reader;
  }

  /** Reads until `count` messages have come, or an error. */
  async function read(from: TopicReader, count = Infinity): Promise<ReadMessage[]> {
    const messages: ReadMessage[] = [];
    while (messages.length < count) messages.push(...(await from.fetch(never)));
    return messages;
  }

  /** And then until nothing more comes. */
  async function readAll(from: TopicReader, count: number): Promise<ReadMessage[]> {
    const messages = await read(from, count);
    for (let silent = 0; silent < 3;) {
      const fetched = await from.fetch(never);
      messages.push(...fetched);
      silent = fetched.length === 0 ? silent + 1 : 0;
    }
    return messages;
  }

  const placesOf = (messages: readonly ReadMessage[]): string[] =>
    messages.map(({ place, value }) => `${place.partition}/${place.offset} ${String(value)}`).sort();

  const valuesOf = (messages: readonly ReadMessage[]): string[] => messages.map(({ value }) => String(value));

  const expire = (partition: number, offset: number): Promise<void> =>
    withAdmin(kafka, async (admin) => {
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
    });

  it('reads the given partitions from the given offsets on, with key, headers and time (TR1)', async () => {
    const before = Date.now();
    await send(0, 'a', 'b', 'c');
    await send(1, 'd', 'e');
    await send(2, 'not asked for');
    const from = await open({ 0: 1, 1: 0 });
    const messages = await read(from, 4);
    expect(placesOf(messages)).toEqual(['0/1 b', '0/2 c', '1/0 d', '1/1 e']);
    expect(messages.map(({ key }) => String(key)).sort()).toEqual(
      ['b', 'c', 'd', 'e'].map((value) => `key of ${value}`),
    );
    for (const { headers, timestamp } of messages) {
      expect(String(headers['kind'])).toBe('x');
      expect(timestamp).toBeGreaterThanOrEqual(before);
    }
    expect(await from.fetch(never)).toEqual([]);
    await send(0, 'later');
    expect(placesOf(await read(from, 1))).toEqual(['0/3 later']);
    expect([...from.next]).toEqual([
      [0, 4n],
      [1, 2n],
    ]);
  });

  it('gives each message once and in order when an answer holds less than there is (TR1, TR2)', async () => {
    const values = Array.from({ length: 400 }, (_, at) => `${at} ${'x'.repeat(1_000)}`);
    // Small requests, so that there are several batches.
    for (let at = 0; at < values.length; at += 50)
      await send(at % 100 === 0 ? 0 : 1, ...values.slice(at, at + 50));
    const from = await open({ 0: 0, 1: 0 }, { maxBytes: 20_000, maxPartitionBytes: 10_000 });
    const messages = await read(from, values.length);
    for (const partition of [0, 1]) {
      const offsets = messages
        .filter(({ place }) => place.partition === partition)
        .map(({ place }) => place.offset);
      expect(offsets).toEqual(Array.from({ length: 200 }, (_, at) => String(at)));
    }
    expect(messages.map(({ value }) => String(value)).sort()).toEqual([...values].sort());
  });

  it('is moved, leaves partitions, and forgets what was under way for the former place', async () => {
    await send(0, 'a', 'b', 'c');
    await send(1, 'd');
    const from = await open({ 0: 3, 1: 1 }, { maxWaitMs: 1_000 });
    const abort = new AbortController();
    const waiting = from.fetch(abort.signal);
    await setImmediate();
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    from.moveTo(0, 1n);
    from.leave(1);
    await send(1, 'e');
    expect(placesOf(await readAll(from, 2))).toEqual(['0/1 b', '0/2 c']);
    from.leave(0);
    expect(await from.fetch(never)).toEqual([]);
  });

  it('names what is no longer there: place, wanted, low and high (TR3), and is moved behind it', async () => {
    await send(0, 'a', 'b', 'c', 'd');
    await expire(0, 2);
    const from = await open({ 0: 0, 1: 0 });
    const error = await read(from).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OffsetOutOfRange);
    expect(error).toMatchObject({
      code: 'MESSAGE_EXPIRED',
      message: `Messages 0 to 1 of ${topic}/0 are deleted: the partition begins at 2.`,
      partition: 0,
      wanted: 0n,
      ends: { low: 2n, high: 4n },
      lost: 2n,
    });
    from.moveTo(0, 2n);
    expect(placesOf(await readAll(from, 2))).toEqual(['0/2 c', '0/3 d']);
  });

  it('names what has never been there, as in a topic that was created again (TR3)', async () => {
    await send(0, 'a', 'b', 'c', 'd');
    const from = await open({ 0: 3 });
    await read(from, 1);
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    await createTopics(kafka, [{ topic, partitions: 3, config: {} }], 1);
    await send(0, 'other');
    await expect(read(from)).rejects.toMatchObject({
      code: 'MESSAGE_EXPIRED',
      wanted: 4n,
      ends: { low: 0n, high: 1n },
      lost: 0n,
    });
  });

  it('says where each partition begins and ends, added ones included, and reads those (TR3)', async () => {
    await send(0, 'a', 'b', 'c');
    await expire(0, 1);
    const from = await open({ 0: 1 });
    const three = [
      [0, { low: 1n, high: 3n }],
      [1, { low: 0n, high: 0n }],
      [2, { low: 0n, high: 0n }],
    ];
    expect([...(await from.ends())]).toEqual(three);
    await read(from, 2);
    await growTopic(kafka, topic, 4);
    from.moveTo(3, 0n);
    await send(3, 'new');
    expect(placesOf(await read(from, 1))).toEqual(['3/0 new']);
    expect([...(await from.ends())]).toEqual([...three, [3, { low: 0n, high: 1n }]]);
  });

  it('says which topic or partition is missing', async () => {
    await expect(TopicReader.open(kafka, `no-${topic}`, new Map())).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    });
    const from = await open({ 7: 0 });
    await expect(from.fetch(never)).rejects.toMatchObject({
      code: 'PARTITION_MISSING',
      message: `Partition 7 of ${topic} is not there: the topic has 3.`,
    });
  });

  it('ends its wait with the reason of the signal, and reads on afterwards (TR4)', async () => {
    const from = await open({ 0: 0 }, { maxWaitMs: 20_000 });
    const abort = new AbortController();
    const waiting = from.fetch(abort.signal);
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(from.fetch(abort.signal)).rejects.toBe(reason);
    await send(0, 'a');
    expect(placesOf(await read(from, 1))).toEqual(['0/0 a']);
  });

  it('is closed at once, while a broker has a long wait before it, without a connection that is left open', async () => {
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((name) => name.startsWith('TCPSocket')).length;
    const before = sockets();
    const from = await open({ 0: 0 }, { maxWaitMs: 2 ** 31 - 1 });
    const opened = sockets();
    const outcome = from.fetch(never).catch((error: unknown) => error);
    await eventually(() => sockets() > opened, 'the connection of the fetch');
    await from.close();
    expect(await outcome).toMatchObject({ code: 'INTERNAL', message: `The reader of ${topic} is closed.` });
    await eventually(() => sockets() <= before, 'the connections to be closed');
  });

  describe('with transactions', () => {
    async function transactionally(work: (transaction: Transaction) => Promise<void>): Promise<void> {
      const producer = kafka.producer({
        transactionalId: randomUUID(),
        maxInFlightRequests: 1,
        idempotent: true,
      });
      await producer.connect();
      await work(await producer.transaction());
      await producer.disconnect();
    }

    it('takes what was committed, nothing that was aborted, and waits before what is open (TR1)', async () => {
      await send(0, 'before');
      await transactionally(async (transaction) => {
        await transaction.send({ topic, messages: [{ partition: 0, value: 'aborted' }] });
        await transaction.abort();
      });
      await transactionally(async (transaction) => {
        await transaction.send({ topic, messages: [{ partition: 0, value: 'committed' }] });
        await transaction.commit();
      });
      const from = await open({ 0: 0 });
      await transactionally(async (transaction) => {
        await transaction.send({ topic, messages: [{ partition: 0, value: 'open' }] });
        await send(0, 'behind');
        expect(valuesOf(await readAll(from, 2))).toEqual(['before', 'committed']);
        expect((await from.ends()).get(0)?.high).toBe(from.next.get(0));
        await transaction.commit();
      });
      expect(valuesOf(await readAll(from, 2))).toEqual(['open', 'behind']);
      expect((await from.ends()).get(0)?.high).toBe(from.next.get(0));
    });
  });

  it('gives a batch that cannot be unpacked as one message that says so, and what follows (TR3)', async () => {
    const compressing = kafka.producer();
    await compressing.connect();
    const tooLarge = Buffer.alloc(9 * 1024 * 1024);
    await compressing.send({
      topic,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [
        { partition: 0, value: tooLarge },
        { partition: 0, value: tooLarge },
      ],
    });
    await compressing.disconnect();
    await send(0, 'behind');
    const from = await open({ 0: 0 });
    const messages = await readAll(from, 2);
    expect(messages.map(({ place: { offset }, value }) => [offset, value?.toString() ?? null])).toEqual([
      ['1', null],
      ['2', 'behind'],
    ]);
    expect(messages[0]?.undecodable).toEqual({
      firstOffset: '0',
      reason: expect.stringMatching(
        /^a batch of offsets 0 to 1 cannot be decoded: it cannot be unpacked as gzip/,
      ),
    });
  });
});
