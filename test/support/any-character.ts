import fc from 'fast-check';

/** Half of a pair is no character. */
const [FIRST_HALF, HALVES] = [0xd800, 0x800];

/**
 * Every character of Unicode, as a unit of `fc.string`: the same as `'binary'`, value by value. For that one fast-check lists
 * the million characters before it gives the first, which takes a second in every file.
 */
export const anyCharacter: fc.Arbitrary<string> = fc
  .nat({ max: 0x10ffff - HALVES })
  .map((index) => String.fromCodePoint(index < FIRST_HALF ? index : index + HALVES), indexOf);

function indexOf(value: unknown): number {
  const code = typeof value === 'string' ? (value.codePointAt(0) ?? -1) : -1;
  const isHalf = code >= FIRST_HALF && code < FIRST_HALF + HALVES;
  if (code < 0 || isHalf || String.fromCodePoint(code) !== value)
    throw new TypeError(`${String(value)} is not one character`);
  return code < FIRST_HALF ? code : code - HALVES;
}
