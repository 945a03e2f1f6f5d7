import { describe, expect, it } from '@jest/globals';
import { lastDigitFor, passesChecksum } from './business-number.js';

const passes = (number: string): boolean => passesChecksum((place) => Number(number[place]));

describe('checksum of business numbers (README section 5)', () => {
  it.each([
    ['04595257', true],
    ['53212539', true],
    ['12345675', true],
    ['10000009', true],
    ['10000004', true],
    ['12345670', true],
    ['12345671', true],
    ['12345678', false],
    ['24567898', false],
    ['00000000', false],
    ['00000005', true],
  ])('%s: %s', (number, valid) => {
    expect(passes(number)).toBe(valid);
  });

  it('completes any seven digits to a number that passes', () => {
    const numbers = Array.from({ length: 20_000 }, (_, index) => {
      const prefix = String((index * 7919) % 10_000_000).padStart(7, '0');
      return prefix + lastDigitFor(prefix, index);
    });
    expect(numbers.filter((number) => !passes(number))).toEqual([]);
  });
});
