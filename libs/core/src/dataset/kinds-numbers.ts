/**
 * Kinds of numbers. PURE. A decimal never becomes a float: its digits are judged and written as they stand.
 *
 * Marks: `1.234.567,89` is `{ thousandsMark: '.', decimalMark: ',' }`. Either no thousands mark stands in a number or all
 * do, before each group of three digits: `1.23.4` and `1234.567,8` are refused, because they are more likely another
 * notation, or two numbers run together, than this one.
 */
import { areDigits, decode, defineKind, type Kind, kindInvalid } from './kind.js';

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

/** For kinds that take a point for a thousands mark: the JSON number 1.234 is no 1234. What is not whole keeps an exponent. */
const PLAIN_WHOLE_BEFORE_POINTS = {
  whole: true,
  of: (number: string): string => {
    const plain = PLAIN_WHOLE.of(number);
    return plain.includes('.') && !/[eE]/.test(plain) ? `${plain}e0` : plain;
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

export interface IntegerOptions {
  readonly nonNegative?: boolean;
  /** Commas are taken out, wherever they stand: `1,234` is 1234. For marks at the right places use `thousandsMark`. */
  readonly removeCommas?: boolean;
  /** One character that stands before each group of three digits, or nowhere. */
  readonly thousandsMark?: string;
}

/** A whole number of 16 bits, as `int64`. */
export function int16(options: IntegerOptions = {}): Kind {
  return integer('int16', 'smallint', '32768', options);
}

/** A whole number of 32 bits, as `int64`. */
export function int32(options: IntegerOptions = {}): Kind {
  return integer('int32', 'integer', '2147483648', options);
}

/** A whole number of 64 bits in ASCII digits, `-` before it if `nonNegative` is not asked. */
export function int64(options: IntegerOptions = {}): Kind {
  return integer('int64', 'bigint', '9223372036854775808', options);
}

/** @param least digits of the least number; the greatest is one less than it */
function integer(name: string, columnType: string, least: string, options: IntegerOptions): Kind {
  const { nonNegative = false, removeCommas = false, thousandsMark } = options;
  if (removeCommas && thousandsMark !== undefined) {
    throw kindInvalid(name, 'removeCommas and thousandsMark exclude each other');
  }
  if (thousandsMark !== undefined) checkMark(name, 'thousandsMark', thousandsMark);
  const grouped = thousandsMark === undefined ? null : groupedWhole(thousandsMark);
  const bare = (value: string): string => {
    if (thousandsMark !== undefined) return value.replaceAll(thousandsMark, '');
    return removeCommas ? value.replaceAll(',', '') : value;
  };
  const greatest = String(BigInt(least) - 1n);
  const accepts = (value: string): boolean => {
    if (grouped !== null && value.includes(thousandsMark ?? '') && !grouped.test(value)) return false;
    const match = /^(-?)([0-9]+)$/.exec(bare(value));
    if (match === null || (nonNegative && match[1] === '-')) return false;
    const digits = significant(match[2] ?? '');
    const limit = match[1] === '-' ? least : greatest;
    return digits.length < limit.length || (digits.length === limit.length && digits <= limit);
  };
  // This many digits are always in range; anything else is rare enough for the plain way.
  const safeDigits = least.length - 1;
  const hasMarks = removeCommas || thousandsMark !== undefined;
  return defineKind({
    name,
    columnType,
    ...(nonNegative ? { check: (column: string) => `${column} >= 0` } : {}),
    accepts,
    acceptsBytes: (bytes, start, end) =>
      (end > start && end - start <= safeDigits && areDigits(bytes, start, end)) ||
      accepts(decode(bytes, start, end)),
    message: `must be a whole number${nonNegative ? ', not negative,' : ''} of at most ${name.slice(3)} bits`,
    toText: bare,
    write: (bytes, start, end, out) => {
      if (!hasMarks || areDigits(bytes, start, end)) out.raw(bytes, start, end);
      else out.ascii(bare(decode(bytes, start, end)));
    },
    plainNumber: thousandsMark === '.' ? PLAIN_WHOLE_BEFORE_POINTS : PLAIN_WHOLE,
  });
}

export interface NumericOptions {
  /** Digits in all, as of `numeric(12,2)`; left out: any number. */
  readonly precision?: number;
  /** Digits behind the point; default 0 where there is a precision. */
  readonly scale?: number;
  /** One character; default `.`. */
  readonly decimalMark?: string;
  /** One character that stands before each group of three digits, or nowhere. Not behind the decimal mark. */
  readonly thousandsMark?: string;
}

/** What PostgreSQL's `numeric` holds without a precision. */
const MAX_WHOLE_DIGITS = 131_072;
const MAX_FRACTION_DIGITS = 16_383;
const MAX_PRECISION = 1000;

/**
 * A decimal number, `-12.50`, no exponent (but see `plainNumber`). With `precision` and `scale` (as in `numeric(12,2)`) more
 * digits before or after the point are refused: PostgreSQL would fail, or round in silence.
 */
export function numeric(options: NumericOptions = {}): Kind {
  const { precision, decimalMark = '.', thousandsMark } = options;
  const { scale = 0 } = options;
  checkSize(options);
  checkMark('numeric', 'decimalMark', decimalMark);
  if (thousandsMark !== undefined) checkMark('numeric', 'thousandsMark', thousandsMark);
  if (decimalMark === thousandsMark) throw kindInvalid('numeric', 'both marks are the same');
  const maxWhole = precision === undefined ? MAX_WHOLE_DIGITS : precision - scale;
  const maxFraction = precision === undefined ? MAX_FRACTION_DIGITS : scale;
  const form = new RegExp(`^-?([0-9]*)(?:${escaped(decimalMark)}([0-9]+))?$`);
  const grouped = thousandsMark === undefined ? null : groupedWhole(thousandsMark);
  const accepts = (value: string): boolean => {
    let bare = value;
    if (thousandsMark !== undefined && value.includes(thousandsMark)) {
      const [whole = '', ...rest] = value.split(decimalMark);
      if (grouped?.test(whole) !== true) return false;
      bare = [whole.replaceAll(thousandsMark, ''), ...rest].join(decimalMark);
    }
    const match = form.exec(bare);
    if (match === null || !/[0-9]/.test(bare)) return false;
    const [, whole = '', fraction = ''] = match;
    // Zeros behind the last digit that fits are no digits lost.
    return significant(whole).length <= maxWhole && /^0*$/.test(fraction.slice(maxFraction));
  };
  const toText = (value: string): string => {
    const bare = thousandsMark === undefined ? value : value.replaceAll(thousandsMark, '');
    return decimalMark === '.' ? bare : bare.replace(decimalMark, '.');
  };
  const point = byteOf(decimalMark);
  const comma = thousandsMark === undefined ? NO_BYTE : byteOf(thousandsMark);
  const limits =
    precision === undefined
      ? ''
      : `, at most ${precision - scale} digits before and ${scale} after the point`;
  const hasBytes = point !== null && comma !== null;
  const scan = hasBytes ? decimalScanner(point, comma, maxWhole, maxFraction) : null;
  const isPlain = decimalMark === '.' && thousandsMark === undefined;
  return defineKind({
    name: 'numeric',
    columnType: precision === undefined ? 'numeric' : `numeric(${precision},${scale})`,
    accepts,
    ...(scan === null ? {} : { acceptsBytes: scan }),
    message: `must be a decimal number${limits}`,
    ...(isPlain ? {} : { toText }),
    ...(hasBytes ? { write: decimalWriter(point, comma, isPlain) } : {}),
    plainNumber: isPlain ? PLAIN_DECIMAL : plainWithMark(decimalMark),
  });
}

/** A JSON number has its own notation, independent of the marks of numbers in texts: it is brought to that of the texts. */
const plainByMark = new Map<string, NonNullable<Kind['plainNumber']>>();
function plainWithMark(decimalMark: string): NonNullable<Kind['plainNumber']> {
  const known = plainByMark.get(decimalMark);
  if (known !== undefined) return known;
  const fresh = { whole: true, of: (number: string) => PLAIN_DECIMAL.of(number).replace('.', decimalMark) };
  plainByMark.set(decimalMark, fresh);
  return fresh;
}

/** A floating-point number of 64 bits, exponent and all: `6.02e23`. NaN, infinities and what is out of range are refused. */
export function float64(): Kind {
  return defineKind({
    name: 'float64',
    columnType: 'double precision',
    accepts: (value) => {
      const match = /^[+-]?([0-9]*)(?:\.([0-9]*))?(?:[eE][+-]?[0-9]+)?$/.exec(value);
      if (match === null) return false;
      const digits = (match[1] ?? '') + (match[2] ?? '');
      const number = Number(value);
      // What is not zero and would be stored as zero is out of range for PostgreSQL.
      return digits !== '' && Number.isFinite(number) && (number !== 0 || !/[1-9]/.test(digits));
    },
    message: 'must be a number that 64 bits of floating point can hold',
  });
}

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const MINUS = 0x2d;
const NO_BYTE = -1;

/** The byte twin of `numeric`'s `accepts`, for marks of one byte. One walk, no string. */
function decimalScanner(
  point: number,
  comma: number,
  maxWhole: number,
  maxFraction: number,
): (bytes: Uint8Array, start: number, end: number) => boolean {
  return (bytes, start, end) => {
    let at = start;
    if (bytes[at] === MINUS && at < end) at += 1;
    let digits = 0;
    let significantDigits = 0;
    let group = 0;
    let hasCommas = false;
    for (; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte >= DIGIT_0 && byte <= DIGIT_9) {
        digits += 1;
        group += 1;
        if (significantDigits > 0 || byte !== DIGIT_0) significantDigits += 1;
      } else if (byte === comma) {
        if (hasCommas ? group !== 3 : group < 1 || group > 3) return false;
        hasCommas = true;
        group = 0;
      } else break;
    }
    if ((hasCommas && group !== 3) || significantDigits > maxWhole) return false;
    if (at === end) return digits > 0;
    if (bytes[at] !== point) return false;
    const fraction = at + 1;
    if (fraction === end) return false;
    for (at = fraction; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte < DIGIT_0 || byte > DIGIT_9) return false;
      if (byte !== DIGIT_0 && at - fraction >= maxFraction) return false;
    }
    return true;
  };
}

