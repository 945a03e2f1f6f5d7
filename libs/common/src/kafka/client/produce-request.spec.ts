import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { ProduceBody, type ProduceRequest, installProduceEncoding } from './produce-request.js';

const NOW = 1_790_000_000_123;

/** kafkajs's own, version by version; taken before anything is installed. */
const require = createRequire(import.meta.url);
interface KafkajsRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly encode: () => Promise<unknown>;
}
type Define = (request: ProduceRequest) => { request: KafkajsRequest };
const Long = require('kafkajs/src/utils/long.js') as Record<
  'fromInt' | 'fromString',
  (value: number | string) => { toString(): string }
>;
const table = require('kafkajs/src/protocol/requests/produce/index.js') as {
  protocol: (of: { version: number }) => Define;
};
const { protocol: kafkajsProtocol } = table;
/** Header and length around a request: what goes to the socket. */
const frame = require('kafkajs/src/protocol/request.js') as (of: {
  correlationId: number;
  clientId: string;
  request: KafkajsRequest;
}) => Promise<{ readonly buffer: Buffer }>;

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  // Around the length from which ASCII goes another way.
  fc.string({ unit: 'binary-ascii', minLength: 60, maxLength: 67 }),
);
const nullable = fc.option(bytes, { freq: 10 });
// kafkajs itself cannot encode a header without a value.
const header = fc.oneof(bytes, fc.array(bytes, { maxLength: 3 }));
const message = fc.record({
  key: nullable,
  value: nullable,
  headers: fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), header, {
    maxKeys: 5,
  }),
});
const request: fc.Arbitrary<ProduceRequest> = fc.record({
  acks: fc.constantFrom(-1, 1),
  timeout: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  transactionalId: fc.constantFrom(null, 'sluice.things.repair', 'größer'),
  producerId: fc.constantFrom(Long.fromInt(-1), Long.fromInt(7), Long.fromString('9007199254740993')),
  producerEpoch: fc.constantFrom(0, 7),
  topicData: fc.array(
    fc.record({
      topic: fc.string({ minLength: 1, maxLength: 20 }),
      partitions: fc.array(
        fc.record({
          partition: fc.nat(100_000),
          firstSequence: fc.nat(),
          messages: fc.array(message, { minLength: 1, maxLength: 70 }),
        }),
        { maxLength: 3 },
      ),
    }),
    { maxLength: 3 },
  ),
});

describe('a Produce request', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: NOW, doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  const sentBy = async (protocol: typeof kafkajsProtocol, version: number, given: ProduceRequest) =>
    (await frame({ correlationId: 7, clientId: 'client', request: protocol({ version })(given).request }))
      .buffer;

  const sentByUs = async (given: ProduceRequest) => {
    const { request: plain } = kafkajsProtocol({ version: 7 })(given);
    const encode = () => Promise.resolve(new ProduceBody(given, NOW));
    return (await frame({ correlationId: 7, clientId: 'client', request: { ...plain, encode } })).buffer;
  };

  it('has the bytes that kafkajs gives it, whatever the messages', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        // kafkajs before anything is installed, and after: what has no large body is framed as ever.
        const plain = await sentBy(kafkajsProtocol, 7, given);
        installProduceEncoding();
        expect((await sentBy(kafkajsProtocol, 7, given)).equals(plain)).toBe(true);
        expect((await sentByUs(given)).equals(plain)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('has them at the sizes where lengths take one more byte', async () => {
    installProduceEncoding();
    for (const length of [0, 1, 63, 64, 65, 8_191, 8_192, 8_193, 1_048_575, 1_048_576, 1_048_577]) {
      const headers = { h: 'x'.repeat(length % 999) };
      const given = requestOf({ key: 'k', value: Buffer.alloc(length, 7), headers });
      expect((await sentByUs(given)).equals(await sentBy(kafkajsProtocol, 7, given))).toBe(true);
    }
  });

  it('is what kafkajs sends once installed, and what is not plain is left to kafkajs', async () => {
    installProduceEncoding();
    const installed = table.protocol;
    installProduceEncoding();
    expect(table.protocol).toBe(installed);
    expect(installed).not.toBe(kafkajsProtocol);
    const value = Buffer.from('value');
    const plain = requestOf({ key: 'k', value });
    expect(await installed({ version: 7 })(plain).request.encode()).toBeInstanceOf(ProduceBody);
    expect(await sentBy(installed, 7, plain)).toEqual(await sentBy(kafkajsProtocol, 7, plain));
    for (const [version, given] of [
      [2, plain],
      [7, { ...plain, compression: 1 }],
      [7, requestOf({ key: 'k', value, timestamp: '1700000000000' })],
    ] as const) {
      expect(await installed({ version })(given).request.encode()).not.toBeInstanceOf(ProduceBody);
      expect(await sentBy(installed, version, given)).toEqual(await sentBy(kafkajsProtocol, version, given));
    }
  });

  it('is written once, however often its bytes are asked for', async () => {
    installProduceEncoding();
    const { request: definition } = table.protocol({ version: 7 })(requestOf({ key: 'k', value: 'value' }));
    const framed = await frame({ correlationId: 1, clientId: 'client', request: definition });
    expect(framed.buffer).toBe(framed.buffer);
  });
});

function requestOf(
  given: ProduceRequest['topicData'][number]['partitions'][number]['messages'][number],
): ProduceRequest {
  return {
    acks: -1,
    timeout: 30_000,
    topicData: [{ topic: 'topic', partitions: [{ partition: 0, messages: [given] }] }],
  };
}
