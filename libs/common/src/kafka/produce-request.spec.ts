import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { type ProduceRequest, encodeProduceRequest, installProduceEncoding } from './produce-request.js';

const NOW = 1_790_000_000_123;

/** kafkajs's own, version by version; taken before anything is installed. */
const require = createRequire(import.meta.url);
type Define = (request: ProduceRequest) => { request: { encode: () => Promise<{ buffer: Buffer }> } };
const table = require('kafkajs/src/protocol/requests/produce/index.js') as {
  protocol: (of: { version: number }) => Define;
};
const { protocol: kafkajsProtocol } = table;

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
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

  const encodedBy = async (protocol: typeof kafkajsProtocol, version: number, given: ProduceRequest) =>
    (await protocol({ version })(given).request.encode()).buffer;

  it('has the bytes that kafkajs gives it, whatever the messages', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        const plain = await encodedBy(kafkajsProtocol, 7, given);
        expect(encodeProduceRequest(given, NOW).equals(plain)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('has them at the sizes where lengths take one more byte', async () => {
    for (const length of [0, 1, 63, 64, 65, 8_191, 8_192, 8_193, 1_048_575, 1_048_576, 1_048_577]) {
      const given = requestOf({
        key: 'k',
        value: Buffer.alloc(length, 7),
        headers: { h: 'x'.repeat(length % 999) },
      });
      const plain = await encodedBy(kafkajsProtocol, 7, given);
      expect(encodeProduceRequest(given, NOW).equals(plain)).toBe(true);
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
    const encoder = await installed({ version: 7 })(plain).request.encode();
    expect(encoder).not.toHaveProperty('writeInt8');
    expect(encoder.buffer).toEqual(await encodedBy(kafkajsProtocol, 7, plain));
    for (const [version, given] of [
      [2, plain],
      [7, { ...plain, compression: 1 }],
      [7, { ...plain, transactionalId: 't' }],
      [7, { ...plain, producerId: 5 as never }],
      [7, requestOf({ key: 'k', value, timestamp: '1700000000000' })],
    ] as const) {
      const left = await installed({ version })(given).request.encode();
      expect(left).toHaveProperty('writeInt8');
      expect(left.buffer).toEqual(await encodedBy(kafkajsProtocol, version, given));
    }
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
