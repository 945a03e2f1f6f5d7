/**
 * What a refused value looks like, without saying what it is: `12345678` and `87654321` are both `9{8}`. PURE.
 *
 * - VS1: a digit becomes `9`, an alphabetic character (with its marks) `A`; every other character stays as it is.
 * - VS2: of up to three equal ones in a row each is written, of 4 to 16 their number (`9{8}`), of more `{17+}`; of `A`,
 *   whose number seldom is the reason, `A{4+}` for every number from 4 on.
 * - VS3: a shape has at most 64 characters, and comes from the first 1,024 UTF-16 units of the value.
 * - VS4: a shape fits `text` and `jsonb` of PostgreSQL: NULs and lone surrogates are U+FFFD.
 */
export const MAX_SHAPE_CHARACTERS = 64;
export const SHAPED_UNITS = 1_024;
/** Enough bytes of UTF-8 for SHAPED_UNITS: a unit takes three at most. */
export const SHAPED_BYTES = SHAPED_UNITS * 4;

const WRITTEN_OUT = 3;
const COUNTED = 16;
const FIRST_BEYOND_ASCII = 0x80;
const LETTER = /[\p{L}\p{M}]/u;
const DIGIT = /\p{Nd}/u;

/** VS1 for ASCII, by code. */
const ASCII = Array.from({ length: FIRST_BEYOND_ASCII }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[0-9]/.test(character)) return '9';
  if (/[a-z]/i.test(character)) return 'A';
  return code === 0 ? '\ufffd' : character;
});

export function valueShape(whole: string): string {
  const value = whole.length > SHAPED_UNITS ? whole.slice(0, SHAPED_UNITS) : whole;
  const end = value.length;
  let shape = '';
  let characters = 0;
  for (let at = 0; at < end && characters < MAX_SHAPE_CHARACTERS;) {
    const kind = kindAt(value, at);
    let count = 0;
    do {
      at += lengthAt(value, at);
      count += 1;
    } while (at < end && kindAt(value, at) === kind);
    const run = runOf(kind, count);
    shape += run;
    // A character beyond the BMP is two units of one character; what counts a run is ASCII.
    characters += count <= WRITTEN_OUT ? count : run.length - kind.length + 1;
  }
  return characters <= MAX_SHAPE_CHARACTERS
    ? shape
    : Array.from(shape).slice(0, MAX_SHAPE_CHARACTERS).join('');
}

/** VS1 and VS4: what stands for the character at `at`. */
function kindAt(value: string, at: number): string {
  const code = value.codePointAt(at) ?? 0;
  const plain = ASCII[code];
  if (plain !== undefined) return plain;
  const character = String.fromCodePoint(code);
  if (!character.isWellFormed()) return '\ufffd';
  if (LETTER.test(character)) return 'A';
  return DIGIT.test(character) ? '9' : character;
}

function lengthAt(value: string, at: number): number {
  return (value.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

/** VS2 */
function runOf(kind: string, count: number): string {
  if (count <= WRITTEN_OUT) return kind.repeat(count);
  if (kind === 'A') return `A{${WRITTEN_OUT + 1}+}`;
  return count <= COUNTED ? `${kind}{${count}}` : `${kind}{${COUNTED + 1}+}`;
}
