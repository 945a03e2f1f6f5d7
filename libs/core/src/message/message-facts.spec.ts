import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { INBOX, anyMessages, messageOf } from '#test/support/record/messages.js';
import { MessageTable } from '../record/message-table.js';
import { BatchFacts, MAX_FACTS_BYTES, type MessageText, isMessageFacts } from './message-facts.js';

function factsOf(...messages: Parameters<MessageTable['add']>[0][]): BatchFacts {
  const table = new MessageTable(INBOX);
  for (const message of messages) table.add(message);
  return new BatchFacts(table.take(), 4);
}

const bytesOf = (given: MessageText | null): Buffer | null => {
  if (given === null) return null;
  return 'text' in given ? Buffer.from(given.text) : Buffer.from(given.base64, 'base64');
};

describe('what a message said, in its dead letter', () => {
  it('is text where it is one, and bytes where not', () => {
    const facts = factsOf(
      messageOf(3, 'x', {
        key: Buffer.from('統一'),
        timestamp: Date.parse('2026-11-29T18:36:30.123Z'),
        headers: {
          text: Buffer.from('a'),
          none: undefined,
          bytes: [Buffer.from([0xff]), Buffer.from('a\n')],
        },
      }),
    );
    expect(facts.of(0)).toEqual({
      topic: INBOX,
      partition: 0,
      offset: '3',
      timestamp: '2026-11-29T18:36:30.123Z',
      key: { text: '統一' },
      headers: [
        { name: 'text', value: { text: 'a' } },
        { name: 'none', value: null },
        { name: 'bytes', value: { base64: '/w==' } },
        { name: 'bytes', value: { base64: 'YQo=' } },
      ],
    });
  });

  it.each([-1, Number.MAX_SAFE_INTEGER, 8_640_000_000_000_000, -62_135_596_800_001])(
    'has no time for %i',
    (timestamp) => {
      expect(factsOf(messageOf(0, 'x', { timestamp })).of(0).timestamp).toBeNull();
    },
  );

  it('of any message is exact, can be stored, and is bounded', () => {
    const key = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));
    fc.assert(
      fc.property(anyMessages(fc.constant(Buffer.from('x'))), key, (messages, otherKey) => {
        const given = messages.map((message) => ({ ...message, key: otherKey }));
        const facts = factsOf(...given);
        for (const [at, { place, undecodable }] of given.entries()) {
          const found = facts.of(at);
          expect(isMessageFacts(JSON.parse(JSON.stringify(found)))).toBe(true);
          expect(found).toMatchObject({ partition: place.partition, offset: place.offset });
          expect(bytesOf(found.key)).toEqual(otherKey);
          expect(found.undecodable?.reason).toBe(undecodable?.reason);
        }
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['a key', { key: Buffer.alloc(100_000, 1) }],
    [
      'names',
      {
        headers: Object.fromEntries(Array.from({ length: 9_000 }, (_, at) => [`\x01${at}`, Buffer.alloc(0)])),
      },
    ],
    ['one long name', { headers: { ['\x01'.repeat(16_000)]: null as unknown as undefined } }],
  ])('is bounded for %s that was made for it', (_what, given) => {
    const facts = factsOf(messageOf(0, 'x', given)).of(0);
    expect(JSON.stringify(facts).length).toBeLessThanOrEqual(MAX_FACTS_BYTES);
    expect(isMessageFacts(facts)).toBe(true);
  });

  it('that cannot be had is MESSAGE_INVALID, with the batch', () => {
    for (const facts of [factsOf(), new BatchFacts(Buffer.from('x'), 4)])
      expect(() => facts.of(0)).toThrow(
        expect.objectContaining({ code: 'MESSAGE_INVALID', place: { batch: 4 } }),
      );
  });
});
