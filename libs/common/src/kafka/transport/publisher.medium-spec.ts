import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Admin, type Kafka, type ProducerConfig } from 'kafkajs';
import { pino } from 'pino';
import { eventually } from '#test/support/eventually.js';
import { type TestKafka, growTopic, startTestKafka } from '#test/support/kafka.js';
import { createKafka } from '../client/kafka-client.js';
import { type MessageBody, type ProduceRequest, bodyOf } from '../client/produce-request.js';
import type { OutgoingMessage } from '../message.js';
import { Publisher } from './publisher.js';
import { createTopics, withAdmin } from './topics-admin.js';

const MIB = 1024 * 1024;
const PRODUCE = 0;

describe('Publisher on a real broker', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let topic: string;

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'publisher-spec',
      logger: pino({ level: 'silent' }),
    });
  });

  beforeEach(() => {
    topic = `published-${randomUUID()}`;
    publisher = new Publisher(kafka);
  });

  afterEach(async () => {
    await publisher.disconnect();
  });

  afterAll(async () => {
    await broker.stop();
  });

  const create = (partitions: number, config: Record<string, string> = {}): Promise<unknown> =>
    createTopics(kafka, [{ topic, partitions, config }], 1);

  const message = (facts: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
    topic,
    key: randomUUID(),
    headers: {},
    value: Buffer.from('x'),
    ...facts,
  });

  const sizes = (): Promise<number[]> =>
    withAdmin(kafka, async (admin: Admin) => {
      const offsets = await admin.fetchTopicOffsets(topic);
      return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high));
    });

  const total = async (): Promise<number> => (await sizes()).reduce((sum, size) => sum + size, 0);

  it('measures a message once: what was measured arrives at the encoder, through kafkajs', async () => {
    await create(2);
    const table = createRequire(import.meta.url)('kafkajs/src/protocol/requests/produce/index.js') as {
      protocol: (of: object) => (request: ProduceRequest) => object;
    };
    const { protocol } = table;
    const encoded: { readonly body?: MessageBody }[] = [];
    table.protocol = (of) => (request) => {
      for (const { partitions } of request.topicData)
        for (const { messages } of partitions) encoded.push(...messages);
      return protocol(of)(request);
    };
    try {
      await publisher.send(
        [1, 20, 300].map((length) => message({ headers: { h: 'x'.repeat(length) }, partition: length % 2 })),
      );
    } finally {
      table.protocol = protocol;
    }
    expect(encoded).toHaveLength(3);
    for (const { body, ...rest } of encoded)
      expect(body).toEqual(bodyOf(rest as typeof rest & { value: null }));
  });

  it('sends again what was damaged on its way, and says so when that lasts (CORRUPT_MESSAGE)', async () => {
    await create(1);
    const damaging = (times: number): Publisher => {
      let left = times;
      const flipped = (data: Buffer): Buffer => {
        const copy = Buffer.from(data);
        copy[copy.length - 1]! ^= 1;
        return copy;
      };
      return new Publisher(
        new kafkajs.Kafka({
          brokers: broker.brokers,
          logLevel: kafkajs.logLevel.NOTHING,
          retry: { retries: 1, initialRetryTime: 10 },
          socketFactory: ({ host, port, onConnect }) => {
            const socket = connect({ host, port }, onConnect);
            const write: (data: Buffer) => boolean = socket.write.bind(socket);
            socket.write = (data: unknown): boolean =>
              // A request begins with its length and the key of its kind.
              write(
                (data as Buffer).readInt16BE(4) === PRODUCE && left-- > 0
                  ? flipped(data as Buffer)
                  : (data as Buffer),
              );
            return socket;
          },
        }),
      );
    };
    const [once, always] = [damaging(1), damaging(Infinity)];
    try {
      await once.send([message()]);
      expect(await sizes()).toEqual([1]);
      await expect(always.send([message()])).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
        message: expect.stringMatching(new RegExp(`^Publishing to ${topic} failed: .*CRC`)),
      });
      expect(await sizes()).toEqual([1]);
    } finally {
      await once.disconnect();
      await always.disconnect();
    }
  });

  it('sends 20,000 messages that are mostly headers into a topic with the brokers’ own limit', async () => {
    await create(1);
    const findings = JSON.stringify(
      Array.from({ length: 12 }, (_, at) => ({
        code: 'CONTROL_CHARACTERS',
        field: `field_${at}`,
        message: 'it holds control characters, for example U+0000',
        severity: 'error',
      })),
    );
    let made = 0;
    await publisher.send(
      (function* (): Generator<OutgoingMessage> {
        for (; made < 20_000; made++) {
          yield message({ headers: { findings }, value: Buffer.from(',x,x') });
        }
      })(),
    );
    expect(await sizes()).toEqual([20_000]);
    // Three times what a topic of ours takes in one request.
    expect(Buffer.byteLength(findings) * 20_000).toBeGreaterThan(24 * MIB);
  });

  it('encodes no further ahead than what may be in flight', async () => {
    await create(1);
    let made = 0;
    const acknowledged = publisher.send(
      (function* (): Generator<OutgoingMessage> {
        for (; made < 40; made++) yield message({ value: Buffer.alloc(MIB) });
      })(),
    );
    await eventually(() => made > 0, 'the first message to be made');
    expect(made).toBeLessThanOrEqual(5);
    await acknowledged;
    expect(await total()).toBe(40);
  });

  it('takes a smaller limit of the topic than a request has, and names size and limit when one message is above it', async () => {
    await create(1, { 'max.message.bytes': '20000' });
    await publisher.send(Array.from({ length: 30 }, () => message({ value: Buffer.alloc(9_000) })));
    expect(await total()).toBe(30);
    const error: unknown = await publisher
      .send([message({ headers: { h: 'x'.repeat(30_000) } })])
      .catch(caught);
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retryable: false });
    expect(String(error)).toMatch(
      /A message of 30\d\d\d bytes for topic published-.* is above the 20000 bytes/,
    );
  });

  it('refuses what no topic of ours takes before it is sent', async () => {
    await create(1, { 'max.message.bytes': String(64 * MIB) });
    const error: unknown = await publisher.send([message({ value: Buffer.alloc(8 * MIB) })]).catch(caught);
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    expect(await total()).toBe(0);
  });

  it('says that a partition is not there instead of leaving its messages out', async () => {
    await create(2);
    await publisher.send([message({ partition: 1 })]);
    const error: unknown = await publisher.send([message({ partition: 7 })]).catch(caught);
    expect(error).toMatchObject({
      code: 'PARTITION_MISSING',
      message: `Topic ${topic} has 2 partitions, and a message is for partition 7.`,
    });
    expect(await sizes()).toEqual([0, 1]);
  });

  it('sends again what the brokers’ answers leave out, and says so when they do it each time (PU1)', async () => {
    await create(2);
    const leavingOut = (times: number): Publisher => {
      let left = times;
      // A real producer, of whose answers partition 1 is missing, as kafkajs leaves out one whose leader has moved.
      const producing = Object.assign(Object.create(kafka) as Kafka, {
        producer: (config: ProducerConfig) => {
          const producer = kafka.producer(config);
          const sendBatch = producer.sendBatch.bind(producer);
          producer.sendBatch = async (batch) =>
            (await sendBatch(batch)).filter(({ partition }) => partition !== 1 || left-- <= 0);
          return producer;
        },
      });
      return new Publisher(producing);
    };
    for (const [times, outcome] of [
      [1, undefined],
      [Infinity, { code: 'BROKER_FAULT', message: expect.stringContaining(`${topic}/1`) }],
    ] as const) {
      const unheard = leavingOut(times);
      const sent = unheard.send([0, 1].map((partition) => message({ partition })));
      if (outcome === undefined) {
        await sent;
        expect(await sizes()).toEqual([1, 2]);
      } else await expect(sent).rejects.toMatchObject(outcome);
      await unheard.disconnect();
    }
  });

  it('finds a partition that was added after the topic was known', async () => {
    await create(1);
    await publisher.send([message({ partition: 0 })]);
    await growTopic(kafka, topic, 3);
    await publisher.send([0, 1, 2].map((partition) => message({ partition })));
    expect(await sizes()).toEqual([2, 1, 1]);
  });

  it('passes on what a generator throws, after what was sent has arrived', async () => {
    await create(1);
    const broken = (function* (): Generator<OutgoingMessage> {
      yield message({ value: Buffer.alloc(MIB) });
      yield message({ value: Buffer.alloc(MIB) });
      throw new RangeError('not encodable');
    })();
    await expect(publisher.send(broken)).rejects.toThrow('not encodable');
    expect(await total()).toBe(1);
  });
});

function caught(error: unknown): unknown {
  return error;
}
