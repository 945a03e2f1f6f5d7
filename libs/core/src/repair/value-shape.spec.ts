import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { MAX_SHAPE_CHARACTERS, SHAPED_UNITS, valueShape } from './value-shape.js';

describe('the shape of a value', () => {
  it.each([
    ['', ''],
    ['12345678', '9{8}'],
    ['1234567', '9{7}'],
    ['123', '999'],
    ['12345678901234567', '9{17+}'],
    ['AB-12', 'AA-99'],
    ['TWD', 'AAA'],
    ['Taipei', 'A{4+}'],
    ['2026-13-45', '9{4}-99-99'],
    ['統一企業股份有限公司', 'A{4+}'],
    ['１２', '99'],
    ['e\u0301te\u0301', 'A{4+}'],
    ['-------', '-{7}'],
    ['😀😀', '😀😀'],
    ['a\0b', 'A\ufffdA'],
    ['half \ud83d', 'A{4+} \ufffd'],
    ['\t x', '\t A'],
  ])('of %j is %j', (value, shape) => {
    expect(valueShape(value)).toBe(shape);
  });

  const value = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.string({ unit: anyCharacter, maxLength: 200 }),
    fc
      .array(
        fc.tuple(
          fc.constantFrom('a', 'Z', '7', '-', ' ', '統', '😀', '\0', '٣'),
          fc.integer({ min: 1, max: 40 }),
        ),
        { maxLength: 60 },
      )
      .map((runs) => runs.map(([character, count]) => character.repeat(count)).join('')),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  );

  it('is what replacing by regular expressions gives, for any text (VS1–VS4)', () => {
    fc.assert(
      fc.property(value, (text) => {
        expect(valueShape(text)).toBe(byReplacing(text));
      }),
    );
  });

  it('has at most 64 characters and fits PostgreSQL, also for a value of 8 MiB (VS3, VS4)', () => {
    fc.assert(
      fc.property(value, (text) => {
        const shape = valueShape(text);
        expect(Array.from(shape).length).toBeLessThanOrEqual(MAX_SHAPE_CHARACTERS);
        expect(shape.isWellFormed() && !shape.includes('\0')).toBe(true);
      }),
    );
    expect(valueShape('x'.repeat(8 * 1024 * 1024))).toBe('A{4+}');
    expect(valueShape('x1'.repeat(4 * 1024 * 1024))).toBe('A9'.repeat(32));
  });
});

/** The same rules, plainly. */
function byReplacing(text: string): string {
  const shown = Array.from(text.slice(0, SHAPED_UNITS), (character) => {
    if (/^[\0\p{Surrogate}]$/u.test(character)) return '\ufffd';
    return character.replace(/\p{Nd}/u, '9').replace(/[\p{L}\p{M}]/u, 'A');
  }).join('');
  const short = shown.replace(/(.)\1{3,}/gsu, (run, character: string) => {
    const count = Array.from(run).length;
    if (character === 'A') return 'A{4+}';
    return count > 16 ? `${character}{17+}` : `${character}{${count}}`;
  });
  return Array.from(short).slice(0, 64).join('');
}
