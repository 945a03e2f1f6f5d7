/**
 * Kinds: how a cleaned value becomes the text that PostgreSQL reads for its column type. PURE.
 *
 * A kind, like a rule (`rules.ts`), has a plain way on strings, which is its definition, and optional
 * twins on bytes for the way of every record. Both ways give the same for every well-formed string.
 */
import { CopyText } from '../record/copy-text.js';
import { areDigits, equalBytes } from './rules.js';

export interface Kind {
  /** Also the name of its constraint in class-validator. */
  readonly name: string;
  /** Whether the cleaned value is one of this kind. */
  accepts(value: string): boolean;
  acceptsBytes?(bytes: Uint8Array, start: number, end: number): boolean;
  /** Every text is of this kind. */
  readonly acceptsAll?: true;
  /** What is demanded, to follow the field's name: `must be a calendar date`. */
  readonly message: string;
  /** An accepted value as PostgreSQL shall read it, before COPY's escapes. Left out: the value as it is. */
  toText?(value: string): string;
  /** The twin of `toText`: writes an accepted value, escaped, to the COPY text. */
  write?(bytes: Uint8Array, start: number, end: number, out: CopyText): void;
  /**
   * `json`: in NDJSON the kind gets the value's own JSON text, uncleaned (a string keeps its quotes).
   * `text` (default): it gets a string's characters, or the JSON text of a number or boolean, cleaned;
   * objects and arrays are not of the kind.
   */
  readonly reads?: 'text' | 'json';
  /**
   * In NDJSON: a number as the kind takes it, where it is written with an exponent (or, with `whole`, a fraction) and is
   * exactly such a value: `1.5e1` is 15. What is not, is given back as it is. Module-level, so that kinds share it.
   */
  readonly plainNumber?: { readonly whole: boolean; readonly of: (number: string) => string };
}

/** Gives a kind its name in contracts; a dataset may bring its own, e.g. a date of another calendar. */
export function defineKind(kind: Kind): Kind {
  return kind;
}

/** Any text. Its length is `@MaxCharacters`' business. */
export function text(): Kind {
  return defineKind({ name: 'text', accepts: () => true, acceptsAll: true, message: 'must be text' });
}

/** No number of a database needs more digits; beyond it an exponent is left as it is, and refused. */
const MAX_PLAIN_DIGITS = 1000;

