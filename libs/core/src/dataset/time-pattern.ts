/**
 * Patterns of days and times, `DD/MM/YYYY HH:mm`, compiled once into a walk over bytes. PURE.
 *
 * | token            | what stands there                                             |
 * | ---------------- | ------------------------------------------------------------- |
 * | `YYYY`, `YY`     | year in 4 or 2 digits; two as POSIX: 69–99 → 19xx, 00–68 → 20xx |
 * | `MM`, `M`        | month in 2 digits, or in 1 or 2                               |
 * | `MMM`            | `Jan` … `Dec`, in any case                                    |
 * | `DD`, `D`        | day of the month                                              |
 * | `HH`, `H`        | hour, 0 to 23                                                 |
 * | `hh`, `h` and `A`| hour, 1 to 12, and AM or PM in any case                       |
 * | `mm`, `ss`       | minute, second                                                |
 * | `S` … `SSSSSS`   | that many digits of a second's fraction                       |
 * | `Z`              | offset: `Z`, `+08:00`, `+0800`, `+08`; up to 14 hours         |
 * | `[text]`, `T`    | this very text, as all that is no ASCII letter                |
 */
import { kindInvalid } from './kind.js';

/** Places of what a pattern reads in {@link TimePattern.parts}. */
const YEAR = 0;
const MONTH = 1;
const DAY = 2;
const HOUR = 3;
const MINUTE = 4;
const SECOND = 5;
/** Where the fraction of the second stands in the value, and its length. */
const FRACTION_AT = 6;
const FRACTION_DIGITS = 7;
const HALF = 8;
/** Offset in minutes. */
const OFFSET = 9;
const PARTS = 10;

type Part = { readonly literal: Buffer } | Token;

interface Token {
  readonly token: string;
  readonly part: number;
  readonly min: number;
  readonly max: number;
}

const TOKENS: readonly Token[] = [
  { token: 'YYYY', part: YEAR, min: 4, max: 4 },
  { token: 'YY', part: YEAR, min: 2, max: 2 },
  { token: 'MMM', part: MONTH, min: 3, max: 3 },
  { token: 'MM', part: MONTH, min: 2, max: 2 },
  { token: 'M', part: MONTH, min: 1, max: 2 },
  { token: 'DD', part: DAY, min: 2, max: 2 },
  { token: 'D', part: DAY, min: 1, max: 2 },
  { token: 'HH', part: HOUR, min: 2, max: 2 },
  { token: 'H', part: HOUR, min: 1, max: 2 },
  { token: 'hh', part: HOUR, min: 2, max: 2 },
  { token: 'h', part: HOUR, min: 1, max: 2 },
  { token: 'mm', part: MINUTE, min: 2, max: 2 },
  { token: 'ss', part: SECOND, min: 2, max: 2 },
  { token: 'A', part: HALF, min: 2, max: 2 },
  { token: 'Z', part: OFFSET, min: 1, max: 6 },
  ...[1, 2, 3, 4, 5, 6].map((digits) => ({
    token: 'S'.repeat(digits),
    part: FRACTION_AT,
    min: digits,
    max: digits,
  })),
];

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** What a kind's pattern has to say, and what it may. */
export interface PatternUse {
  /** As written, for the error: `date`. */
  readonly kind: string;
  readonly day: boolean;
  readonly time: boolean;
  readonly offset: boolean;
}

export class TimePattern {
  private readonly steps: readonly Part[];
  private readonly hasTime: boolean;
  private readonly isTwoDigitYear: boolean;
  private readonly isHalfDay: boolean;
  /** Of the value last read; one object serves all values, since a value is written as soon as it is read. */
  private readonly parts = new Int32Array(PARTS);

  /** @throws SluiceError DATASET_INVALID */
  constructor(
    readonly pattern: string,
    private readonly use: PatternUse,
  ) {
    this.steps = stepsOf(pattern, use.kind);
    const tokens = this.steps.flatMap((step) => ('token' in step ? [step.token] : []));
    checkTokens(this.steps, use, pattern);
    this.hasTime = use.time;
    this.isTwoDigitYear = tokens.includes('YY');
    this.isHalfDay = tokens.includes('A');
  }

