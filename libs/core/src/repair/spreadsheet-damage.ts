import type { Damage } from '#api/dead-letter-edits.js';

/**
 * Recognizes what spreadsheets make of values that they open and store again. PURE. A guess by the two values alone: a person
 * may have meant the change, so it is a warning and no refusal.
 * @param before as the export shows it
 */
export function damageOf(before: string, after: string): Damage | null {
  if (before === after || before === '' || after === '') return null;
  if (isEncodingLost(before, after)) return 'ENCODING';
  if (isBooleanRewritten(before, after)) return 'BOOLEAN_REWRITTEN';
  return numberDamage(before, after) ?? dateDamage(before, after);
}

function isBooleanRewritten(before: string, after: string): boolean {
  return /^(true|false)$/i.test(before) && /^(TRUE|FALSE)$/.test(after) && before.toUpperCase() === after;
}

/** Question marks or U+FFFD in place of characters, or bytes of UTF-8 that were read as another encoding. */
function isEncodingLost(before: string, after: string): boolean {
  if (!/[^\x20-\x7e]/.test(before)) return false;
  const characters = Array.from(before);
  const now = Array.from(after);
  const isReplaced =
    characters.length === now.length &&
    characters.every((character, at) => character === now[at] || isLost(character, now[at])) &&
    /[?\ufffd]/.test(after);
  return isReplaced || misread(before, 'windows-1252') === after || misread(before, 'latin1') === after;
}

function isLost(character: string, now: string | undefined): boolean {
  return (now === '?' || now === '\ufffd') && !/[\x20-\x7e]/.test(character);
}

function misread(text: string, as: 'windows-1252' | 'latin1'): string {
  const bytes = Buffer.from(text);
  return as === 'latin1' ? bytes.toString('latin1') : new TextDecoder('windows-1252').decode(bytes);
}

const PLAIN_NUMBER = /^[+-]?(\d+([.,]\d+)?|[.,]\d+)$/;
const SCIENTIFIC = /^[+-]?\d([.,]\d+)?E[+-]?\d+$/i;
/** Digits that a double holds for certain. */
const SAFE_DIGITS = 15;

function numberDamage(before: string, after: string): Damage | null {
  const plain = before.trim();
  if (!/^[+-]?[\d.,' \u00a0]*\d[\d.,' \u00a0]*(E[+-]?\d+)?$/i.test(plain)) return null;
  if (SCIENTIFIC.test(after)) return SCIENTIFIC.test(plain) ? null : 'SCIENTIFIC';
  if (!PLAIN_NUMBER.test(after)) return null;
  const digits = plain.replace(/\D/g, '');
  const now = after.replace(/\D/g, '');
  if (/^\+?0*\d+$/.test(plain) && plain.replace(/^\+?0*(?=\d)/, '') === after) return 'LEADING_ZEROS';
  const isCut = digits.length > SAFE_DIGITS && digits.length === now.length;
  if (
    isCut &&
    digits.slice(0, SAFE_DIGITS) === now.slice(0, SAFE_DIGITS) &&
    /^0+$/.test(now.slice(SAFE_DIGITS))
  )
    return 'DIGITS_LOST';
  return isSameNumber(plain, after) ? 'NUMBER_REWRITTEN' : null;
}

/** By value, whichever of the two marks is the decimal one. */
function isSameNumber(before: string, after: string): boolean {
  const readings = (text: string): number[] => [
    Number(text.replace(/[, '\u00a0]/g, '')),
    Number(text.replace(/[. '\u00a0]/g, '').replace(',', '.')),
  ];
  const values = readings(before).filter((value) => !Number.isNaN(value));
  return readings(after).some((value) => values.includes(value));
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

function dateDamage(before: string, after: string): Damage | null {
  const now = datePartsOf(after);
  if (now === null) return null;
  const then = datePartsOf(before);
  if (then === null) return null;
  const isSame = sorted(then).join() === sorted(now).join();
  if (isSame && then.length === now.length)
    return then.join() === now.join() ? 'DATE_REWRITTEN' : swapped(then, now);
  // 1-2 becomes 2-Jan, MAR1 becomes 1-Mar or 01.03.2026: all that was there is still there.
  const isContained = then.every((part) => now.includes(part) || now.includes(shortYear(part)));
  return isContained ? 'DATE_REWRITTEN' : null;
}

/** The year moves to the other end when only the notation changes; day and month change places when they are confused. */
function swapped(then: readonly number[], now: readonly number[]): Damage {
  const isReversed = [...then].reverse().join() === now.join();
  const year = then.find((part) => part > 31);
  if (isReversed && year !== undefined) return 'DATE_REWRITTEN';
  const rest = (parts: readonly number[]): string => parts.filter((part) => part !== year).join();
  return rest(then) === rest(now) ? 'DATE_REWRITTEN' : 'DATE_SWAPPED';
}

function shortYear(part: number): number {
  return part >= 1900 ? part % 100 : -1;
}

/** Two or three numbers, one of which may be the name of a month. */
function datePartsOf(text: string): number[] | null {
  const day = text.trim().replace(/[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?( ?[AP]M)?$/i, '');
  const match = /^(\d{1,4}|[A-Z]{3,9})([-/. ]?)(\d{1,4}|[A-Z]{3,9})(?:[-/. ](\d{1,4}))?$/i.exec(day);
  if (match === null) return null;
  const [, first = '', between, second = '', third] = match;
  if (between === '' && /^\d+$/.test(first + second)) return null;
  const parts = [first, second, ...(third === undefined ? [] : [third])].map(partOf);
  return parts.every((part): part is number => part !== null) ? parts : null;
}

function partOf(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text);
  const month = MONTHS.indexOf(text.slice(0, 3).toLowerCase());
  return month === -1 ? null : month + 1;
}

function sorted(parts: readonly number[]): number[] {
  return [...parts].sort((a, b) => a - b);
}
