/** Kinds as real files need them: marks, patterns, zones, lists, words. */
import { describe, expect, it } from '@jest/globals';
import { describeKinds } from '#test/support/record/describe-kinds.js';
import {
  arrayOf,
  date,
  defineKind,
  enumOf,
  flag,
  float64,
  int16,
  int32,
  int64,
  isoDate,
  jsonb,
  mapped,
  numeric,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
} from './kinds.js';

const same = (...values: string[]): [string, string][] => values.map((value) => [value, value]);

const lists = arrayOf(int32(), { separator: '|' });
const texts = arrayOf(text(), { separator: ';' });

describeKinds([
  ['int16', int16(), same('0', '-32768', '32767', '007'), ['32768', '-32769', '1.0', '']],
  ['int32', int32(), same('2147483647', '-2147483648'), ['2147483648', '-2147483649', '+1']],
  [
    'int64 with points between thousands',
    int64({ thousandsMark: '.' }),
    [
      ['1.234.567', '1234567'],
      ['-1.234', '-1234'],
      ['1234', '1234'],
      ['9.223.372.036.854.775.807', '9223372036854775807'],
    ],
    ['1.23.4', '1234.567', '.123', '1.2345', '1..234', '1.234.', '9.223.372.036.854.775.808', '.'],
  ],
  [
    'numeric as Germany writes it',
    numeric({ precision: 9, scale: 2, decimalMark: ',', thousandsMark: '.' }),
    [
      ['1.234.567,89', '1234567.89'],
      ['-1234567,8', '-1234567.8'],
      [',5', '.5'],
      ['0.001,50', '0001.50'],
      ['1.234,5000', '1234.5000'],
    ],
    ['1.23.4', '1234.567,8', '1,234.5', '1.234,567', '12.345.678,00', '1,', ',', '.', '-', '1.2', '1,2,3'],
  ],
  [
    'numeric with a narrow blank between thousands',
    numeric({ decimalMark: ',', thousandsMark: '\u202f' }),
    [
      ['1\u202f234,5', '1234.5'],
      ['1234', '1234'],
    ],
    ['1\u202f23', '1 234'],
  ],
  [
    'numeric with its precision alone',
    numeric({ precision: 3 }),
    same('999', '-1', '1.000'),
    ['1000', '0.5'],
  ],
  [
    'float64',
    float64(),
    same('0', '-1.5', '6.02e23', '1E-5', '+.5', '1.', '1.7976931348623157e308', '5e-324', '0e999'),
    ['', '.', 'e5', 'NaN', 'Infinity', '-inf', '1e309', '1e-400', '0x10', '1e', '1,5'],
  ],
  ['varchar(3)', varchar(3), same('', 'abc', '𠮷𠮷𠮷'), ['abcd', '𠮷𠮷𠮷𠮷']],
  ['enumOf', enumOf(['new', '東', "it's"]), same('new', '東', "it's"), ['New', 'new ', '']],
  [
    'mapped',
    mapped({ A: 'active', X: 'a\tb', '': 'none' }),
    [
      ['A', 'active'],
      ['', 'none'],
    ],
    ['a', 'B', 'toString', '__proto__'],
  ],
  [
    'uuid',
    uuid(),
    same('550e8400-e29b-41d4-a716-446655440000', '00000000-0000-0000-0000-00000000000F'),
    [
      '550e8400e29b41d4a716446655440000',
      '{550e8400-e29b-41d4-a716-446655440000}',
      '550e8400-e29b-41d4-a716-44665544000g',
    ],
  ],
  [
    'date DD/MM/YYYY',
    date('DD/MM/YYYY'),
    [
      ['29/02/2024', '2024-02-29'],
      ['01/12/0001', '0001-12-01'],
    ],
    ['29/02/2023', '2/12/2024', '01/13/2024', '01-12-2024', '01/12/24', '01/12/2024 ', '00/01/2024'],
  ],
  [
    'date D.M.YYYY',
    date('D.M.YYYY'),
    [
      ['1.9.2026', '2026-09-01'],
      ['01.09.2026', '2026-09-01'],
      ['31.12.1999', '1999-12-31'],
    ],
    ['1.9.26', '001.9.2026', '1..2026', '32.1.2026'],
  ],
  ['date YYYYMMDD', date('YYYYMMDD'), [['20260901', '2026-09-01']], ['2026091', '202609011', '20261301']],
  [
    'date MM/DD/YY, two digits as POSIX',
    date('MM/DD/YY'),
    [
      ['09/01/68', '2068-09-01'],
      ['09/01/69', '1969-09-01'],
      ['02/29/00', '2000-02-29'],
    ],
    ['09/01/2026', '13/01/26'],
  ],
  [
    'date with a named month and text',
    date('DD-MMM-YYYY[年]'),
    [
      ['01-SEP-2026年', '2026-09-01'],
      ['01-sep-2026年', '2026-09-01'],
    ],
    ['01-SPT-2026年', '01-SEP-2026'],
  ],
  [
    'time',
    time(),
    same('08:30', '23:59:59', '00:00:00.000001'),
    ['24:00', '8:30', '08:60', '08:30:60', '08:30:00.1234567', '08:30Z'],
  ],
  [
    'time of half days',
    time('h:mm A'),
    [
      ['12:05 am', '00:05:00'],
      ['1:05 PM', '13:05:00'],
      ['12:00 PM', '12:00:00'],
    ],
    ['0:05 AM', '13:00 PM', '1:05'],
  ],
  [
    'timestamp',
    timestamp(),
    same('2026-09-01 08:30:00', '2026-09-01T08:30:00.123456', '2026-09-01T08:30'),
    ['2026-09-01', '2026-09-01 08:30:00Z', '2026-09-31 08:30', '2026-09-01 08:30:00+08'],
  ],
  [
    'timestamp of a pattern',
    timestamp('DD.MM.YYYY HH:mm:ss.SSS'),
    [['01.09.2026 08:30:05.050', '2026-09-01 08:30:05.050']],
    ['01.09.2026 08:30:05', '01.09.2026 24:00:00.000', '01.09.2026 08:30:05.0500'],
  ],
  [
    'timestamptz of a pattern with its offset',
    timestamptz({ pattern: 'YYYYMMDDTHHmmssZ' }),
    [
      ['20260901T083005Z', '2026-09-01 08:30:05+00:00'],
      ['20260901T083005-0430', '2026-09-01 08:30:05-04:30'],
      ['20260901T083005+08', '2026-09-01 08:30:05+08:00'],
    ],
    ['20260901T083005', '20260901T083005+15', '20260901T083005+08:60', '20260901T083005+8'],
  ],
  [
    'timestamptz of a zone',
    timestamptz({ pattern: 'YYYY/MM/DD HH:mm', zone: 'Asia/Taipei' }),
    [['2026/09/01 08:30', '2026-09-01 08:30:00 Asia/Taipei']],
    ['2026/09/01 08:30 Asia/Taipei', '2026/09/31 08:30'],
  ],
  [
    'timestamptz of a zone as ISO writes it',
    timestamptz({ zone: 'America/New_York' }),
    [['2026-09-01T08:30:00', '2026-09-01T08:30:00 America/New_York']],
    ['2026-09-01T08:30:00Z', '2026-09-01'],
  ],
  [
    'arrayOf numbers',
    lists,
    [
      ['1|2', '{"1","2"}'],
      [' 1 | |3', '{"1",NULL,"3"}'],
      ['', '{NULL}'],
    ],
    ['1|x', '1,2', '2147483648'],
  ],
  [
    'arrayOf texts',
    texts,
    [
      ['a"b;c\\d;NULL', String.raw`{"a\"b","c\\d","NULL"}`],
      ['{};,', '{"{}",","}'],
    ],
    [],
  ],
  [
    'arrayOf numbers in NDJSON',
    lists.inJson!,
    [
      ['[1, "2", null]', '{"1","2",NULL}'],
      ['[]', '{}'],
      ['[1e2, 3.0]', '{"100","3"}'],
    ],
    ['"1|2"', '{"a":1}', '[[1]]', '[1.5]', '[true]', 'null', '[{}]'],
  ],
  [
    'arrayOf texts in NDJSON',
    texts.inJson!,
    [
      ['["a;b", " c ", "", "\\u0041"]', '{"a;b","c",NULL,"A"}'],
      ['[12345678901234567890.10, true]', '{"12345678901234567890.10","true"}'],
    ],
    [String.raw`["\u0000"]`, String.raw`["\ud800"]`],
  ],
  [
    'arrayOf documents in NDJSON',
    arrayOf(jsonb()).inJson!,
    [[' [{"a": [1, "]"]}, "x"]', String.raw`{"{\"a\": [1, \"]\"]}","\"x\""}`]],
    ['{}'],
  ],
]);