  /** The plain way, and the definition: the text as PostgreSQL reads it, or null where it is not of the pattern. */
  read(value: string): string | null {
    const bytes = Buffer.from(value);
    return this.accepts(bytes, 0, bytes.length) ? this.text(bytes, 0) : null;
  }

  accepts(bytes: Uint8Array, start: number, end: number): boolean {
    const { parts, steps } = this;
    parts.fill(0);
    let at = start;
    for (const step of steps) {
      at =
        'literal' in step
          ? skipLiteral(step.literal, bytes, at, end)
          : this.readToken(step, bytes, at, end, start);
      if (at === -1) return false;
    }
    return at === end && this.isRight();
  }

  /** The value last accepted, as PostgreSQL reads it. @param start of the value in its bytes, as `accepts` was given it */
  text(bytes: Uint8Array, start: number): string {
    const { parts, use } = this;
    const day = use.day ? `${pad(parts[YEAR], 4)}-${pad(parts[MONTH], 2)}-${pad(parts[DAY], 2)}` : '';
    if (!this.hasTime) return day;
    let time = `${pad(parts[HOUR], 2)}:${pad(parts[MINUTE], 2)}:${pad(parts[SECOND], 2)}`;
    const digits = parts[FRACTION_DIGITS] ?? 0;
    if (digits > 0) {
      time += '.';
      const from = start + (parts[FRACTION_AT] ?? 0);
      for (let at = from; at < from + digits; at += 1) time += String.fromCharCode(bytes[at] ?? 0);
    }
    if (use.offset) {
      const offset = parts[OFFSET] ?? 0;
      const minutes = Math.abs(offset);
      time += `${offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60), 2)}:${pad(minutes % 60, 2)}`;
    }
    return day === '' ? time : `${day} ${time}`;
  }

