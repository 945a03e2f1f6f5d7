import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { SendableMessage } from '../message.js';
import { ProduceBody, bodyOf } from './produce-request.js';
import { MAX_REQUEST_BYTES, halvesOf, requestsOf } from './request-groups.js';

/** What a request has besides batches, for one topic with a short name and up to a dozen partitions. */
const REQUEST_FRAME_BYTES = 300;

const header = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 3_000 }),
  fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
);
const message: fc.Arbitrary<SendableMessage> = fc.record({
  topic: fc.constant('t'),
  partition: fc.nat(11),
  key: fc.string({ maxLength: 300 }),
  // Most of what travels may be headers, and most of it may be value.
  headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), header, { maxKeys: 12 }),
  value: fc
    .oneof({ weight: 9, arbitrary: fc.nat(2_000) }, { weight: 1, arbitrary: fc.nat(400_000) })
    .map((bytes) => Buffer.alloc(bytes)),
});

describe('messages that travel together', () => {
  it('are all messages in their order, and no request of several is larger than its bound on the way', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 300 }), (messages) => {
        const requests = [...requestsOf(messages)];
        expect(requests.flatMap((request) => request.messages.map((each) => each.message))).toEqual(messages);
        for (const { messages: together, bytes } of requests) {
          const onTheWay = requestBytes(together.map((each) => each.message));
          // Measured once, it is the same request.
          expect(requestBytes(together.map((each) => ({ ...each.message, body: each.body })))).toBe(onTheWay);
          expect(bytes).toBeGreaterThanOrEqual(onTheWay - REQUEST_FRAME_BYTES);
          if (together.length > 1)
            expect(onTheWay).toBeLessThanOrEqual(MAX_REQUEST_BYTES + REQUEST_FRAME_BYTES);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('are taken from their generator only when they are needed', () => {
    let made = 0;
    const requests = requestsOf(
      (function* (): Generator<SendableMessage> {
        for (;;) {
          made += 1;
          yield { topic: 't', key: 'k', headers: { findings: 'x'.repeat(100_000) }, value: Buffer.alloc(0) };
        }
      })(),
    );
    requests.next();
    expect(made).toBeLessThan(15);
  });

  it('can be halved down to single ones', () => {
    const three = ['a', 'b', 'c'].map((key) => {
      const single = { topic: 't', key, headers: {}, value: Buffer.from(key) };
      return { message: single, body: bodyOf(single) };
    });
    const [first, second] = halvesOf({ messages: three, bytes: 0 });
    expect(first?.messages).toEqual(three.slice(0, 2));
    expect(second?.messages).toEqual(three.slice(2));
    expect([...(first ? halvesOf(first) : [])].map(({ messages }) => messages.length)).toEqual([1, 1]);
  });
});

/** As the encoder of what goes to the socket measures it. */
function requestBytes(messages: readonly SendableMessage[]): number {
  const partitions = new Map<number, SendableMessage[]>();
  for (const each of messages) {
    const partition = each.partition ?? 0;
    partitions.set(partition, [...(partitions.get(partition) ?? []), each]);
  }
  const topicData = [
    { topic: 't', partitions: [...partitions].map(([partition, all]) => ({ partition, messages: all })) },
  ];
  return new ProduceBody({ acks: -1, timeout: 30_000, topicData }, 0).length;
}
