/**
 * Cleaning: what is done to every field before anything is asked of it (libs/core/src/record/README.md; for the
 * registrations, section 4 of that dataset's README). PURE.
 *
 * In this order: NULs are removed, blank, tab and U+3000 are taken off both ends, and null tokens become
 * null. U+3000 inside a value stays. `cleaning.spec.ts` proves that both ways say the same.
 */
import { type CleaningOptions, DEFAULT_NULL_TOKENS } from '../dataset/columns.js';
import { equalBytes } from '../dataset/rules.js';

/** The plain way, and the definition. @returns null, or the cleaned value */
export function cleanString(value: string, options: CleaningOptions = {}): string | null {
  const withoutNul = value.replaceAll('\0', '');
  const trimmed = options.trim === false ? withoutNul : trimBlanks(withoutNul);
  return (options.nullTokens ?? DEFAULT_NULL_TOKENS).includes(trimmed) ? null : trimmed;
}

/** By hand: a pattern that ends in `+$` takes quadratic time on long runs of blanks inside. */
function trimBlanks(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && BLANKS.includes(value.charAt(start))) start += 1;
  while (end > start && BLANKS.includes(value.charAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

const BLANKS = ' \t\u3000';
const BLANK = 0x20;
const TAB = 0x09;
/** U+3000 in UTF-8 is E3 80 80; its first byte begins a character wherever it stands. */
const WIDE_BLANK_LEAD = 0xe3;
const WIDE_BLANK_TAIL = 0x80;

/** The same on bytes that hold no NUL. One object serves a whole contract; `clean` leaves its answer in it. */
export class ByteCleaner {
  /** What the last `clean` found: [start, end), and `end` -1 for null. */
  start = 0;
  end = -1;

  private readonly trim: boolean;
  private readonly nullTokens: readonly Buffer[];
  private readonly longestToken: number;
  private readonly emptyIsNull: boolean;

  constructor(options: CleaningOptions = {}) {
    this.trim = options.trim ?? true;
    this.nullTokens = (options.nullTokens ?? DEFAULT_NULL_TOKENS).map((token) => Buffer.from(token));
    this.longestToken = Math.max(-1, ...this.nullTokens.map((token) => token.length));
    this.emptyIsNull = this.nullTokens.some((token) => token.length === 0);
  }

  /** Recognizes most values that need no cleaning by their length and their two ends; false says nothing. */
  isClean(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start <= this.longestToken) return false;
    const first = bytes[start] ?? 0;
    const last = bytes[end - 1] ?? 0;
    return first > BLANK && first !== WIDE_BLANK_LEAD && last > BLANK && last !== WIDE_BLANK_TAIL;
  }

  clean(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) {
      // Of sixteen fields of a registration nine are empty.
      this.start = start;
      this.end = this.emptyIsNull ? -1 : end;
      return;
    }
    let from = start;
    let to = end;
    if (this.trim) {
      while (from < to) {
        const byte = bytes[from];
        if (byte === BLANK || byte === TAB) from += 1;
        else if (byte === WIDE_BLANK_LEAD && isWideBlank(bytes, from, to)) from += 3;
        else break;
      }
      while (to > from) {
        const byte = bytes[to - 1];
        if (byte === BLANK || byte === TAB) to -= 1;
        else if (byte === WIDE_BLANK_TAIL && isWideBlank(bytes, to - 3, to)) to -= 3;
        else break;
      }
    }
    this.start = from;
    this.end = to - from <= this.longestToken && this.isNullToken(bytes, from, to) ? -1 : to;
  }

  private isNullToken(bytes: Uint8Array, start: number, end: number): boolean {
    for (const token of this.nullTokens) {
      if (equalBytes(bytes, start, end, token)) return true;
    }
    return false;
  }
}

function isWideBlank(bytes: Uint8Array, at: number, end: number): boolean {
  return (
    at + 3 <= end &&
    bytes[at] === WIDE_BLANK_LEAD &&
    bytes[at + 1] === WIDE_BLANK_TAIL &&
    bytes[at + 2] === WIDE_BLANK_TAIL
  );
}
