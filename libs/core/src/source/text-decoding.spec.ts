import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { chunksOf } from '#test/support/record/cutting.js';
import { TextDecoding } from './text-decoding.js';

function decode(chunks: readonly Buffer[], label: string): string {
  const decoding = new TextDecoding(label);
  return Buffer.concat([...chunks.map((chunk) => decoding.push(chunk)), decoding.end()]).toString();
}

/** Every character of an encoding with its bytes, by decoding all one, two and four byte sequences one at a time. */
function alphabetOf(label: string): readonly (readonly [string, Buffer])[] {
  const decoder = new TextDecoder(label, { fatal: true });
  const found: [string, Buffer][] = [];
  const tryBytes = (...bytes: number[]): void => {
    try {
      const text = decoder.decode(Uint8Array.from(bytes));
      if (Array.from(text).length === 1) found.push([text, Buffer.from(bytes)]);
    } catch {
      // No character.
    }
  };
  for (let one = 0; one < 0x80; one += 1) tryBytes(one);
  for (let one = 0x81; one < 0xff; one += 1)
    for (let two = 0x30; two < 0xff; two += 3) {
      tryBytes(one, two);
      if (label === 'gb18030' && two < 0x3a) tryBytes(one, two, 0x81 + (one % 5), 0x30 + (two % 10));
    }
  return found;
}

const LATIN1_80 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';
const windows1252 = Array.from({ length: 256 }, (_, byte): readonly [string, Buffer] => [
  byte >= 0x80 && byte < 0xa0 ? (LATIN1_80[byte - 0x80] ?? '') : String.fromCharCode(byte),
  Buffer.of(byte),
]);
const ENCODINGS: readonly (readonly [string, readonly (readonly [string, Buffer])[]])[] = [
  ...['big5', 'gb18030', 'shift_jis', 'euc-kr', 'euc-jp'].map((label) => [label, alphabetOf(label)] as const),
  ...['windows-1252', 'latin1'].map((label) => [label, windows1252] as const),
];

const utf16be = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();
const anyText = fc
  .string({ unit: anyCharacter, maxLength: 300 })
  .filter((text) => !/^[\ufeff\ufffe\ufeef]/.test(text));

describe('decoding', () => {
  it.each(ENCODINGS)('%s gives what was encoded, however it comes', (label, alphabet) => {
    expect(alphabet.length).toBeGreaterThan(200);
    const text = fc.array(fc.nat(alphabet.length - 1), { maxLength: 300 });
    const sources = text.chain((places) => {
      const bytes = Buffer.concat(places.map((at) => alphabet[at]![1]));
      return fc.tuple(fc.constant(places.map((at) => alphabet[at]![0]).join('')), chunksOf(bytes));
    });
    fc.assert(
      fc.property(sources, ([expected, chunks]) => {
        fc.pre(!/^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)/.test(Buffer.concat(chunks).toString('latin1', 0, 3)));
        expect(decode(chunks, label)).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });

  it.each<[string, string, (text: string) => Buffer]>([
    ['utf-16le', '', (text) => Buffer.from(text, 'utf16le')],
    ['utf-16be', '', utf16be],
    ['utf-16le', 'with its mark', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['utf-16be', 'with its mark', (text) => utf16be(`\ufeff${text}`)],
    ['utf-16', 'with the mark of big-endian', (text) => utf16be(`\ufeff${text}`)],
    ['big5', 'with the mark of UTF-16', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
  ])('%s %s gives what was encoded, however it comes', (label, _, encode) => {
    const sources = anyText.chain((text) => fc.tuple(fc.constant(text), chunksOf(encode(text))));
    fc.assert(
      fc.property(sources, ([text, chunks]) => {
        expect(decode(chunks, label)).toBe(text.toWellFormed());
      }),
      { numRuns: 200 },
    );
  });

  it('leaves UTF-8 with its mark as it is', () => {
    expect(decode([Buffer.from('\ufeff東')], 'big5')).toBe('\ufeff東');
  });

  it.each([
    'big5',
    'gb18030',
    'gbk',
    'shift_jis',
    'euc-jp',
    'euc-kr',
    'utf-16le',
    'utf-16be',
    'iso-2022-jp',
    'koi8-r',
    'latin1',
  ])('%s of any bytes is the same however they come, and never throws', (label) => {
    const byte = fc.oneof(
      fc.nat(255),
      fc.constantFrom(0x0a, 0x1b, 0x24, 0x28, 0x30, 0x81, 0xa4, 0xd8, 0xdc, 0xff),
    );
    const sources = fc
      .array(byte, { maxLength: 400 })
      .map((bytes) => Buffer.from(bytes))
      .chain((bytes) => fc.tuple(fc.constant(bytes), chunksOf(bytes)));
    fc.assert(
      fc.property(sources, ([bytes, chunks]) => {
        expect(decode(chunks, label)).toBe(decode([bytes], label));
      }),
      { numRuns: 300 },
    );
  });

  it('makes U+FFFD of what means nothing, and continues behind it', () => {
    expect(decode([Buffer.from([0x61, 0xff, 0x0a, 0x62])], 'big5')).toBe('a\ufffd\nb');
    expect(decode([Buffer.from([0x61, 0xff, 0x0a, 0x62, 0x81])], 'shift_jis')).toBe('a\ufffd\nb\ufffd');
    expect(decode([Buffer.from([0x61, 0x00, 0x00, 0xd8, 0x0a, 0x00, 0x62])], 'utf-16le')).toBe(
      'a\ufffd\n\ufffd',
    );
    expect(decode([Buffer.from([0xa4, 0x0a])], 'big5')).toBe('\ufffd\n');
  });
});