  private readToken(
    { token, part, min, max }: Token,
    bytes: Uint8Array,
    at: number,
    end: number,
    start: number,
  ): number {
    if (token === 'MMM') return this.readName(MONTHS, MONTH, 1, bytes, at, end);
    if (token === 'A') return this.readName(HALVES, HALF, 0, bytes, at, end);
    if (token === 'Z') return this.readOffset(bytes, at, end);
    const limit = Math.min(end, at + max);
    let value = 0;
    let to = at;
    for (; to < limit; to += 1) {
      const digit = (bytes[to] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (to - at < min) return -1;
    if (part === FRACTION_AT) {
      this.parts[FRACTION_AT] = at - start;
      this.parts[FRACTION_DIGITS] = max;
    } else this.parts[part] = value;
    return to;
  }

  private readName(
    names: readonly string[],
    part: number,
    first: number,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): number {
    for (const [index, name] of names.entries()) {
      if (at + name.length > end) continue;
      let same = 0;
      while (same < name.length && ((bytes[at + same] ?? 0) | 0x20) === name.charCodeAt(same)) same += 1;
      if (same < name.length) continue;
      this.parts[part] = first + index;
      return at + name.length;
    }
    return -1;
  }

  private readOffset(bytes: Uint8Array, at: number, end: number): number {
    const sign = bytes[at];
    if (at < end && sign === LETTER_Z) return at + 1;
    if (at >= end || (sign !== PLUS && sign !== MINUS)) return -1;
    const hours = twoDigits(bytes, at + 1, end);
    let to = at + 3;
    let minutes = 0;
    if (hours === -1 || hours > MAX_OFFSET_HOURS) return -1;
    const more = bytes[to] === COLON ? to + 1 : to;
    const found = twoDigits(bytes, more, end);
    if (found !== -1) {
      minutes = found;
      to = more + 2;
    }
    if (minutes > 59) return -1;
    this.parts[OFFSET] = (hours * 60 + minutes) * (sign === MINUS ? -1 : 1);
    return to;
  }

  /** Completes year and hour, and says whether the parts make a day and a time. */
  private isRight(): boolean {
    const { parts } = this;
    if (this.isTwoDigitYear) parts[YEAR] = (parts[YEAR] ?? 0) + ((parts[YEAR] ?? 0) >= 69 ? 1900 : 2000);
    if (this.use.day && !isCalendarDay(parts[YEAR] ?? 0, parts[MONTH] ?? 0, parts[DAY] ?? 0)) return false;
    if (!this.hasTime) return true;
    let hour = parts[HOUR] ?? 0;
    if (this.isHalfDay) {
      if (hour < 1 || hour > 12) return false;
      hour = (hour % 12) + (parts[HALF] === 1 ? 12 : 0);
      parts[HOUR] = hour;
    }
    return hour <= 23 && (parts[MINUTE] ?? 0) <= 59 && (parts[SECOND] ?? 0) <= 59;
  }
}

const HALVES = ['am', 'pm'];
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const LETTER_Z = 0x5a;
const MAX_OFFSET_HOURS = 14;

function twoDigits(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return -1;
  const tens = (bytes[at] ?? 0) - 0x30;
  const ones = (bytes[at + 1] ?? 0) - 0x30;
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : tens * 10 + ones;
}

function skipLiteral(literal: Buffer, bytes: Uint8Array, at: number, end: number): number {
  if (at + literal.length > end) return -1;
  for (let place = 0; place < literal.length; place += 1) {
    if (bytes[at + place] !== literal[place]) return -1;
  }
  return at + literal.length;
}

function stepsOf(pattern: string, kind: string): Part[] {
  const steps: Part[] = [];
  // A bracketed text, a run of one ASCII letter, or all up to the next of both.
  for (const [piece] of pattern.matchAll(/\[[^\]]*\]|([A-Za-z])\1*|[^A-Za-z[]+|\[/g)) {
    if (piece === '[') throw kindInvalid(kind, `"[" is not closed in the pattern ${JSON.stringify(pattern)}`);
    if (piece === 'T' || !/^[A-Za-z]/.test(piece)) {
      const text = piece.startsWith('[') ? piece.slice(1, -1) : piece;
      if (/[0-9\0]/.test(text))
        throw kindInvalid(kind, `the pattern ${JSON.stringify(pattern)} holds digits`);
      steps.push({ literal: Buffer.from(text) });
      continue;
    }
    const token = TOKENS.find((one) => one.token === piece);
    if (token === undefined) {
      throw kindInvalid(
        kind,
        `${JSON.stringify(piece)} of the pattern ${JSON.stringify(pattern)} is no token`,
      );
    }
    steps.push(token);
  }
  return steps;
}

function checkTokens(steps: readonly Part[], use: PatternUse, pattern: string): void {
  const invalid = (problem: string): Error =>
    kindInvalid(use.kind, `the pattern ${JSON.stringify(pattern)} ${problem}`);
  const tokens = steps.filter((step): step is Token => 'token' in step);
  const countOf = (part: number): number => tokens.filter((token) => token.part === part).length;
  const mustHave = (part: number, name: string, wanted: boolean, optional = false): void => {
    const count = countOf(part);
    if (count > 1) throw invalid(`names the ${name} twice`);
    if (count === 1 && !wanted) throw invalid(`names the ${name}, which this kind does not store`);
    if (count === 0 && wanted && !optional) throw invalid(`lacks the ${name}`);
  };
  mustHave(YEAR, 'year', use.day);
  mustHave(MONTH, 'month', use.day);
  mustHave(DAY, 'day', use.day);
  mustHave(HOUR, 'hour', use.time);
  mustHave(MINUTE, 'minute', use.time);
  mustHave(SECOND, 'second', use.time, true);
  mustHave(FRACTION_AT, 'fraction', use.time, true);
  mustHave(HALF, 'AM or PM', use.time, true);
  mustHave(OFFSET, 'offset', use.offset);
  if (countOf(FRACTION_AT) === 1 && countOf(SECOND) === 0) throw invalid('has a fraction without a second');
  const isHalf = tokens.some(({ token }) => token === 'h' || token === 'hh');
  if (isHalf !== (countOf(HALF) === 1)) throw invalid('needs hh and A together, or HH');
  steps.forEach((step, at) => {
    const next = steps[at + 1];
    if (
      'token' in step &&
      step.min !== step.max &&
      step.token !== 'Z' &&
      next !== undefined &&
      'token' in next
    ) {
      throw invalid(`does not say where ${step.token} ends`);
    }
  });
}

/** Whether year, month (1–12) and day make a day of the Gregorian calendar; years 1 to 9999. */
export function isCalendarDay(year: number, month: number, day: number): boolean {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return false;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days =
    month === 2 ? (leap ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return day <= days;
}

function pad(value: number | undefined, digits: number): string {
  return String(value ?? 0).padStart(digits, '0');
}
