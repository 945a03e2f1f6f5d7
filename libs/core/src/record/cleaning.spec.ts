import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ByteCleaner, cleanString } from './cleaning.js';

describe('cleaning', () => {
  it.each([
    ['  a b\t', 'a b'],
    ['　東　區　', '東　區'],
    ['\u00a0a', '\u00a0a'],
    ['\ta\n', 'a\n'],
    ['', null],
    [' 　\t', null],
    ['NULL', null],
    [' null ', null],
    ['NA', null],
    ['N/A', null],
    ['Null', 'Null'],
    ['n/a', 'n/a'],
    ['\0 \0NA\0', null],
    ['a\0b', 'ab'],
  ])('makes of %j %j', (value, expected) => {
    expect(cleanString(value)).toBe(expected);
  });

  it('does so by the contract: other tokens, ends left as they are', () => {
    expect(cleanString('-', { nullTokens: ['-'] })).toBeNull();
    expect(cleanString('', { nullTokens: ['-'] })).toBe('');
    expect(cleanString(' NA', { trim: false })).toBe(' NA');
  });

  it('takes no longer than its text for long runs of blanks', () => {
    // Where time grew with the square of the length, this would not end within the test's time.
    const inner = `a${' '.repeat(1_000_000)}b`;
    expect(cleanString(` ${inner} `)).toBe(inner);
  });

  it.each([
    ...['abc', 'a b', '東京', 'a東', '東a', 'ab\u3001c', 'NULLs'].map((value) => [value, true] as const),
    ...[' abc', 'abc ', '\tabc', 'abc\t', '\u3000abc', 'abc\u3000'].map((value) => [value, false] as const),
    // As long as a null token, or shorter: it has to be compared.
    ...['', 'a', 'ab', 'NA'].map((value) => [value, false] as const),
  ])('knows at a glance whether %j needs no cleaning: %j', (value, isClean) => {
    const bytes = Buffer.from(` ${value} `);
    const cleaner = new ByteCleaner({ nullTokens: ['', 'NA'] });
    expect(cleaner.isClean(bytes, 1, bytes.length - 1)).toBe(isClean);
  });

  it('says the same on bytes as on strings', () => {
    const value = fc.string({
      unit: fc.constantFrom(
        ' ',
        '\t',
        '　',
        '\u3001',
        '\u3040',
        '\u2000',
        '東',
        'ã',
        '\x80',
        'N',
        'A',
        '/',
        'a',
        'NULL',
        '\n',
        '-',
      ),
      maxLength: 10,
    });
    const cleaning = fc.record(
      { trim: fc.boolean(), nullTokens: fc.subarray(['', 'NULL', 'NA', '　', ' -', '東']) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(value, value, value, cleaning, (before, text, after, options) => {
        const bytes = Buffer.from(before + text + after);
        const start = Buffer.byteLength(before);
        const cleaner = new ByteCleaner(options);
        cleaner.clean(bytes, start, start + Buffer.byteLength(text));
        const cleaned = cleaner.end === -1 ? null : bytes.toString('utf8', cleaner.start, cleaner.end);
        expect(cleaned).toBe(cleanString(text, options));
        if (cleaner.isClean(bytes, start, start + Buffer.byteLength(text))) expect(cleaned).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });
});
