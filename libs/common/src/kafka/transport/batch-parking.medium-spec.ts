import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { ServingHarness, textsOf } from '#test/support/batch-serving.js';
import { eventually } from '#test/support/eventually.js';
import { SluiceError } from '../../errors/sluice-error.js';

describe('messages that BatchServer cannot hand over, on real Kafka', () => {
  let harness: ServingHarness;

  beforeAll(async () => {
    harness = await ServingHarness.start();
  });

  afterAll(() => harness.stop());

  beforeEach(() => harness.begin());

  afterEach(() => harness.closeServers());

  it('parks the message that fails alone, after some attempts, and hands over the ones around it (BS7)', async () => {
    await harness.send(0, 'a', 'poison', 'b', 'poison too', 'c');
    const deliveries: string[][] = [];
    const handled: string[] = [];
    harness.onDelivery = (delivery) => {
      const texts = textsOf(delivery);
      deliveries.push(texts);
      if (texts.some((text) => text.startsWith('poison'))) throw new TypeError('of "a secret"');
      handled.push(...texts);
      return Promise.resolve();
    };
    const server = await harness.startServer();
    await eventually(async () => (await harness.committedOffsets()).get(0) === 5, 'offset 5');
    expect(handled).toEqual(['a', 'b', 'c']);
    const whole = ['a', 'poison', 'b', 'poison too', 'c'];
    expect(deliveries.filter(({ length }) => length > 1)).toEqual([whole, whole, whole]);
    const reason = 'INTERNAL: TypeError in the code that handles it';
    expect(harness.parked.map(({ offset, reason: told }) => [offset, told])).toEqual([
      ['1', reason],
      ['3', reason],
    ]);
    expect(server.health.notReady()).toEqual([]);
  });

  it('waits until the listener has noted a parked message (BS7, G4)', async () => {
    await harness.send(0, 'poison', 'b');
    harness.onDelivery = (delivery) =>
      textsOf(delivery).includes('poison') ? Promise.reject(new TypeError('x')) : Promise.resolve();
    const refusals = 1;
    const committedMeanwhile: (number | undefined)[] = [];
    harness.reportParked = async (messages) => {
      committedMeanwhile.push((await harness.committedOffsets()).get(0));
      if (committedMeanwhile.length <= refusals) throw new SluiceError('BROKER_UNAVAILABLE', 'away');
      harness.parked.push(...messages);
    };
    await harness.startServer();
    await eventually(async () => (await harness.committedOffsets()).get(0) === 2, 'offset 2');
    expect(committedMeanwhile).toEqual([-1, -1]);
    expect(harness.parked).toHaveLength(1);
  });

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('reads what the brokers keep compressed: %s', async (codec) => {
    await harness.makeTopic(1, { 'compression.type': codec });
    const values = Array.from({ length: 300 }, (_, at) => `record ${at} of ${codec}: ${'x'.repeat(at)}`);
    await harness.send(0, ...values);
    const seen: string[] = [];
    harness.onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    await harness.startServer();
    await eventually(() => seen.length >= values.length, 'all messages');
    expect(seen).toEqual(values);
    expect(harness.parked).toEqual([]);
  });

  it('parks a batch that cannot be unpacked with its offsets, and continues behind it (BS7)', async () => {
    const producer = harness.kafka.producer();
    await producer.connect();
    await harness.send(0, 'a');
    const zeros = Buffer.alloc(9 * 1024 * 1024);
    await producer.send({
      topic: harness.topic,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [zeros, zeros].map((value) => ({ partition: 0, value })),
    });
    await producer.disconnect();
    await harness.send(0, 'b');
    const seen: string[] = [];
    harness.onDelivery = (delivery) => {
      seen.push(...textsOf(delivery));
      return Promise.resolve();
    };
    const server = await harness.startServer();
    await eventually(async () => (await harness.committedOffsets()).get(0) === 4, 'offset 4');
    expect(seen).toEqual(['a', 'b']);
    expect(harness.parked).toMatchObject([
      {
        topic: harness.topic,
        partition: 0,
        offset: '1',
        reason: expect.stringMatching(/^a batch of offsets 1 to 2 cannot/),
      },
    ]);
    expect(server.health.notReady()).toEqual([]);
  });
});
