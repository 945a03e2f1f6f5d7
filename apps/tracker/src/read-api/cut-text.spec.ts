import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LIST_TEXT_BYTES, LIST_TEXT_CHARACTERS, cutText } from './cut-text.js';

describe('cutText', () => {
  it('shows the same first characters whether all bytes were read or only the first ones', () => {
    const piece = fc.oneof(
      fc.constantFrom('a', '統', 'é', '𠀀', '\0').map((character) => Buffer.from(character)),
      fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    );
    const long = fc
      .tuple(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 900 }))
      .map(([pieces, times]) => Buffer.concat(Array.from({ length: times }, () => Buffer.concat(pieces))));
    fc.assert(
      fc.property(long, (bytes) => {
        const whole = Array.from(bytes.toString()).slice(0, LIST_TEXT_CHARACTERS).join('');
        expect(cutText(bytes)).toBe(whole);
        expect(cutText(bytes.subarray(0, LIST_TEXT_BYTES))).toBe(whole);
      }),
    );
  });

  it('never halves a character', () => {
    expect(cutText(Buffer.from('𠀀'.repeat(1001)))).toBe('𠀀'.repeat(1000));
  });
});
