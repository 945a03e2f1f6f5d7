import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Consumer, type ConsumerConfig, type EachBatchPayload, type Kafka } from 'kafkajs';
import { pino } from 'pino';
import { ServingHarness, textsOf } from '#test/support/batch-serving.js';
import { eventually } from '#test/support/eventually.js';
import { growTopic } from '#test/support/kafka.js';
import { SluiceError } from '../../errors/sluice-error.js';
import { readMessages } from './message-reader.js';

describe('BatchServer on real Kafka', () => {
  let harness: ServingHarness;

  beforeAll(async () => {
    harness = await ServingHarness.start();
  });

  afterAll(() => harness.stop());

  beforeEach(() => harness.begin());

  afterEach(() => harness.closeServers());

  it('hands over messages in order, from the beginning, and commits behind them (BS1, BS2)', async () => {
    await harness.send(0, 'a', 'b', 'c');
    const seen: string[] = [];
    harness.onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    await harness.startServer(2);
    await eventually(async () => (await harness.committedOffsets()).get(0) === 3, 'offset 3');
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('commits nothing while a promise is not kept, and hands the same messages over again (BS1, BS3)', async () => {
    await harness.send(0, 'a', 'b');
    const deliveries: string[][] = [];
    const committedMeanwhile: (number | undefined)[] = [];
    harness.onDelivery = async (delivery) => {
      deliveries.push(textsOf(delivery));
      committedMeanwhile.push((await harness.committedOffsets()).get(0));
      if (deliveries.length < 3) throw new SluiceError('DATABASE_UNAVAILABLE', 'gone');
    };
    const server = await harness.startServer();
    await eventually(() => server.health.notReady().length > 0, 'a declared wait');
    await eventually(async () => (await harness.committedOffsets()).get(0) === 2, 'offset 2');
    expect(deliveries).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(committedMeanwhile).toEqual([-1, -1, -1]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('continues with other partitions while one waits (BS3)', async () => {
    await harness.send(0, 'stuck');
    await harness.send(1, 'fine');
    harness.onDelivery = (delivery) =>
      delivery.partition === 0
        ? Promise.reject(new SluiceError('BROKER_FAULT', 'not allowed'))
        : Promise.resolve();
    const server = await harness.startServer();
    await eventually(async () => (await harness.committedOffsets()).get(1) === 1, 'partition 1');
    await eventually(
      () => server.health.notReady().some((text) => text.includes(`${harness.topic}/0`)),
      'a named wait',
    );
    expect((await harness.committedOffsets()).get(0)).toBe(-1);
    const metric = (name: string): Promise<string> => harness.registry.getSingleMetricAsString(name);
    expect(await metric('sluice_consumer_lag_records')).toContain(`topic="${harness.topic}"} 1`);
    expect(await metric('sluice_consumer_lag_seconds')).not.toMatch(/\} 0$/m);
    expect(await metric('sluice_delivery_retries_total')).toMatch(/reason="BROKER_FAULT"\} [1-9]/);
    expect(await metric('sluice_rebalances_total')).toMatch(/\} [1-9]/);
    expect(server.health.notLive()).toEqual([]);
    // Not asked for again and again meanwhile.
    await eventually(() => server.unwrap<Consumer>().paused()[0]?.partitions.includes(0), 'a pause');
  });

  it('waits no longer for a partition that another consumer has now', async () => {
    await harness.send(0, 'stuck');
    await harness.send(1, 'stuck');
    harness.onDelivery = () => Promise.reject(new SluiceError('DATABASE_UNAVAILABLE', 'gone'));
    const first = await harness.startServer();
    await eventually(() => first.health.notReady().length === 2, 'both partitions to wait');
    const second = await harness.startServer();
    await eventually(() => second.health.notReady().join().includes(' waits: '), 'the second one to wait');
    await eventually(
      () => first.health.notReady().length === 1,
      'the first one to wait for its own partition',
    );
    expect(second.health.notReady()).toHaveLength(1);
    expect(new Set([...first.health.notReady(), ...second.health.notReady()]).size).toBe(2);
  });

  it('keeps what was committed before the trouble, and comes back to the rest only', async () => {
    await harness.send(0, 'a', 'b', 'c');
    const deliveries: string[][] = [];
    let refusals = 1;
    harness.onDelivery = (delivery) => {
      deliveries.push(textsOf(delivery));
      if (textsOf(delivery)[0] === 'b' && refusals-- > 0) return Promise.reject(new Error('once'));
      return Promise.resolve();
    };
    await harness.startServer(1);
    await eventually(async () => (await harness.committedOffsets()).get(0) === 3, 'offset 3');
    expect(deliveries).toEqual([['a'], ['b'], ['b'], ['c']]);
  });

  it('finishes and commits the delivery in hand before it closes', async () => {
    await harness.send(0, 'a');
    let finish = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      harness.onDelivery = () => {
        resolve();
        return new Promise((done) => {
          finish = done;
        });
      };
    });
    await harness.startServer();
    await begun;
    const closing = harness.closeServer();
    finish();
    await closing;
    expect((await harness.committedOffsets()).get(0)).toBe(1);
  });

  it('commits nothing of a delivery whose handler was stopped early (BS1)', async () => {
    await harness.send(0, 'a', 'b', 'c');
    let hasBegun = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      hasBegun = resolve;
    });
    harness.onDelivery = async (delivery) => {
      hasBegun();
      await eventually(() => delivery.isStale(), 'being told to stop');
    };
    await harness.startServer();
    await begun;
    await harness.closeServer();
    expect((await harness.committedOffsets()).get(0)).toBe(-1);
  });

  it('leaves a partition alone whose handler asked for a rest, commits first, and continues with others (BS5)', async () => {
    await harness.send(0, 'a', 'b');
    const taken: string[] = [];
    harness.onDelivery = (delivery) => {
      taken.push(...textsOf(delivery));
      if (delivery.partition === 0) delivery.rest(3_600_000);
      return Promise.resolve();
    };
    const server = await harness.startServer(1);
    await eventually(async () => (await harness.committedOffsets()).get(0) === 1, 'offset 1');
    await harness.send(1, 'other');
    await eventually(() => taken.includes('other'), 'a message of the other partition');
    // Fetched together with the first one: it would have been handed over at once.
    expect(taken).toEqual(['a', 'other']);
    expect(server.health.notReady()).toEqual([]);
  });

  it('comes back after the rest, and not before (BS5)', async () => {
    const restMs = 400;
    await harness.send(0, 'a', 'b');
    const takenAt: number[] = [];
    harness.onDelivery = (delivery) => {
      takenAt.push(Date.now());
      expect(Date.now() - delivery.writtenAt).toBeLessThan(3_600_000);
      delivery.rest(restMs);
      return Promise.resolve();
    };
    await harness.startServer(1);
    await eventually(async () => (await harness.committedOffsets()).get(0) === 2, 'offset 2');
    // A timer may fire a millisecond early by this clock.
    expect(takenAt[1]! - takenAt[0]!).toBeGreaterThanOrEqual(restMs - 1);
  });

  it('hands over again what it could not commit: no offset stays behind until the next message (BS1)', async () => {
    await harness.send(0, 'a', 'b');
    const deliveries: string[][] = [];
    harness.onDelivery = (delivery) => {
      deliveries.push(textsOf(delivery));
      return Promise.resolve();
    };
    await harness.startServer(100, { kafka: losingOneCommit(harness.brokers) });
    await eventually(async () => (await harness.committedOffsets()).get(0) === 2, 'offset 2');
    expect(deliveries).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it('reports a consumer that has ended for good, so that the process can end (BS6)', async () => {
    await harness.send(0, 'a');
    const ended = new Promise<Error>((resolve) => {
      const broken = withFailingCommits(harness.kafka, [
        new kafkajs.KafkaJSNonRetriableError('not allowed to commit'),
      ]);
      harness.onDelivery = () => Promise.resolve();
      void harness.startServer(100, { kafka: broken, onFatal: resolve });
    });
    expect((await ended).message).toBe('not allowed to commit');
  });

  it('starts a consumer again that has ended because brokers are away, and ends no process (BS6)', async () => {
    await harness.send(0, 'a');
    // Two: a consumer that was started again is started again as well.
    const failures = [coordinatorNotFound(), coordinatorNotFound()];
    const fatal: Error[] = [];
    const waits: string[] = [];
    const deliveries: string[][] = [];
    harness.onDelivery = (delivery) => {
      deliveries.push(textsOf(delivery));
      return Promise.resolve();
    };
    const server = await harness.startServer(100, {
      kafka: withFailingCommits(harness.kafka, failures),
      onFatal: (error) => fatal.push(error),
    });
    await eventually(async () => {
      waits.push(...server.health.notReady());
      return (await harness.committedOffsets()).get(0) === 1 || fatal.length > 0;
    }, 'offset 1');
    expect(fatal).toEqual([]);
    expect(failures).toEqual([]);
    expect(waits).toContain('brokers waits: Failed to find group coordinator');
    expect(server.health.notReady()).toEqual([]);
    await harness.send(0, 'b');
    await eventually(async () => (await harness.committedOffsets()).get(0) === 2, 'offset 2');
    // One run alone: with two, each message would come twice.
    expect(deliveries).toEqual([['a'], ['a'], ['a'], ['b']]);
  });

  it('does not start a consumer again that is being closed (BS6)', async () => {
    await harness.send(0, 'a');
    const fatal: Error[] = [];
    let deliveries = 0;
    harness.onDelivery = () => {
      deliveries += 1;
      return Promise.resolve();
    };
    const server = await harness.startServer(100, {
      kafka: withFailingCommits(harness.kafka, [coordinatorNotFound()]),
      onFatal: (error) => fatal.push(error),
    });
    await eventually(() => server.health.notReady().join().includes('brokers waits'), 'a declared wait');
    const consumer = server.unwrap<Consumer>();
    let disconnects = 0;
    consumer.on(consumer.events.DISCONNECT, () => {
      disconnects += 1;
    });
    await harness.closeServer();
    // Once by closing, and once more instead of the run that would have begun after the back-off.
    await eventually(() => disconnects === 2, 'the start to be given up');
    expect(deliveries).toBe(1);
    expect(fatal).toEqual([]);
    expect(server.health.notReady()).toContain('not a member of the consumer group yet');
  });

  it('reads partitions that are added while it runs, from their beginning', async () => {
    const seen: string[] = [];
    harness.onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    await harness.send(0, 'a');
    await harness.startServer();
    await eventually(() => seen.includes('a'), 'the first message');
    await growTopic(harness.kafka, harness.topic, 4);
    await harness.send(3, 'of a new partition');
    await eventually(() => seen.includes('of a new partition'), 'the message of the new partition');
    expect(await harness.publisher.partitionsOf(harness.topic)).toBe(4);
  });

  it('refuses to start without the topics it reads', async () => {
    harness.topic = `test.${randomUUID()}.missing`;
    await expect(harness.startServer()).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
    harness.forgetServer();
  });

  it('waits for brokers that go away while it starts', async () => {
    const failures = [new kafkajs.KafkaJSConnectionError('Closed connection', {})];
    let isDelivered = false;
    harness.onDelivery = () => {
      isDelivered = true;
      return Promise.resolve();
    };
    await harness.send(0, 'a');
    const server = await harness.startServer(100, { kafka: withFailingAdmin(harness.kafka, failures) });
    await eventually(() => isDelivered, 'the message');
    expect(failures).toEqual([]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('reads single messages by their places', async () => {
    await harness.send(0, ...Array.from({ length: 40 }, (_, i) => `m${i}`));
    await harness.send(1, 'other');
    const read: string[] = [];
    const places = ['39', '3', '17'].map((offset) => ({ topic: harness.topic, partition: 0, offset }));
    await readMessages(
      harness.kafka,
      [...places, { topic: harness.topic, partition: 1, offset: '0' }],
      (message) => {
        read.push(String(message.value));
        return Promise.resolve();
      },
    );
    expect(read.filter((text) => text !== 'other')).toEqual(['m3', 'm17', 'm39']);
    expect(read).toContain('other');
  });

  it('reports at its start a topic that takes only smaller messages than it has to', async () => {
    const lines: string[] = [];
    const told = pino({}, { write: (line: string) => lines.push(line) });
    await harness.startServer(100, { logger: told });
    expect(lines.join('')).not.toContain('max.message.bytes');
    await harness.makeTopic(1, { 'max.message.bytes': '1023' });
    await harness.startServer(100, { logger: told });
    expect(lines.join('')).toContain(`max.message.bytes of ${harness.topic} must be 1024 at least`);
  });
});

/** As kafkajs rejects with it; its types know neither the arguments nor that the error may have a cause. */
function coordinatorNotFound(): Error {
  const name = 'KafkaJSGroupCoordinatorNotFound';
  const text = 'Failed to find group coordinator';
  const cause = Object.assign(new kafkajs.KafkaJSNonRetriableError(text), { name });
  return Object.assign(new kafkajs.KafkaJSNonRetriableError(cause), { cause });
}

/** The same client, but its first commits fail with these errors. */
function withFailingCommits(kafka: Kafka, failures: Error[]): Kafka {
  return Object.assign(Object.create(kafka) as Kafka, {
    consumer: (config: ConsumerConfig) => {
      const consumer = kafka.consumer(config);
      const run = consumer.run.bind(consumer);
      consumer.run = (options) =>
        run({
          ...options,
          eachBatch: (payload) => {
            const commitOffsetsIfNecessary: EachBatchPayload['commitOffsetsIfNecessary'] = (offsets) => {
              const failure = failures.shift();
              return failure ? Promise.reject(failure) : payload.commitOffsetsIfNecessary(offsets);
            };
            return options?.eachBatch?.({ ...payload, commitOffsetsIfNecessary }) ?? Promise.resolve();
          },
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
