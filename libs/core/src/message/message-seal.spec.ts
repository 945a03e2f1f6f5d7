import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { IncomingMessage, OutgoingMessage } from './header-reader.js';
import { MessageSeal, checkedSeal } from './message-seal.js';

const SECRET = 'a secret of this deployment';
const MESSAGE: OutgoingMessage = {
  topic: 'sluice.things.raw',
  partition: 1,
  key: 'x:1',
  headers: { v: '1', job: '01890a5d-ac96-774b-bcce-b302099a8057', columns: Buffer.from('["統一編號"]') },
  value: Buffer.from('1,2\n'),
};

function received({ topic, headers, value }: OutgoingMessage): IncomingMessage {
  const travelled = Object.entries(headers).reverse();
  return {
    place: { topic, partition: 1, offset: '7' },
    headers: Object.fromEntries(travelled.map(([name, given]) => [name, Buffer.from(given)])),
    value,
  };
}

describe('the seal of a message', () => {
  const seal = MessageSeal.of(SECRET) as MessageSeal;
  const sealed = received(seal.sealed(MESSAGE));

  it('is right however the headers are ordered, for a service with the same secret', () => {
    expect(seal.check(sealed)).toBe(true);
    expect(MessageSeal.of(SECRET)?.check(sealed)).toBe(true);
    expect(seal.check(received(MESSAGE))).toBe(false);
  });

  const { headers, value } = sealed;
  it.each<[string, Partial<IncomingMessage>]>([
    ['value', { value: Buffer.from('1,3\n') }],
    ['no value', { value: null }],
    ['topic', { place: { ...sealed.place, topic: 'sluice.things.clean' } }],
    ['header', { headers: { ...headers, v: '2' } }],
    ['job', { headers: { ...headers, job: '01890a5d-ac96-774b-bcce-b302099a8058' } }],
    ['header more', { headers: { ...headers, more: 'x' } }],
    ['header less', { headers: { ...headers, columns: undefined } }],
    ['header given twice', { headers: { ...headers, v: ['1', '1'] } }],
    ['end of a header moved into the value', { headers: { ...headers, v: '' }, value }],
    ['seal', { headers: { ...headers, seal: '0'.repeat(64) } }],
    ['seal given twice', { headers: { ...headers, seal: [String(headers.seal), String(headers.seal)] } }],
    ['seal of no length', { headers: { ...headers, seal: '' } }],
  ])('is wrong with another %s', (_, change) => {
    expect(() => seal.check({ ...sealed, ...change })).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID', message: expect.stringContaining('sluice.things') }),
    );
  });

  it('of another secret is wrong', () => {
    const other = MessageSeal.of('a secret of somewhere else') as MessageSeal;
    expect(() => other.check(sealed)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });

  it('cannot be checked without the secret, which is no reason to believe it', () => {
    expect(MessageSeal.of('')).toBeNull();
    expect(checkedSeal(null, received(MESSAGE))).toBe(false);
    expect(() => checkedSeal(null, sealed)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });

  it('fits any message that was sealed, whatever bytes and texts it holds', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(
        fc.dictionary(
          text.filter((name) => name !== 'seal'),
          text,
        ),
        fc.uint8Array(),
        (more, bytes) => {
          const message = { ...MESSAGE, headers: { ...more, ...MESSAGE.headers }, value: Buffer.from(bytes) };
          expect(seal.check(received(seal.sealed(message)))).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });
});