const POINT = Buffer.from('.');

/** Writes an accepted number in runs of digits: without thousands marks, and a point for the decimal mark. */
function decimalWriter(point: number, comma: number, isPlain: boolean): NonNullable<Kind['write']> {
  if (isPlain) {
    return (bytes, start, end, out) => {
      out.raw(bytes, start, end);
    };
  }
  return (bytes, start, end, out) => {
    let from = start;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte !== comma && byte !== point) continue;
      if (at > from) out.raw(bytes, from, at);
      if (byte === point) out.raw(POINT);
      from = at + 1;
    }
    if (end > from) out.raw(bytes, from, end);
  };
}

/** Without leading zeros. By hand: `0*` before `[0-9]*` in a pattern takes quadratic time on long runs of zeros. */
function significant(digits: string): string {
  let start = 0;
  while (digits.charAt(start) === '0') start += 1;
  return digits.slice(start);
}

function groupedWhole(mark: string): RegExp {
  return new RegExp(`^-?[0-9]{1,3}(?:${escaped(mark)}[0-9]{3})+$`);
}

function escaped(mark: string): string {
  return mark.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
}

/** The byte of a mark; null where it takes several. */
function byteOf(mark: string): number | null {
  const bytes = Buffer.from(mark);
  return bytes.length === 1 ? (bytes[0] ?? null) : null;
}

function checkMark(kind: string, option: string, mark: string): void {
  const isOne = typeof mark === 'string' && Array.from(mark).length === 1;
  if (!isOne || /[0-9+\-\0]|\p{Surrogate}/u.test(mark)) {
    throw kindInvalid(kind, `${option} must be one character, not a digit or sign`);
  }
}

function checkSize({ precision, scale }: NumericOptions): void {
  if (precision === undefined) {
    if (scale !== undefined) throw kindInvalid('numeric', 'a scale needs a precision');
    return;
  }
  const isWhole = Number.isInteger(precision) && Number.isInteger(scale ?? 0);
  if (
    !isWhole ||
    precision < 1 ||
    precision > MAX_PRECISION ||
    (scale ?? 0) < 0 ||
    (scale ?? 0) > precision
  ) {
    throw kindInvalid('numeric', `precision must be 1 to ${MAX_PRECISION}, and scale 0 to the precision`);
  }
}
