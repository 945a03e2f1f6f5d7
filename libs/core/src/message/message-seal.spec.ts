import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import type { IncomingMessage, OutgoingMessage } from './header-reader.js';
import { MessageSeal, checkedSeal, isSealed } from './message-seal.js';

/** Of MESSAGE under SECRET, by a program of its own. */
const KNOWN_SEAL = '588b0223c71623918373951c2c8f47d6667c21265a3d8e154afffcbe72cabc08';
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

  it('is the same in every build: services of two builds check each other’s messages', () => {
    expect(seal.sealed(MESSAGE)).toEqual({
      ...MESSAGE,
      headers: { ...MESSAGE.headers, seal: KNOWN_SEAL },
    });
    expect(isSealed(sealed)).toBe(true);
    expect(isSealed(received(MESSAGE))).toBe(false);
  });

  it('keeps the keys of the last 64 jobs, and seals as before with those that were forgotten', () => {
    const { keys } = seal as unknown as { keys: ReadonlyMap<string, unknown> };
    const jobs = Array.from({ length: 70 }, (_, number) => `job ${number}`);
    for (const job of jobs) seal.sealed({ ...MESSAGE, headers: { job } });
    expect([...keys.keys()]).toEqual(jobs.slice(-64));
    expect(seal.check(sealed)).toBe(true);
  });

  it('covers every byte of a header that is no text', () => {
    const table = (byte: number): OutgoingMessage => ({
      ...MESSAGE,
      headers: { ...MESSAGE.headers, messages: Buffer.from([0x01, byte]) },
    });
    const tabled = received(seal.sealed(table(0xff)));
    expect(seal.check(tabled)).toBe(true);
    const other = { ...tabled, headers: { ...tabled.headers, messages: Buffer.from([0x01, 0xfe]) } };
    expect(() => seal.check(other)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
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
      expect.objectContaining({
        code: 'MESSAGE_INVALID',
        message: expect.stringMatching(
          /^Message sluice\.things\.\w+\/1\/7: its seal is not one of this deployment\.$/,
        ),
      }),
    );
  });

  it('of another secret is wrong', () => {
    const other = MessageSeal.of('a secret of somewhere else') as MessageSeal;
    expect(() => other.check(sealed)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });

  it('cannot be checked without the secret, which is no reason to believe it', () => {
    expect(MessageSeal.of('')).toBeNull();
    expect(checkedSeal(null, received(MESSAGE))).toBe(false);
    expect(() => checkedSeal(null, sealed)).toThrow(
      expect.objectContaining({
        code: 'MESSAGE_INVALID',
        message:
          'Message sluice.things.raw/1/7: it is sealed, and this service has no SLUICE_MESSAGE_KEY to check that.',
      }),
    );
  });

  it('is checked before a message is passed on', () => {
    expect(checkedSeal(seal, sealed)).toBe(true);
    expect(checkedSeal(seal, received(MESSAGE))).toBe(false);
    expect(() => checkedSeal(seal, { ...sealed, value: Buffer.from('1,3\n') })).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID' }),
    );
  });

  it('fits any message that was sealed, whatever bytes and texts it holds', () => {
    const text = fc.string({ unit: anyCharacter });
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
