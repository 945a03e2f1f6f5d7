import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type ConsumerConfig, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { createKafka } from '../client/kafka-client.js';
import { type MessageGone, readMessages } from './message-reader.js';
import { Publisher } from './publisher.js';
import { createTopics, withAdmin } from './topics-admin.js';

/** MR1 to MR3 are the invariants of message-reader.ts. */
describe('readMessages on a real broker', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let topic: string;
  let logged: string[] = [];

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'reader-spec',
      logger: pino({ level: 'warn' }, { write: (line: string) => logged.push(line) }),
    });
  });

  beforeEach(async () => {
    topic = `read-${randomUUID()}`;
    logged = [];
    publisher = new Publisher(kafka);
    await createTopics(kafka, [{ topic, partitions: 2, config: {} }], 1);
    await send(...Array.from({ length: 40 }, (_, at) => `m${at}`));
  });

  afterEach(async () => {
    await publisher.disconnect();
  });

  afterAll(async () => {
    await broker.stop();
  });

  const send = (...values: string[]): Promise<void> =>
    publisher.send(
      values.map((value) => ({ topic, partition: 0, key: value, headers: {}, value: Buffer.from(value) })),
    );

  /** What was read, and what was not and why. */
  async function read(...offsets: (number | [partition: number, offset: number])[]): Promise<string[]> {
    const outcome: string[] = [];
    const gone: MessageGone = ({ partition, offset }, reason) => {
      outcome.push(`${partition}/${offset}: ${reason}`);
      return Promise.resolve();
    };
    const places = offsets.map((each) => {
      const [partition, offset] = typeof each === 'number' ? [0, each] : each;
      return { topic, partition, offset: String(offset) };
    });
    await readMessages(
      kafka,
      places,
      ({ value }) => {
        outcome.push(String(value));
        return Promise.resolve();
      },
      gone,
    );
    return outcome;
  }

  const expire = (offset: number): Promise<void> =>
    withAdmin(kafka, async (admin) => {
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
    });

  it('reads what is there, and says of the rest why it is not (MR1), without a line in the log (MR2)', async () => {
    await expire(5);
    expect(await read(39, 3, 999_999, 5, 40, [1, 0], [7, 0])).toEqual([
      '0/3: it is no longer in its topic',
      '0/40: its partition ends before it, at 40',
      '0/999999: its partition ends before it, at 40',
      '1/0: its partition ends before it, at 0',
      '7/0: its topic or partition is not there any more',
      'm5',
      'm39',
    ]);
    expect(logged.filter((line) => line.includes('out of range'))).toEqual([]);
  });

  it('says so of every message of a topic that is gone', async () => {
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    const missing = 'its topic or partition is not there any more';
    expect(await read(0, 39)).toEqual([`0/0: ${missing}`, `0/39: ${missing}`]);
  });

  it('reads of a topic that was created again what stands there now, and ends', async () => {
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
    await createTopics(kafka, [{ topic, partitions: 2, config: {} }], 1);
    await send('other');
    expect(await read(0, 17)).toEqual(['0/17: its partition ends before it, at 1', 'other']);
  });

  it('skips a place inside a transaction’s marks or a batch that cannot be unpacked', async () => {
    const producer = kafka.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ partition: 0, value: 'in a transaction' }] });
    await transaction.commit();
    await producer.disconnect();
    const compressing = kafka.producer();
    await compressing.connect();
    await compressing.send({
      topic,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [{ partition: 0, value: Buffer.alloc(17 * 1024 * 1024) }],
    });
    await compressing.disconnect();
    await send('behind');
    const [first, marker, bomb, last] = await read(40, 41, 42, 43);
    expect([first, marker, last]).toEqual([
      'in a transaction',
      '0/41: it is no longer in its topic',
      'behind',
    ]);
    expect(bomb).toMatch(/^0\/42: a batch of offset 42 cannot be decoded: it cannot be unpacked as gzip/);
  });

  it('ends with an error where no listener was given', async () => {
    const place = { topic, partition: 0, offset: '40' };
    await expect(readMessages(kafka, [place], () => Promise.resolve())).rejects.toMatchObject({
      code: 'MESSAGE_EXPIRED',
      message: `Message ${topic}/0/40 cannot be read: its partition ends before it, at 40.`,
    });
    await readMessages(kafka, [], () => Promise.resolve());
  });

  it('stays in its group while a message is being handled, however long that takes (MR3)', async () => {
    let beat = (): void => undefined;
    const listening = Object.assign(Object.create(kafka) as Kafka, {
      consumer: (config: ConsumerConfig) => {
        const consumer = kafka.consumer(config);
        consumer.on(consumer.events.HEARTBEAT, () => {
          beat();
        });
        return consumer;
      },
    });
    const read: string[] = [];
    await readMessages(listening, [{ topic, partition: 0, offset: '3' }], async ({ value }) => {
      // Without heartbeats of the reader's own there is none before this ends.
      for (let beats = 0; beats < 2; beats += 1) await new Promise<void>((resolve) => (beat = resolve));
      read.push(String(value));
    });
    expect(read).toEqual(['m3']);
  });

  it('passes on what the taker throws', async () => {
    const place = { topic, partition: 0, offset: '3' };
    const error = new TypeError('no');
    await expect(readMessages(kafka, [place], () => Promise.reject(error))).rejects.toBe(error);
  });
});
