import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import kafkajs, { type Consumer, type ConsumerConfig, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { eventually } from '../../../../test/support/eventually.js';
import { type TestKafka, startTestKafka } from '../../../../test/support/kafka.js';
import { SluiceError } from '../errors/sluice-error.js';
import { BatchHandler, type Delivery } from './batch-handler.decorator.js';
import { BatchServer, type BatchServerOptions } from './batch-server.js';
import { createKafka } from './kafka-client.js';
import { MessageParking, type ParkedMessage, type TellParked } from './message-parking.js';
import { readMessages } from './message-reader.js';
import { Publisher } from './publisher.js';
import { createTopics, withAdmin } from './topics-admin.js';

const logger = pino({ level: 'silent' });

let parked: ParkedMessage[] = [];
let tellParked: TellParked = () => Promise.resolve();

/** What the handler under test does with a delivery; set by each test. */
let onDelivery: (delivery: Delivery) => Promise<void> = () => Promise.resolve();

@Controller()
class TestController {
  @BatchHandler('raw')
  handle(@Payload() delivery: Delivery): Promise<void> {
    return onDelivery(delivery);
  }
}

@Module({ controllers: [TestController] })
class TestModule {}

describe('BatchServer on real Kafka', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let topic: string;
  let groupId: string;
  const started: INestMicroservice[] = [];

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = createKafka({ brokers: broker.brokers, clientId: 'test', logger });
    publisher = new Publisher(kafka);
  });

  afterAll(async () => {
    await publisher.disconnect();
    await broker.stop();
  });

  beforeEach(async () => {
    parked = [];
    tellParked = (messages) => {
      parked.push(...messages);
      return Promise.resolve();
    };
    topic = `test.${randomUUID()}.raw`;
    groupId = `test-${randomUUID()}`;
    await createTopics(kafka, [{ topic, partitions: 2, config: {} }], 1);
  });

  afterEach(async () => {
    for (const app of started.splice(0)) await app.close();
  });

  async function startServer(
    maxGroupMessages = 100,
    change: Partial<BatchServerOptions> = {},
  ): Promise<BatchServer> {
    const server = new BatchServer({
      kafka,
      groupId,
      topics: { raw: [topic] },
      concurrentPartitions: 2,
      maxGroupBytes: 1024 * 1024,
      maxGroupMessages,
      maxBytesPerPartition: 1024 * 1024,
      maxMessageBytes: 1024,
      sessionTimeoutMs: 30_000,
      parking: new MessageParking(new Registry(), logger, tellParked),
      logger,
      onFatal: (error) => {
        throw error;
      },
      ...change,
    });
    const app = await NestFactory.createMicroservice(TestModule, { strategy: server, logger: false });
    started.push(app);
    await app.listen();
    return server;
  }

  const send = (partition: number, ...values: string[]): Promise<void> =>
    publisher.send(
      values.map((value) => ({
        topic,
        partition,
        key: value,
        headers: { v: '1' },
        value: Buffer.from(value),
      })),
    );

  async function committedOffsets(): Promise<Map<number, number>> {
    const admin = kafka.admin();
    await admin.connect();
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
    await admin.disconnect();
    return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
  }

  const textsOf = (delivery: Delivery): string[] => delivery.messages.map(({ value }) => String(value));

  it('hands over messages in order, from the beginning, and commits behind them (T1, T2)', async () => {
    await send(0, 'a', 'b', 'c');
    const seen: string[] = [];
    onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    await startServer(2);
    await eventually(async () => (await committedOffsets()).get(0) === 3, 'offset 3');
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('commits nothing while a promise is not kept, and hands the same messages over again (T1, T3)', async () => {
    await send(0, 'a', 'b');
    const deliveries: string[][] = [];
    const committedMeanwhile: (number | undefined)[] = [];
    onDelivery = async (delivery) => {
      deliveries.push(textsOf(delivery));
      committedMeanwhile.push((await committedOffsets()).get(0));
      if (deliveries.length < 3) throw new SluiceError('DATABASE_UNAVAILABLE', 'gone');
    };
    const server = await startServer();
    await eventually(() => server.health.notReady().length > 0, 'a declared wait');
    await eventually(async () => (await committedOffsets()).get(0) === 2, 'offset 2');
    expect(deliveries).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(committedMeanwhile).toEqual([-1, -1, -1]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('goes on with other partitions while one waits (T3)', async () => {
    await send(0, 'stuck');
    await send(1, 'fine');
    onDelivery = (delivery) =>
      delivery.partition === 0
        ? Promise.reject(new SluiceError('BROKER_FAULT', 'not allowed'))
        : Promise.resolve();
    const server = await startServer();
    await eventually(async () => (await committedOffsets()).get(1) === 1, 'partition 1');
    await eventually(
      () => server.health.notReady().some((text) => text.includes(`${topic}/0`)),
      'a named wait',
    );
    expect((await committedOffsets()).get(0)).toBe(-1);
    expect(server.health.notLive()).toEqual([]);
    // Not asked for again and again meanwhile.
    await eventually(() => server.unwrap<Consumer>().paused()[0]?.partitions.includes(0), 'a pause');
  });

  it('parks the message that fails alone, after some attempts, and hands over the ones around it (T7)', async () => {
    await send(0, 'a', 'poison', 'b', 'poison too', 'c');
    const deliveries: string[][] = [];
    const handled: string[] = [];
    onDelivery = (delivery) => {
      const texts = textsOf(delivery);
      deliveries.push(texts);
      if (texts.some((text) => text.startsWith('poison'))) throw new TypeError('of "a secret"');
      handled.push(...texts);
      return Promise.resolve();
    };
    const server = await startServer();
    await eventually(async () => (await committedOffsets()).get(0) === 5, 'offset 5');
    expect(handled).toEqual(['a', 'b', 'c']);
    const whole = ['a', 'poison', 'b', 'poison too', 'c'];
    expect(deliveries.filter(({ length }) => length > 1)).toEqual([whole, whole, whole]);
    const reason = 'INTERNAL: TypeError in the code that handles it';
    expect(parked.map(({ offset, reason: told }) => [offset, told])).toEqual([
      ['1', reason],
      ['3', reason],
    ]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('waits until the listener has noted a parked message (T7, G4)', async () => {
    await send(0, 'poison', 'b');
    onDelivery = (delivery) =>
      textsOf(delivery).includes('poison') ? Promise.reject(new TypeError('x')) : Promise.resolve();
    const refusals = 1;
    const committedMeanwhile: (number | undefined)[] = [];
    tellParked = async (messages) => {
      committedMeanwhile.push((await committedOffsets()).get(0));
      if (committedMeanwhile.length <= refusals) throw new SluiceError('BROKER_UNAVAILABLE', 'away');
      parked.push(...messages);
    };
    await startServer();
    await eventually(async () => (await committedOffsets()).get(0) === 2, 'offset 2');
    expect(committedMeanwhile).toEqual([-1, -1]);
    expect(parked).toHaveLength(1);
  });

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('reads what the brokers keep compressed: %s', async (codec) => {
    topic = `test.${randomUUID()}.raw`;
    await createTopics(kafka, [{ topic, partitions: 1, config: { 'compression.type': codec } }], 1);
    const values = Array.from({ length: 300 }, (_, at) => `record ${at} of ${codec}: ${'x'.repeat(at)}`);
    await send(0, ...values);
    const seen: string[] = [];
    onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    await startServer();
    await eventually(() => seen.length >= values.length, 'all messages');
    expect(seen).toEqual(values);
    expect(parked).toEqual([]);
  });

  it('parks a batch that cannot be unpacked with its offsets, and goes on behind it (T7)', async () => {
    const producer = kafka.producer();
    await producer.connect();
    await send(0, 'a');
    const zeros = Buffer.alloc(9 * 1024 * 1024);
    await producer.send({
      topic,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [zeros, zeros].map((value) => ({ partition: 0, value })),
    });
    await producer.disconnect();
    await send(0, 'b');
    const seen: string[] = [];
    onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    const server = await startServer();
    await eventually(async () => (await committedOffsets()).get(0) === 4, 'offset 4');
    expect(seen).toEqual(['a', 'b']);
    expect(parked).toMatchObject([
      {
        topic,
        partition: 0,
        offset: '1',
        reason: expect.stringMatching(/^a batch of offsets 1 to 2 cannot/),
      },
    ]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('waits no longer for a partition that is somebody else’s now', async () => {
    await send(0, 'stuck');
    await send(1, 'stuck');
    onDelivery = () => Promise.reject(new SluiceError('DATABASE_UNAVAILABLE', 'gone'));
    const first = await startServer();
    await eventually(() => first.health.notReady().length === 2, 'both partitions to wait');
    const second = await startServer();
    await eventually(() => second.health.notReady().join().includes(' waits: '), 'the second one to wait');
    await eventually(
      () => first.health.notReady().length === 1,
      'the first one to wait for its own partition',
    );
    expect(second.health.notReady()).toHaveLength(1);
    expect(new Set([...first.health.notReady(), ...second.health.notReady()]).size).toBe(2);
  });

  it('keeps what was committed before the trouble, and comes back to the rest only', async () => {
    await send(0, 'a', 'b', 'c');
    const deliveries: string[][] = [];
    let refusals = 1;
    onDelivery = (delivery) => {
      deliveries.push(textsOf(delivery));
      if (textsOf(delivery)[0] === 'b' && refusals-- > 0) return Promise.reject(new Error('once'));
      return Promise.resolve();
    };
    await startServer(1);
    await eventually(async () => (await committedOffsets()).get(0) === 3, 'offset 3');
    expect(deliveries).toEqual([['a'], ['b'], ['b'], ['c']]);
  });

  it('finishes and commits the delivery in hand before it closes', async () => {
    await send(0, 'a');
    let finish = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      onDelivery = () => {
        resolve();
        return new Promise((done) => {
          finish = done;
        });
      };
    });
    await startServer();
    await begun;
    const closing = started.pop()?.close();
    finish();
    await closing;
    expect((await committedOffsets()).get(0)).toBe(1);
  });

  it('commits nothing of a delivery whose handler was told to stop early (T1)', async () => {
    await send(0, 'a', 'b', 'c');
    let hasBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    onDelivery = async (delivery) => {
      hasBegun();
      await eventually(() => delivery.isStale(), 'being told to stop');
    };
    await startServer();
    await begun;
    await started.pop()?.close();
    expect((await committedOffsets()).get(0)).toBe(-1);
  });

  it('leaves a partition alone whose handler asked for a rest, commits first, and goes on with others (T5)', async () => {
    await send(0, 'a', 'b');
    const taken: string[] = [];
    onDelivery = (delivery) => {
      taken.push(...textsOf(delivery));
      if (delivery.partition === 0) delivery.rest(3_600_000);
      return Promise.resolve();
    };
    const server = await startServer(1);
    await eventually(async () => (await committedOffsets()).get(0) === 1, 'offset 1');
    await send(1, 'other');
    await eventually(() => taken.includes('other'), 'a message of the other partition');
    // Fetched together with the first one: it would have been handed over at once.
    expect(taken).toEqual(['a', 'other']);
    expect(server.health.notReady()).toEqual([]);
  });

  it('comes back after the rest, and not before (T5)', async () => {
    const restMs = 400;
    await send(0, 'a', 'b');
    const takenAt: number[] = [];
    onDelivery = (delivery) => {
      takenAt.push(Date.now());
      expect(Date.now() - delivery.writtenAt).toBeLessThan(3_600_000);
      delivery.rest(restMs);
      return Promise.resolve();
    };
    await startServer(1);
    await eventually(async () => (await committedOffsets()).get(0) === 2, 'offset 2');
    // A timer may fire a millisecond early by this clock.
    expect(takenAt[1]! - takenAt[0]!).toBeGreaterThanOrEqual(restMs - 1);
  });

  it('hands over again what it could not commit: no offset stays behind until the next message (T1)', async () => {
    await send(0, 'a', 'b');
    const deliveries: string[][] = [];
    onDelivery = (delivery) => {
      deliveries.push(textsOf(delivery));
      return Promise.resolve();
    };
    await startServer(100, { kafka: losingOneCommit(broker.brokers) });
    await eventually(async () => (await committedOffsets()).get(0) === 2, 'offset 2');
    expect(deliveries).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it('reports a consumer that has ended for good, so that the process can end (T6)', async () => {
    await send(0, 'a');
    const ended = new Promise<Error>((resolve) => {
      const broken = withBrokenCommits(kafka, new kafkajs.KafkaJSNonRetriableError('not allowed to commit'));
      onDelivery = () => Promise.resolve();
      void startServer(100, { kafka: broken, onFatal: resolve });
    });
    expect((await ended).message).toBe('not allowed to commit');
  });

  it('reads partitions that are added while it runs, from their beginning', async () => {
    const seen: string[] = [];
    onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    await send(0, 'a');
    await startServer();
    await eventually(() => seen.includes('a'), 'the first message');
    await withAdmin(kafka, (admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] }));
    await send(3, 'of a new partition');
    await eventually(() => seen.includes('of a new partition'), 'the message of the new partition');
    expect(await publisher.partitionsOf(topic)).toBe(4);
  });

  it('refuses to start without the topics it reads', async () => {
    topic = `test.${randomUUID()}.missing`;
    await expect(startServer()).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    started.pop();
  });

  it('waits for brokers that go away while it starts', async () => {
    const failures = [new kafkajs.KafkaJSConnectionError('Closed connection', {})];
    let isDelivered = false;
    onDelivery = () => {
      isDelivered = true;
      return Promise.resolve();
    };
    await send(0, 'a');
    const server = await startServer(100, { kafka: withFailingAdmin(kafka, failures) });
    await eventually(() => isDelivered, 'the message');
    expect(failures).toEqual([]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('reads single messages by their places', async () => {
    await send(0, ...Array.from({ length: 40 }, (_, i) => `m${i}`));
    await send(1, 'other');
    const read: string[] = [];
    const places = ['39', '3', '17'].map((offset) => ({ topic, partition: 0, offset }));
    await readMessages(kafka, [...places, { topic, partition: 1, offset: '0' }], (message) => {
      read.push(String(message.value));
      return Promise.resolve();
    });
    expect(read.filter((text) => text !== 'other')).toEqual(['m3', 'm17', 'm39']);
    expect(read).toContain('other');
  });

  it('tells at its start of a topic that takes only smaller messages than it has to', async () => {
    const lines: string[] = [];
    const told = pino({}, { write: (line: string) => lines.push(line) });
    await startServer(100, { logger: told });
    expect(lines.join('')).not.toContain('max.message.bytes');
    topic = `test.${randomUUID()}.raw`;
    await createTopics(kafka, [{ topic, partitions: 1, config: { 'max.message.bytes': '1023' } }], 1);
    await startServer(100, { logger: told });
    expect(lines.join('')).toContain(`max.message.bytes of ${topic} must be 1024 at least`);
  });
});

/** The same client, but the brokers answer every commit with an error that trying again cannot help. */
function withBrokenCommits(kafka: Kafka, error: Error): Kafka {
  return Object.assign(Object.create(kafka) as Kafka, {
    consumer: (config: ConsumerConfig) => {
      const consumer = kafka.consumer(config);
      const run = consumer.run.bind(consumer);
      consumer.run = (options) =>
        run({
          ...options,
          eachBatch: (payload) =>
            options?.eachBatch?.({ ...payload, commitOffsetsIfNecessary: () => Promise.reject(error) }) ??
            Promise.resolve(),
        });
      return consumer;
    },
  });
}

/** The same client, but its first admin connections break off. */
function withFailingAdmin(kafka: Kafka, failures: Error[]): Kafka {
  return Object.assign(Object.create(kafka) as Kafka, {
    admin: () => {
      const admin = kafka.admin();
      const connect = admin.connect.bind(admin);
      admin.connect = () => {
        const failure = failures.shift();
        return failure === undefined ? connect() : Promise.reject(failure);
      };
      return admin;
    },
  });
}

const OFFSET_COMMIT = 8;

/** Its first connection that wants to commit offsets is cut off instead. */
function losingOneCommit(brokers: readonly string[]): Kafka {
  let isLost = false;
  return new kafkajs.Kafka({
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    socketFactory: ({ host, port, onConnect }) => {
      const socket = connect({ host, port }, onConnect);
      const write: (data: Buffer) => boolean = socket.write.bind(socket);
      socket.write = (data: unknown): boolean => {
        // A request begins with its length and the key of its kind.
        if (!isLost && Buffer.isBuffer(data) && data.readInt16BE(4) === OFFSET_COMMIT) {
          isLost = true;
          socket.destroy(new Error('reset'));
          return false;
        }
        return write(data as Buffer);
      };
      return socket;
    },
  });
}
