/**
 * What a value of a key means, so that two spellings of one key are one. PURE.
 *
 * - KV1: values of a kind are equal here when PostgreSQL takes the texts that are stored of them for equal in a column of the
 *   kind's own type: `007` and `7` of a whole number, `1.50` and `1.5`, one moment in two zones, a UUID in two cases.
 * - KV2: what is not of its kind is equal to the same text alone, so that a refused record is found by what stands in it.
 */
import { decimalOf } from '../dataset/exact-decimal.js';
import type { Kind } from '../dataset/kinds.js';
import { momentOf } from '../dataset/moment-order.js';

/** Not comparable but for being the same: begins with `=` where the value is of its kind, and with `!` where it is not. */
export type KeyMeaning = string;

/** @param value cleaned */
export function meaningOf(kind: Kind, value: string): KeyMeaning {
  const stored = storedText(kind, value);
  return stored === null ? `!${value}` : `=${meaningOfStored(kind, stored)}`;
}

/** What a row holds of a cleaned value; null where it is not of its kind, or the kind's own code throws. */
export function storedText(kind: Kind, value: string): string | null {
  try {
    return kind.accepts(value) ? (kind.toText?.(value) ?? value) : null;
  } catch {
    return null;
  }
}

/** Whether the value can be compared byte by byte: what is stored is the text, and only the same text is the same value. */
export function isPlain(kind: Kind): boolean {
  return !('toText' in kind) && !('write' in kind) && /^(text|varchar)\b/.test(kind.columnType);
}

function meaningOfStored({ columnType }: Kind, text: string): string {
  const type = columnType.replace(/\(.*$/, '');
  switch (type) {
    case 'smallint':
    case 'integer':
    case 'bigint':
    case 'numeric':
      return numberMeaning(text);
    case 'double precision':
      // PostgreSQL compares -0 and 0 as equal.
      return Number.isNaN(Number(text)) ? text : String(Number(text) + 0);
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return momentMeaning(text);
    case 'uuid':
      return text.toLowerCase();
    default:
      return text;
  }
}

const PLAIN_NUMBER = /^[+-]?\d+(\.\d+)?$/;

function numberMeaning(text: string): string {
  if (!PLAIN_NUMBER.test(text)) return text;
  let { units, scale } = decimalOf(text.replace(/^\+/, ''));
  while (scale > 0 && units % 10n === 0n) {
    units /= 10n;
    scale -= 1;
  }
  return `${units}e-${scale}`;
}

const NANOSECONDS_A_MICROSECOND = 1_000n;

/** To the microsecond, as PostgreSQL stores it. */
function momentMeaning(text: string): string {
  const moment = momentOf(text);
  return moment === null ? text : String(roundedTo(NANOSECONDS_A_MICROSECOND, moment));
}

function roundedTo(unit: bigint, value: bigint): bigint {
  const half = value < 0n ? -unit / 2n : unit / 2n;
  return (value + half) / unit;
}

/**
 * The order of two versions of a row, as PostgreSQL has it for the types that versions have: null before all others, numbers and
 * moments by what they mean, texts by their characters (the order of a collation is not known here).
 * @param one what is stored ({@link storedText}), as `two`
 * @returns negative where `one` is older
 */
export function compareVersions({ columnType }: Kind, one: string | null, two: string | null): number {
  if (one === null || two === null) return Number(one !== null) - Number(two !== null);
  const type = columnType.replace(/\(.*$/, '');
  if (['date', 'time', 'timestamp', 'timestamptz'].includes(type)) {
    const [first, second] = [momentOf(one), momentOf(two)];
    if (first !== null && second !== null) return compare(first, second);
  } else if (type === 'double precision') return compare(Number(one), Number(two));
  else if (
    PLAIN_NUMBER.test(one) &&
    PLAIN_NUMBER.test(two) &&
    /^(smallint|integer|bigint|numeric)$/.test(type)
  ) {
    const [first, second] = [decimalOf(one), decimalOf(two)];
    const scale = Math.max(first.scale, second.scale);
    const at = ({ units, scale: own }: typeof first): bigint => units * 10n ** BigInt(scale - own);
    return compare(at(first), at(second));
  }
  return Buffer.compare(Buffer.from(one), Buffer.from(two));
}

function compare<T extends bigint | number>(one: T, two: T): number {
  if (one === two) return 0;
  return one < two ? -1 : 1;
}