/** A JSON number without exponent, every digit kept; null where it is none, or has too many digits. */
function plainDecimal(number: string): { sign: string; whole: string; fraction: string } | null {
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(number);
  if (match === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const shift = Number(exponent);
  if (Math.abs(shift) > MAX_PLAIN_DIGITS) return null;
  const digits = whole + fraction;
  const point = whole.length + shift;
  if (point <= 0) return { sign, whole: '0', fraction: '0'.repeat(-point) + digits };
  return {
    sign,
    whole: significant(digits.padEnd(point, '0').slice(0, point)) || '0',
    fraction: digits.slice(point),
  };
}

const PLAIN_WHOLE = {
  whole: true,
  of: (number: string): string => {
    const plain = plainDecimal(number);
    if (plain === null || /[1-9]/.test(plain.fraction)) return number;
    return plain.whole === '0' ? '0' : plain.sign + plain.whole;
  },
};

const PLAIN_DECIMAL = {
  whole: false,
  of: (number: string): string => {
    const plain = plainDecimal(number);
    if (plain === null) return number;
    return `${plain.sign}${plain.whole}${plain.fraction === '' ? '' : `.${plain.fraction}`}`;
  },
};

const INT64_MAX = '9223372036854775807';
const INT64_MIN_DIGITS = '9223372036854775808';

/** An integer of 64 bits in ASCII digits, `-` before it if `nonNegative` is not asked. `removeCommas`: `1,234` is 1234. */
export function int64(
  options: { readonly nonNegative?: boolean; readonly removeCommas?: boolean } = {},
): Kind {
  const { nonNegative = false, removeCommas = false } = options;
  const bare = (value: string): string => (removeCommas ? value.replaceAll(',', '') : value);
  const accepts = (value: string): boolean => {
    const match = /^(-?)([0-9]+)$/.exec(bare(value));
    if (match === null || (nonNegative && match[1] === '-')) return false;
    const digits = significant(match[2] ?? '');
    const limit = match[1] === '-' ? INT64_MIN_DIGITS : INT64_MAX;
    return digits.length < limit.length || (digits.length === limit.length && digits <= limit);
  };
  return defineKind({
    name: 'int64',
    accepts,
    // Up to 18 bytes of digits are always in range; anything else is rare enough for the plain way.
    acceptsBytes: (bytes, start, end) =>
      (end > start && end - start <= 18 && areDigits(bytes, start, end)) ||
      accepts(decode(bytes, start, end)),
    message: nonNegative
      ? 'must be a whole number, not negative, of at most 64 bits'
      : 'must be a whole number of at most 64 bits',
    toText: bare,
    write: (bytes, start, end, out) => {
      if (!removeCommas || areDigits(bytes, start, end)) out.raw(bytes, start, end);
      else out.ascii(bare(decode(bytes, start, end)));
    },
    plainNumber: PLAIN_WHOLE,
  });
}

/**
 * A decimal number, `-12.50`, no exponent (but see `plainNumber`). With `precision` and `scale` (as in `numeric(12,2)`) more
 * digits before or after the point are refused: PostgreSQL would fail, or round in silence.
 */
export function numeric(size?: { readonly precision: number; readonly scale: number }): Kind {
  const accepts = (value: string): boolean => {
    const match = /^-?([0-9]*)(?:\.([0-9]+))?$/.exec(value);
    if (match === null || !/[0-9]/.test(value)) return false;
    if (size === undefined) return true;
    const [, whole = '', fraction = ''] = match;
    // Zeros behind the last digit that fits are no digits lost.
    return (
      significant(whole).length <= size.precision - size.scale && /^0*$/.test(fraction.slice(size.scale))
    );
  };
  const limits =
    size === undefined
      ? ''
      : `, at most ${size.precision - size.scale} digits before and ${size.scale} after the point`;
  return defineKind({
    name: 'numeric',
    accepts,
    message: `must be a decimal number${limits}`,
    plainNumber: PLAIN_DECIMAL,
  });
}

/** Without leading zeros. By hand: `0*` before `[0-9]*` in a pattern takes quadratic time on long runs of zeros. */
function significant(digits: string): string {
  let start = 0;
  while (digits.charAt(start) === '0') start += 1;
  return digits.slice(start);
}

/** A boolean, by the listed words for true and false. */
export function flag(words: { readonly true: readonly string[]; readonly false: readonly string[] }): Kind {
  const yes = words.true.map((word) => Buffer.from(word));
  const no = words.false.map((word) => Buffer.from(word));
  const isIn = (list: readonly Buffer[], bytes: Uint8Array, start: number, end: number): boolean => {
    for (const word of list) if (equalBytes(bytes, start, end, word)) return true;
    return false;
  };
  return defineKind({
    name: 'flag',
    accepts: (value) => words.true.includes(value) || words.false.includes(value),
    acceptsBytes: (bytes, start, end) => isIn(yes, bytes, start, end) || isIn(no, bytes, start, end),
    message: `must be one of ${[...words.true, ...words.false].join(', ')}`,
    toText: (value) => (words.true.includes(value) ? 'true' : 'false'),
    write: (bytes, start, end, out) => {
      out.ascii(isIn(yes, bytes, start, end) ? 'true' : 'false');
    },
  });
}

/** A day of the Gregorian calendar, `2026-09-01`, years 0001 to 9999. */
export function isoDate(): Kind {
  return defineKind({
    name: 'isoDate',
    accepts: (value) => {
      const match = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(value);
      return match !== null && isCalendarDay(Number(match[1]), Number(match[2]), Number(match[3]));
    },
    message: 'must be a calendar date, YYYY-MM-DD',
  });
}

/** A moment with its offset, `2026-09-01T08:30:00.123Z` or `+08:00`; PostgreSQL keeps microseconds. */
export function timestamptz(): Kind {
  const form =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)$/;
  return defineKind({
    name: 'timestamptz',
    accepts: (value) => {
      const match = form.exec(value);
      return match !== null && isCalendarDay(Number(match[1]), Number(match[2]), Number(match[3]));
    },
    message: 'must be a moment with its offset, e.g. 2026-09-01T08:30:00Z',
  });
}

/** Deeper documents could exhaust PostgreSQL's stack, which is not the record's own error there but the server's. */
const MAX_JSON_DEPTH = 200;

/**
 * Any JSON value, stored as the source wrote it (digits are kept). Refused is what jsonb cannot hold:
 * `\u0000`, half of a surrogate pair, nesting over 200 levels.
 */
export function jsonb(): Kind {
  return defineKind({
    name: 'jsonb',
    reads: 'json',
    accepts: (value) => {
      try {
        return fitsJsonb(JSON.parse(value), 0);
      } catch {
        return false;
      }
    },
    message: 'must be JSON that jsonb can hold (no \\u0000, no half surrogate pairs, at most 200 levels)',
  });
}

/** With the `u` flag a whole pair is one character, so only lone halves are of the category Surrogate. */
export const HALF_SURROGATE_PAIR = /\p{Surrogate}/u;

function fitsJsonb(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return !value.includes('\0') && !HALF_SURROGATE_PAIR.test(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_JSON_DEPTH) return false;
  return Object.entries(value).every(
    ([name, member]) => fitsJsonb(name, depth) && fitsJsonb(member, depth + 1),
  );
}

/** Whether year, month (1–12) and day make a day of the Gregorian calendar; years 1 to 9999. */
export function isCalendarDay(year: number, month: number, day: number): boolean {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days =
    month === 2 ? (leap ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return day <= days;
}

/** The string of the UTF-8 bytes [start, end). */
export function decode(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}
