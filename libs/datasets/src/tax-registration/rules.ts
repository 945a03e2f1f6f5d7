import { type Kind, defineKind, isCalendarDay } from '#core/dataset/kinds.js';
import { areDigits, defineRule } from '#core/dataset/rules.js';
import { NUMBER_DIGITS, passesChecksum } from './business-number.js';

/** Rules and kinds that only this dataset needs. PURE. */

const DIGIT_ZERO = 0x30;
/** Year 1 of the Republic of China is 1912. */
const ROC_YEAR_OFFSET = 1911;

/** README section 5: the number's checksum. Asked of eight digits only. */
export const PassesChecksum = defineRule({
  name: 'passesChecksum',
  accepts: (value) => /^[0-9]{8}$/.test(value) && passesChecksum((place) => Number(value[place])),
  acceptsBytes: (bytes, start, end) =>
    end - start === NUMBER_DIGITS &&
    areDigits(bytes, start, end) &&
    passesChecksum((place) => (bytes[start + place] ?? 0) - DIGIT_ZERO),
  message: 'must pass the checksum of business numbers',
});

/**
 * README section 4.6: a day as `YYYMMDD` with years counted from 1912, or as `YYYYMMDD` of the
 * Gregorian calendar; which one follows from the length. PostgreSQL gets `YYYY-MM-DD`.
 */
export function setupDate(): Kind {
  return defineKind({
    name: 'setupDate',
    columnType: 'date',
    accepts: (value) => {
      const day = partsOf(value);
      return day !== undefined && isCalendarDay(day.year, day.month, day.day);
    },
    acceptsBytes: (bytes, start, end) => {
      if ((end - start !== 7 && end - start !== 8) || !areDigits(bytes, start, end)) return false;
      const digits = numberOf(bytes, start, end - 4);
      const year = end - start === 7 ? rocYear(digits) : digits;
      return isCalendarDay(year, numberOf(bytes, end - 4, end - 2), numberOf(bytes, end - 2, end));
    },
    message: 'must be a calendar date, YYYMMDD (years from 1912) or YYYYMMDD',
    toText: (value) => {
      const { year, month, day } = partsOf(value) ?? { year: 0, month: 0, day: 0 };
      return [pad(year, 4), pad(month, 2), pad(day, 2)].join('-');
    },
    write: (bytes, start, end, out) => {
      if (end - start === 8) out.raw(bytes, start, end - 4);
      else out.ascii(pad(rocYear(numberOf(bytes, start, end - 4)), 4));
      out.ascii('-');
      out.raw(bytes, end - 4, end - 2);
      out.ascii('-');
      out.raw(bytes, end - 2, end);
    },
  });
}

function partsOf(value: string): { year: number; month: number; day: number } | undefined {
  const match = /^([0-9]{3,4})([0-9]{2})([0-9]{2})$/.exec(value);
  if (!match) return undefined;
  const [, year = '', month, day] = match;
  return {
    year: year.length === 3 ? rocYear(Number(year)) : Number(year),
    month: Number(month),
    day: Number(day),
  };
}

/** There is no year 0: it becomes a year that no calendar has. */
function rocYear(year: number): number {
  return year === 0 ? 0 : year + ROC_YEAR_OFFSET;
}

function numberOf(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) value = value * 10 + (bytes[at] ?? 0) - DIGIT_ZERO;
  return value;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
