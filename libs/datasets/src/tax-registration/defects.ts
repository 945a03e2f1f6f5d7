import type { SeededRandom } from '#core/dataset/generate.js';
import { passesChecksum } from './business-number.js';

/**
 * Everything that can be wrong or merely odd with a row, for the generator: each kind of README
 * sections 4 to 6 at least once. What a defect leads to is not said here; judging the file finds it.
 */

/** The 16 fields of a row in the publisher's order. */
export type Row = string[];

/** Places in a {@link Row}. */
export const FIELD = {
  address: 0,
  number: 1,
  headOffice: 2,
  name: 3,
  capital: 4,
  setupDate: 5,
  kind: 6,
  invoice: 7,
  industryCode: 8,
  industryName: 9,
} as const;

export interface Defect {
  readonly name: string;
  /** Changes the row, or gives the record's bytes itself (without line end) when no change to a row can say it. */
  readonly spoil: (row: Row, random: SeededRandom) => string | Buffer | undefined;
  /** How many records it becomes; 1 unless said. */
  readonly records?: number;
  /** The next record must begin like a good one, or it would be taken for a part of this. */
  readonly runsOn?: true;
}

const setField =
  (field: number, ...values: string[]) =>
  (row: Row, random: SeededRandom): undefined => {
    row[field] = random.pick(values);
  };

const DIGITS = Array.from('0123456789');
const passes = (number: string): boolean => passesChecksum((place) => Number(number[place]));

const NULL_TOKENS = ['', 'NULL', 'null', 'NA', 'N/A'];
const FULL_WIDTH_DIGITS = '０１２３４５６７８９';
/** Outside the BMP: one character, two UTF-16 units, four bytes. */
const ASTRAL = '𠮷';

const at = (row: Row, field: number): string => row[field] ?? '';

/** ASCII digits as the publisher writes them in addresses. */
export function toFullWidth(digits: string): string {
  return digits.replace(/[0-9]/g, (digit) => FULL_WIDTH_DIGITS[Number(digit)] ?? '');
}

/** UTF-8 never holds these: a lone byte, a cut-off character, an overlong slash, a lone surrogate, beyond U+10FFFF. */
const UNDECODABLE = [[0xff], [0xe8, 0x9b], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]];

