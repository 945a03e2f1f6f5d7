import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CopyText } from '#core/record/copy-text.js';
import { anyCharacter } from '#test/support/any-character.js';
import { setupDate } from './rules.js';

const kind = setupDate();

function writtenByBytes(value: string): string | null {
  // Something before and after it, so that a wrong start or end is seen.
  const bytes = Buffer.from(`9${value}9`);
  const start = 1;
  const end = bytes.length - 1;
  if (kind.acceptsBytes?.(bytes, start, end) !== true) return null;
  const out = new CopyText();
  kind.write?.(bytes, start, end, out);
  return out.take().toString();
}

function writtenByText(value: string): string | null {
  return kind.accepts(value) ? (kind.toText?.(value) ?? value) : null;
}

describe('set-up date (README section 4.6)', () => {
  it.each([
    ['1040413', '2015-04-13'],
    ['0400711', '1951-07-11'],
    ['0010101', '1912-01-01'],
    ['1130229', '2024-02-29'],
    ['20150413', '2015-04-13'],
    ['20240229', '2024-02-29'],
    ['00010101', '0001-01-01'],
    ['9991231', '2910-12-31'],
    ['1040230', null],
    ['1140229', null],
    ['1041301', null],
    ['1040100', null],
    ['0000101', null],
    ['00000101', null],
    ['20230229', null],
    ['990930', null],
    ['110.1.1', null],
    ['１０４０４１３', null],
    ['104041３', null],
    ['', null],
    ['x1040413', null],
  ])('%s: %s', (value, expected) => {
    expect(writtenByText(value)).toBe(expected);
    expect(writtenByBytes(value)).toBe(expected);
  });

  it('says the same of strings and of bytes', () => {
    const digits = fc.stringMatching(/^[0-9]{5,10}$/);
    const dates = fc
      .tuple(
        fc.constantFrom('000', '001', '104', '113', '0000', '2024', '1900'),
        fc.integer({ min: 0, max: 1331 }),
      )
      .map(([year, rest]) => year + String(rest).padStart(4, '0'));
    fc.assert(
      fc.property(fc.oneof(digits, dates, fc.string({ unit: anyCharacter, maxLength: 9 })), (value) => {
        expect(writtenByBytes(value)).toBe(writtenByText(value));
      }),
      { numRuns: 2000 },
    );
  });
});
