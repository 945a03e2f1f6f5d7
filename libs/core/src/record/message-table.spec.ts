import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { INBOX, messageOf } from '#test/support/record/messages.js';
import { MAX_KEPT_BYTES, MessageTable, MessageTableReader } from './message-table.js';

/** That what was given comes back is proved with all messages by message-cutter.spec.ts. */
describe('the table of a batch’s messages', () => {
  const tableOf = (...messages: Parameters<MessageTable['add']>[0][]): Buffer => {
    const table = new MessageTable(INBOX);
    for (const message of messages) table.add(message);
    return table.take();
  };

  it('takes a few bytes for a message that follows another one, with the same headers', () => {
    const headers = { 'content-type': Buffer.from('application/json'), trace: Buffer.alloc(200) };
    const message = (at: number): ReturnType<typeof messageOf> => messageOf(at, 'x', { headers });
    const one = tableOf(message(0)).length;
    expect(tableOf(message(0), message(1), message(2)).length).toBe(one + 2 * 3);
  });

  it.each([
    ['a key', { key: Buffer.alloc(MAX_KEPT_BYTES + 1, 'k') }, MAX_KEPT_BYTES, 0],
    ['headers', { headers: { a: Buffer.alloc(9_000), b: Buffer.alloc(9_000), c: Buffer.alloc(0) } }, 0, 1],
    ['both', { key: Buffer.alloc(9_000), headers: { a: Buffer.alloc(9_000) } }, 9_000, 0],
  ])('keeps 16 KiB of %s, and says that there was more (MT2)', (_what, facts, keyBytes, headers) => {
    const message = new MessageTableReader(tableOf(messageOf(0, 'x', facts))).message(0);
    expect(message.isCut).toBe(true);
    expect(message.key?.length ?? 0).toBe(keyBytes);
    expect(message.headers).toHaveLength(headers);
  });

  it('keeps 16 KiB as they are', () => {
    const facts = { key: Buffer.alloc(MAX_KEPT_BYTES - 19), headers: { ab: Buffer.alloc(1) } };
    const message = new MessageTableReader(tableOf(messageOf(0, 'x', facts))).message(0);
    expect(message).toMatchObject({ isCut: false, key: facts.key, headers: [['ab', facts.headers.ab]] });
  });

  it('keeps headers that messages share, whatever room their keys leave (MT2)', () => {
    const [shared, none] = [{ a: Buffer.alloc(9_000, 'h') }, {}];
    const given = [
      ...[shared, none, shared].map((headers) => ({ headers })),
      { headers: shared, key: Buffer.alloc(9_000, 'k') },
      ...[shared, shared, none, none].map((headers) => ({ headers })),
    ];
    const table = tableOf(...given.map((facts, at) => messageOf(at, 'x', facts)));
    const reader = new MessageTableReader(table);
    const found = given.map((_, at) => reader.message(at));
    expect(found.map(({ headers, isCut }) => [headers.length, isCut])).toEqual(
      given.map(({ headers }, at) => (at === 3 ? [0, true] : [Object.keys(headers).length, false])),
    );
    expect(table.length).toBeLessThan(3 * 9_100);
  });

  it('is read in order only', () => {
    const reader = new MessageTableReader(tableOf(messageOf(0, 'x'), messageOf(1, 'x'), messageOf(2, 'x')));
    expect(reader.message(1).offset).toBe(1);
    expect(() => reader.message(1)).toThrow('its messages are read in their order only');
    expect(reader.message(2).offset).toBe(2);
    expect(() => reader.message(3)).toThrow('it ends too early');
  });

  it('that is damaged is an error or other messages, never more than its bytes (MT3)', () => {
    const key = Buffer.from('key');
    const whole = tableOf(
      messageOf(5, 'x', { key }),
      messageOf(9, 'x', { headers: { a: key, b: [key, key] } }),
    );
    const damage = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255), end: fc.nat(whole.length) });
    fc.assert(
      fc.property(fc.oneof(damage, fc.uint8Array({ maxLength: 40 })), (given) => {
        const bytes =
          given instanceof Uint8Array
            ? Buffer.from(given)
            : Buffer.from(whole.map((byte, at) => (at === given.at ? given.byte : byte))).subarray(
                0,
                given.end,
              );
        try {
          const reader = new MessageTableReader(bytes);
          for (let index = 0; index < 50; index += 1) reader.message(index);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