/** Quotes a field where it has to be; address and name always, as the publisher does. */
export function formatRow(row: Row): string {
  return row
    .map((value, field) =>
      field === FIELD.address || field === FIELD.name || /[",\r\n]/.test(value)
        ? `"${value.replaceAll('"', '""')}"`
        : value,
    )
    .join(',');
}

/** Rows that are refused, that get a warning, or that are skipped. */
export const DEFECTS: readonly Defect[] = [
  { name: 'number of wrong length', spoil: setField(FIELD.number, '1234567', '123456789', '1') },
  { name: 'number with other characters', spoil: setField(FIELD.number, '1234567A', '12-34567', '1234 678') },
  {
    name: 'number in full-width digits',
    spoil: (row) => void (row[FIELD.number] = toFullWidth(at(row, FIELD.number))),
  },
  { name: 'number null', spoil: setField(FIELD.number, ...NULL_TOKENS) },
  {
    // Of its own first digits: fixed numbers would come again in a file that asked for no repeats.
    name: 'number with a wrong checksum',
    spoil: (row, random) => {
      const prefix = at(row, FIELD.number).slice(0, -1);
      const wrong = DIGITS.map((digit) => prefix + digit).filter((number) => !passes(number));
      row[FIELD.number] = random.pick(wrong);
      return undefined;
    },
  },
  {
    name: 'head office no number',
    spoil: setField(FIELD.headOffice, '1234567', 'ABCDEFGH', '１２３４５６７８'),
  },
  { name: 'field missing', spoil: (row) => formatRow(row.slice(0, -1)) },
  { name: 'field too many', spoil: (row) => formatRow([...row, '']) },
  { name: 'text after a closing quote', spoil: (row) => formatRow(row).replace('"', '""') },
  { name: 'quote never closed', spoil: (row) => `"${row.join(',')}`, runsOn: true },
  {
    name: 'quoted field broken over two lines',
    spoil: (row) => `"\n${row.join(',').replace(/^/, 'rest" of it')}`,
    records: 2,
  },
  {
    name: 'undecodable byte',
    spoil: (row, random) => {
      const bytes = Buffer.from(formatRow(row));
      return Buffer.concat([bytes.subarray(0, 1), Buffer.from(random.pick(UNDECODABLE)), bytes.subarray(1)]);
    },
  },
  { name: 'name too long', spoil: setField(FIELD.name, '長'.repeat(256), ASTRAL.repeat(256)) },
  { name: 'address too long', spoil: setField(FIELD.address, '路'.repeat(501), 'x'.repeat(501)) },
  { name: 'organisation kind too long', spoil: setField(FIELD.kind, '獨'.repeat(51)) },
  { name: 'set-up date too long', spoil: setField(FIELD.setupDate, '110/01/01', '2021-01-01') },
  { name: 'industry code too long', spoil: setField(FIELD.industryCode, '4'.repeat(21)) },
  { name: 'industry name too long', spoil: setField(FIELD.industryName, '業'.repeat(256)) },
  { name: 'NUL in the name', spoil: (row) => void (row[FIELD.name] = `\0${at(row, FIELD.name)}\0`) },
  { name: 'NUL in the number', spoil: (row) => void (row[FIELD.number] = `\0${at(row, FIELD.number)}`) },
  {
    name: 'capital negative or broken',
    spoil: setField(FIELD.capital, '-5', '12.5', '1e6', '+7', '1 000', ','),
  },
  { name: 'capital in words or full-width', spoil: setField(FIELD.capital, '壹佰萬', '１００') },
  { name: 'capital beyond 64 bits', spoil: setField(FIELD.capital, '9223372036854775808', '9'.repeat(40)) },
  {
    name: 'date not in the calendar',
    spoil: setField(FIELD.setupDate, '1040230', '1041301', '20230229', '0000101'),
  },
  {
    name: 'date of no known form',
    spoil: setField(FIELD.setupDate, '990930', '110.1.1', '１０４０４１３', '民國百年'),
  },
  { name: 'invoice flag unknown', spoil: setField(FIELD.invoice, 'X', '是', '1', 'YES') },
  { name: 'invoice flag null', spoil: setField(FIELD.invoice, ...NULL_TOKENS) },
  {
    name: 'industry name without code',
    spoil: (row) => {
      row[14] = '';
      row[15] = '無代號之行業';
    },
  },
  { name: 'industry code without name', spoil: setField(FIELD.industryName, ...NULL_TOKENS) },
  {
    name: 'several at once',
    spoil: (row) => {
      row[FIELD.number] = 'no number';
      row[FIELD.capital] = '-1';
      row[FIELD.name] = '\0' + '長'.repeat(300);
    },
  },
  { name: 'blank line', spoil: () => '' },
  { name: 'row of empty fields', spoil: () => ','.repeat(15) },
  { name: 'row of null tokens', spoil: () => '"",NULL, null ,NA,N/A,　,\t,,,,,,,,,' },
];

/** Rows that load in spite of their looks; a quote in a bare field is a warning. */
export const ODDITIES: readonly Defect[] = [
  {
    name: 'comma, quotes and line breaks inside quotes',
    spoil: setField(FIELD.name, '甲,乙', '"甲"乙', '甲\n乙', '甲\r\n乙"'),
  },
  {
    name: 'what COPY text must escape',
    spoil: setField(
      FIELD.address,
      '\\',
      '\\N',
      '\\.',
      'a\\N',
      'a\tb',
      '\\t',
      'a\nb',
      '\n\\.\n',
      'a\rb',
      'x\\',
    ),
  },
  {
    name: 'quote inside a bare field',
    spoil: (row) => row.join(',').replace(',', '5" x,').replace(/^"/, ''),
  },
  { name: 'every field quoted', spoil: (row) => row.map((value) => `"${value}"`).join(',') },
  { name: 'no field quoted', spoil: (row) => row.join(',') },
  { name: 'blanks around values', spoil: (row) => row.map((value) => ` 　\t${value}　 `).join(',') },
  { name: 'record ending in CRLF', spoil: (row) => `${formatRow(row)}\r` },
  { name: 'longest name', spoil: setField(FIELD.name, '長'.repeat(255), ASTRAL.repeat(255)) },
  { name: 'longest address', spoil: setField(FIELD.address, '路'.repeat(500), '\u{10FFFD}'.repeat(500)) },
  { name: 'name null', spoil: setField(FIELD.name, ...NULL_TOKENS) },
  { name: 'null tokens in text', spoil: setField(FIELD.kind, ...NULL_TOKENS) },
  { name: 'nearly null tokens', spoil: setField(FIELD.kind, 'Null', 'na', 'n/a', 'None', '-', 'NaN') },
  { name: 'capital with commas', spoil: setField(FIELD.capital, '1,000,000', '1,0,0', ',5,') },
  { name: 'capital null', spoil: setField(FIELD.capital, ...NULL_TOKENS) },
  {
    name: 'capital at its bounds',
    spoil: setField(FIELD.capital, '9223372036854775807', '0007', '0'.repeat(25) + '12'),
  },
  { name: 'Gregorian date', spoil: setField(FIELD.setupDate, '20150413', '20240229', '19120101') },
  { name: 'date null', spoil: setField(FIELD.setupDate, ...NULL_TOKENS) },
  { name: 'lower-case flag', spoil: setField(FIELD.invoice, 'y', 'n') },
  {
    name: 'industry twice',
    spoil: (row) => {
      row[14] = at(row, FIELD.industryCode);
      row[15] = '同一行業';
    },
  },
  {
    name: 'only the last industry slot filled',
    spoil: (row) => {
      row.splice(8, 8, '', '', '', '', '', '', '960990', '其他');
    },
  },
  { name: 'head office given as null token', spoil: setField(FIELD.headOffice, ...NULL_TOKENS) },
];