describe('a kind whose options cannot be', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['an unknown token', () => date('DD/MM/JJJJ'), /"JJJJ" of the pattern "DD\/MM\/JJJJ" is no token/],
    ['no day', () => date('MM/YYYY'), /lacks the day/],
    ['a day twice', () => date('DD/MM/YYYY D'), /names the day twice/],
    ['a time in a date', () => date('DD/MM/YYYY HH'), /names the hour, which this kind does not store/],
    ['digits that run together', () => date('DMYYYY'), /does not say where D ends/],
    ['an open bracket', () => date('DD/MM/YYYY[x'), /"\[" is not closed/],
    ['hours of half days alone', () => time('hh:mm'), /needs hh and A together/],
    ['a fraction of nothing', () => time('HH:mm.SSS'), /a fraction without a second/],
    ['no offset', () => timestamptz({ pattern: 'YYYY-MM-DD HH:mm' }), /lacks the offset/],
    [
      'zone and offset',
      () => timestamptz({ pattern: 'YYYY-MM-DD HH:mmZ', zone: 'Asia/Taipei' }),
      /names the offset/,
    ],
    ['no such zone', () => timestamptz({ zone: 'Asia/Taipeh' }), /"Asia\/Taipeh" is no time zone/],
    ['an offset for a zone', () => timestamptz({ zone: '+08:00' }), /is no time zone/],
    ['equal marks', () => numeric({ decimalMark: ',', thousandsMark: ',' }), /both marks are the same/],
    ['a digit as mark', () => numeric({ decimalMark: '0' }), /decimalMark must be one character/],
    ['two characters as mark', () => int64({ thousandsMark: '..' }), /thousandsMark must be one character/],
    ['two ways to marks', () => int64({ thousandsMark: '.', removeCommas: true }), /exclude each other/],
    ['a scale beyond the precision', () => numeric({ precision: 2, scale: 3 }), /scale 0 to the precision/],
    ['a scale alone', () => numeric({ scale: 3 }), /needs a precision/],
    ['no length', () => varchar(0), /whole number from 1/],
    ['no words', () => enumOf([]), /lists nothing/],
    ['a word twice', () => enumOf(['a', 'a']), /"a" is listed twice/],
    ['true and false', () => flag({ true: ['1'], false: ['1'] }), /would be true and false/],
    ['lists of lists', () => arrayOf(arrayOf(text())), /cannot be arrays themselves/],
    ['no separator', () => arrayOf(text(), { separator: '' }), /one or more characters/],
  ])('%s: DATASET_INVALID', (_, make, message) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'DATASET_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

describe('a kind says what derived tables need', () => {
  it.each<[string, string]>([
    [text().columnType, 'text'],
    [varchar(40).columnType, 'varchar(40)'],
    [int16().columnType, 'smallint'],
    [numeric().columnType, 'numeric'],
    [numeric({ precision: 12, scale: 2 }).columnType, 'numeric(12,2)'],
    [float64().columnType, 'double precision'],
    [isoDate().columnType, 'date'],
    [timestamp().columnType, 'timestamp'],
    [arrayOf(varchar(3)).columnType, 'varchar(3)[]'],
    [defineKind({ name: 'own', accepts: () => true, message: 'is' }).columnType, 'text'],
  ])('%s', (type, expected) => {
    expect(type).toBe(expected);
  });

  it('checks words, and numbers that are not negative', () => {
    expect(enumOf(['a', "b'", 'c\\']).check?.('"x"')).toBe(String.raw`"x" IN ('a', 'b''', E'c\\')`);
    expect(mapped({ A: 'x', B: 'x', C: 'y' }).check?.('t')).toBe("t IN ('x', 'y')");
    expect(int64({ nonNegative: true }).check?.('t')).toBe('t >= 0');
  });

  it('reads numbers of JSON by their own notation, with any marks', () => {
    expect(int64({ thousandsMark: '.' }).plainNumber?.of('1.234')).toBe('1.234e0');
    expect(numeric({ decimalMark: ',', thousandsMark: '.' }).plainNumber?.of('1.5e1')).toBe('15');
    expect(numeric({ decimalMark: ',', thousandsMark: '.' }).plainNumber?.of('1.234')).toBe('1,234');
  });
});
