import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encoderOf } from './encode-text.js';

const TWO_BYTES = ['big5', 'gbk', 'shift_jis', 'euc-kr', 'euc-jp'];
const ONE_BYTE = ['windows-1252', 'windows-1251', 'koi8-r', 'iso-8859-2', 'macintosh'];

/** What Node, and no table of ours, makes of bytes. Of windows-1252 its TextDecoder makes nothing of one byte FF alone. */
function readAs(label: string, bytes: Uint8Array): string {
  if (label === 'windows-1252') return Buffer.from(bytes).toString('latin1');
  return new TextDecoder(label, { ignoreBOM: true }).decode(bytes);
}

/** What ICU makes of single bytes that have no character (`text-decoding.ts`). */
const OF_ICU = /[\x80-\x9f\uf8c1-\uf8ff]/;

/** Null where it is no single character. */
function characterOf(label: string, ...bytes: number[]): string | null {
  const text = readAs(label, Uint8Array.from(bytes));
  return Array.from(text).length === 1 && text !== '\uFFFD' && !OF_ICU.test(text) ? text : null;
}

function charactersOf(label: string): string[] {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const ones = bytes.map((byte) => characterOf(label, byte));
  const twos = TWO_BYTES.includes(label)
    ? bytes
        .slice(0x81)
        .flatMap((first) => bytes.slice(0x40).map((second) => characterOf(label, first, second)))
    : [];
  return [...new Set([...ones, ...twos])].filter((character) => character !== null);
}

describe('encoderOf', () => {
  it.each([...ONE_BYTE, ...TWO_BYTES])('writes %s as TextDecoder reads it', (label) => {
    const encode = encoderOf(label);
    const text = fc.array(fc.constantFrom(...charactersOf(label)), { maxLength: 40 });
    fc.assert(
      fc.property(text, text, (one, other) => {
        const [first, second] = [one.join(''), other.join('')];
        expect(readAs(label, encode(first))).toBe(first);
        expect(encode(first + second)).toEqual(Buffer.concat([encode(first), encode(second)]));
      }),
    );
  });

  it.each(['utf-8', 'utf-16le', 'utf-16be'])('writes %s as TextDecoder reads it', (label) => {
    const encode = encoderOf(label);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(readAs(label, encode(text))).toBe(text);
      }),
    );
  });

  it('writes a question mark for what the encoding does not have, and ASCII as it is', () => {
    expect(encoderOf('windows-1252')('Größe 東 😀').toString('latin1')).toBe('Größe ? ?');
    expect(encoderOf('windows-1252')('50 €')).toEqual(Buffer.from([0x35, 0x30, 0x20, 0x80]));
    expect(encoderOf('Latin1')('é')).toEqual(Buffer.from([0xe9]));
    expect(encoderOf('big5')('臺 € ä')).toEqual(Buffer.from([0xbb, 0x4f, 0x20, 0xa3, 0xe1, 0x20, 0x3f]));
    const ascii = fc.string({ unit: 'binary-ascii' });
    fc.assert(
      fc.property(ascii, fc.constantFrom(...ONE_BYTE, ...TWO_BYTES), (text, label) => {
        expect(encoderOf(label)(text)).toEqual(Buffer.from(text));
      }),
    );
  });

  it('refuses what is no label', () => {
    expect(() => encoderOf('utf-7')).toThrow('"utf-7" encoding is not supported');
  });
});
