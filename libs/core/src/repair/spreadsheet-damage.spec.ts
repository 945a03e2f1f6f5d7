import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { damageOf } from './spreadsheet-damage.js';

describe('the damage of a spreadsheet', () => {
  it.each([
    ['00123', '123', 'LEADING_ZEROS'],
    ['0', '0', null],
    ['+886912345678', '886912345678', 'LEADING_ZEROS'],
    ['12345678901234567890', '1.23457E+19', 'SCIENTIFIC'],
    ['1234567890123', '1,23457E+12', 'SCIENTIFIC'],
    ['1234567890123456789', '1234567890123450000', 'DIGITS_LOST'],
    ['1.50', '1.5', 'NUMBER_REWRITTEN'],
    ['1,234', '1234', 'NUMBER_REWRITTEN'],
    ['1.5', '1,5', 'NUMBER_REWRITTEN'],
    ['2026-01-02', '2026-02-01', 'DATE_SWAPPED'],
    ['03/04/2026', '04/03/2026', 'DATE_SWAPPED'],
    ['2026-01-25', '25.01.2026', 'DATE_REWRITTEN'],
    ['2026-01-02', '2026/1/2', 'DATE_REWRITTEN'],
    ['2026-01-02T03:04:05Z', '2026/1/2 3:04', 'DATE_REWRITTEN'],
    ['1-2', '1-Feb', 'DATE_REWRITTEN'],
    ['1-2', '2-Jan', 'DATE_SWAPPED'],
    ['MAR1', '1-Mar', 'DATE_SWAPPED'],
    ['SEPT2', '2026-09-02', 'DATE_REWRITTEN'],
    ['台北', '??', 'ENCODING'],
    ['café 台', 'café ?', 'ENCODING'],
    ['café', 'cafÃ©', 'ENCODING'],
    ['true', 'TRUE', 'BOOLEAN_REWRITTEN'],
    ['12a', '12', null],
    ['123', '124', null],
    ['x', 'y', null],
    ['2026-01-02', '2026-01-03', null],
    ['', '5', null],
    ['5', '', null],
  ])('%j that became %j is %s', (before, after, damage) => {
    expect(damageOf(before, after)).toBe(damage);
  });

  it('is none where nothing changed, and any two texts have an answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (before, after) => {
        expect(damageOf(before, before)).toBeNull();
        damageOf(before, after);
      }),
    );
  });
});
