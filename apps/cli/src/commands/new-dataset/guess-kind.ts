/**
 * Which kind the values of a column are. PURE. Every proposal is tried on every value by the kind itself, so that a sample
 * is accepted by the contract that is written from it.
 */
import {
  date,
  flag,
  float64,
  int64,
  isoDate,
  type Kind,
  numeric,
  time,
  timestamp,
  timestamptz,
  uuid,
} from '#core/dataset/kinds.js';

export interface KindGuess {
  /** As it stands in a contract: `numeric({ decimalMark: ',' })`; null for `text()`, the default. */
  readonly code: string | null;
  /** What is not certain about it, to follow the column's name; null where nothing is. */
  readonly doubt: string | null;
}

interface Candidate {
  readonly code: string;
  readonly kind: Kind;
  readonly fits?: (values: readonly string[]) => boolean;
  readonly doubt?: (values: readonly string[]) => string | null;
}

/** A number with zeros before it is a name: of a place, a product, an account. */
const noLeadingZeros = (values: readonly string[]): boolean => !values.some((value) => /^-?0\d/.test(value));
const hasMark =
  (mark: string) =>
  (values: readonly string[]): boolean =>
    noLeadingZeros(values) && values.some((value) => value.includes(mark));

/** Eight digits that begin with a year of people now alive. */
function isOfOurTime(values: readonly string[]): boolean {
  return values.every((value) => /^(19|20)\d{6}$/.test(value));
}

const NO_ZONE = 'its times have no zone';
const OTHER_WAY_ROUND = 'day and month may be the other way round';

/** In order: the first that accepts all values is proposed. */
const CANDIDATES: readonly Candidate[] = [
  { code: 'uuid()', kind: uuid() },
  ...flagOf(['true'], ['false']),
  ...flagOf(['TRUE'], ['FALSE']),
  ...flagOf(['t'], ['f']),
  ...flagOf(['Y'], ['N']),
  ...flagOf(['yes'], ['no']),
  ...flagOf(['ja'], ['nein']),
  { ...dateOf('YYYYMMDD'), fits: isOfOurTime, doubt: () => 'its eight digits may be a number' },
  { code: 'int64()', kind: int64(), fits: noLeadingZeros },
  { code: 'numeric()', kind: numeric(), fits: noLeadingZeros },
  {
    code: "numeric({ decimalMark: ',' })",
    kind: numeric({ decimalMark: ',' }),
    fits: hasMark(','),
    doubt: (values) =>
      values.every((value) => !value.includes(',') || /,\d{3}$/.test(value))
        ? 'the comma may separate thousands'
        : null,
  },
  {
    code: "numeric({ decimalMark: ',', thousandsMark: '.' })",
    kind: numeric({ decimalMark: ',', thousandsMark: '.' }),
    fits: hasMark('.'),
  },
  { code: "numeric({ thousandsMark: ',' })", kind: numeric({ thousandsMark: ',' }), fits: hasMark(',') },
  { code: 'isoDate()', kind: isoDate() },
  dateOf('D.M.YYYY'),
  dateOf('D/M/YYYY', OTHER_WAY_ROUND),
  dateOf('M/D/YYYY'),
  dateOf('D-M-YYYY', OTHER_WAY_ROUND),
  dateOf('M-D-YYYY'),
  dateOf('YYYY/M/D'),
  { code: 'timestamptz()', kind: timestamptz() },
  { code: 'timestamp()', kind: timestamp(), doubt: () => NO_ZONE },
  timestampOf('D.M.YYYY HH:mm'),
  timestampOf('D.M.YYYY HH:mm:ss'),
  timestampOf('D/M/YYYY HH:mm', OTHER_WAY_ROUND),
  timestampOf('D/M/YYYY HH:mm:ss', OTHER_WAY_ROUND),
  timestampOf('M/D/YYYY HH:mm'),
  timestampOf('M/D/YYYY HH:mm:ss'),
  timestampOf('YYYY/M/D HH:mm'),
  timestampOf('YYYY/M/D HH:mm:ss'),
  { code: 'time()', kind: time() },
];

const JSON_NUMBERS: readonly Candidate[] = [
  { code: 'int64()', kind: int64() },
  { code: 'numeric()', kind: numeric() },
  { code: 'float64()', kind: float64() },
];

/** Lengths that people choose for columns. */
const LENGTHS = [10, 20, 50, 100, 200, 500];

/** @param values of one column, cleaned, without nulls */
export function guessKind(values: readonly string[]): KindGuess {
  if (values.length === 0) return { code: null, doubt: 'the sample has no value of it' };
  const found = CANDIDATES.find(
    ({ kind, fits }) => values.every((value) => kind.accepts(value)) && (fits?.(values) ?? true),
  );
  if (found !== undefined) return { code: found.code, doubt: found.doubt?.(values) ?? null };
  const longest = values.reduce((most, value) => Math.max(most, Array.from(value).length), 0);
  const length = LENGTHS.find((one) => one >= longest * 1.5);
  return { code: length === undefined ? null : `varchar(${length})`, doubt: null };
}

/** A number of JSON as it stands: `1.50` is not 1.5. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

/** @param values of one member, parsed but for their numbers, without nulls */
export function guessJsonKind(values: readonly unknown[]): KindGuess {
  if (values.length === 0) return { code: null, doubt: 'the sample has no value of it' };
  const types = new Set(values.map((value) => (value instanceof JsonNumber ? 'number' : typeof value)));
  const [type] = types;
  if (types.size > 1)
    return { code: types.has('object') ? 'jsonb()' : null, doubt: 'its values are of several types' };
  if (type === 'string') return guessKind(values as string[]);
  if (type === 'boolean') return { code: flagCode(['true'], ['false']), doubt: null };
  if (type === 'object') return { code: 'jsonb()', doubt: null };
  const numbers = (values as JsonNumber[]).map(({ text }) => text);
  const found = JSON_NUMBERS.find(({ kind }) => numbers.every((text) => (kind.inJson ?? kind).accepts(text)));
  return { code: found?.code ?? 'jsonb()', doubt: null };
}

/** Only where both words occur, or a column of `Y` alone would become a boolean. */
function flagOf(yes: string[], no: string[]): Candidate[] {
  return [
    {
      code: flagCode(yes, no),
      kind: flag({ true: yes, false: no }),
      fits: (values) => [yes, no].every((words) => words.some((word) => values.includes(word))),
    },
  ];
}

function flagCode(yes: readonly string[], no: readonly string[]): string {
  const list = (words: readonly string[]): string => `[${words.map((word) => `'${word}'`).join(', ')}]`;
  return `flag({ true: ${list(yes)}, false: ${list(no)} })`;
}

/** @param doubt given unless some day is over 12, which decides it */
function dateOf(pattern: string, doubt?: string): Candidate {
  return {
    code: `date('${pattern}')`,
    kind: date(pattern),
    doubt: (values) => (doubt !== undefined && values.every(startsWithMonth) ? doubt : null),
  };
}

function timestampOf(pattern: string, doubt?: string): Candidate {
  return {
    code: `timestamp('${pattern}')`,
    kind: timestamp(pattern),
    doubt: (values) =>
      doubt !== undefined && values.every(startsWithMonth) ? `${NO_ZONE}, and ${doubt}` : NO_ZONE,
  };
}

function startsWithMonth(value: string): boolean {
  return Number(/^\d+/.exec(value)?.[0]) <= 12;
}
