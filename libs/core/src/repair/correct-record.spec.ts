import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import { splitRecord } from '../record/split-record.js';
import { type CorrectedShape, findField, isFault, splitCsv } from './correct-record.js';
import { faultOf } from './record-to-send.js';

const COLUMNS = ['no', 'name', 'city'];

function corrected(
  shape: CorrectedShape,
  record: string,
  field: string,
  ...values: (string | null)[]
): string {
  const found = findField(shape, Buffer.from(record), COLUMNS, field);
  if (isFault(found)) return found.reason;
  const answer = found.write(values);
  return isFault(answer) ? answer.reason : answer.toString();
}
const csv = (record: string, field: string, value: string | null, dialect?: CsvDialect): string =>
  corrected({ format: 'csv', ...(dialect === undefined ? {} : { csv: dialect }) }, record, field, value);
const json = (record: string, field: string, ...values: (string | null)[]): string =>
  corrected({ format: 'ndjson' }, record, field, ...values);

describe('a corrected CSV record', () => {
  it('has a new value in one field, and every other byte as it was (CO1)', () => {
    expect(csv('1, "x" ,a', 'no', '2')).toBe('2, "x" ,a');
    expect(csv('1,"a ""b"", c",\u3000x ', 'no', '2')).toBe('2,"a ""b"", c",\u3000x ');
    expect(csv('1,"a\r\nb",x', 'city', 'y')).toBe('1,"a\r\nb",y');
    expect(csv('1,,', 'city', 'y')).toBe('1,,y');
    expect(csv('1,,', 'no', '')).toBe(',,');
  });

  it('quotes a value where it has to, or where it was quoted (CO2)', () => {
    expect(csv('1,a,x', 'name', 'b, "c"')).toBe('1,"b, ""c""",x');
    expect(csv('1,"a",x', 'name', 'b')).toBe('1,"b",x');
    expect(csv('1,a,x', 'name', 'two\nlines')).toBe('1,"two\nlines",x');
    const backslash: CsvDialect = { delimiter: ';', escape: 'backslash' };
    expect(csv('1;a\\;b;x', 'no', 'a\\b', backslash)).toBe('a\\\\b;a\\;b;x');
    expect(csv('1;a;x', 'name', null, backslash)).toBe('1;\\N;x');
    expect(csv('1;a;x', 'name', '\\N', backslash)).toBe('1;\\\\N;x');
    expect(csv('1,a,x', 'name', null)).toBe('1,,x');
    expect(csv('1,a,x', 'no', '# 1', { skipLinesStartingWith: ['#'] })).toBe('"# 1",a,x');
  });

  it('is refused where its fields, or the value, cannot be (CO2, CO3)', () => {
    expect(csv('1,"a,x', 'no', '2')).toBe('MALFORMED');
    expect(csv('1,a', 'no', '2')).toBe('MALFORMED');
    expect(csv('1,a,x', 'phone', '2')).toBe('FIELD_UNKNOWN');
    expect(csv('1,a,x', '', '2')).toBe('FIELD_UNKNOWN');
    expect(csv('1,a,x', 'name', 'a,b', { quote: null })).toBe('VALUE_UNWRITABLE');
    expect(csv('1,a,x', 'name', 'a\0b')).toBe('VALUE_UNWRITABLE');
    expect(csv('1,a,x', 'name', '\ud800')).toBe('VALUE_UNWRITABLE');
    const twice = findField({ format: 'csv' }, Buffer.from('1,2'), ['no', 'no'], 'no');
    expect(twice).toMatchObject({ reason: 'FIELD_AMBIGUOUS' });
    const exported = findField({ format: 'csv' }, Buffer.from('1,2'), ['no', ''], 'column_2');
    expect(isFault(exported) ? exported : exported.values).toEqual(['2']);
  });

  it('keeps fields whose bytes are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('1,'), Buffer.of(0xff, 0xfe), Buffer.from(',x')]);
    const found = findField({ format: 'csv' }, bytes, COLUMNS, 'city');
    expect(isFault(found) ? found : found.write(['y'])).toEqual(
      Buffer.concat([Buffer.from('1,'), Buffer.of(0xff, 0xfe), Buffer.from(',y')]),
    );
  });

  const piece = fc.constantFrom(
    'a',
    '1',
    ',',
    ';',
    '"',
    '\\',
    '\n',
    '\r',
    '#',
    ' ',
    '\t',
    'N',
    'n',
    '東',
    '=',
  );
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
  const dialects: CsvDialect[] = [
    {},
    { delimiter: ';', escape: 'backslash' },
    { delimiter: '\t', quote: "'" },
    { delimiter: ';', quote: null, escape: 'backslash', skipLinesStartingWith: ['#', 'a'] },
    { quote: null, skipLinesStartingWith: ['#'] },
  ];

  it('reads as what was given, and has the bytes of the rest, in any dialect (CO1, CO2)', () => {
    let written = 0;
    fc.assert(
      fc.property(
        fc.array(text, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...dialects),
        text,
        fc.nat(3),
        (fields, dialect, value, at) => {
          const { delimiter = ',' } = dialect;
          const bytes = Buffer.from(fields.join(delimiter));
          // The bytes of a dead letter have no line end behind them.
          if (bytes.at(-1) === 0x0a || bytes.at(-1) === 0x0d) return true;
          const record = splitCsv(bytes, null, dialect);
          if (isFault(record)) return splitRecord(bytes, dialect) === null || bytes.length === 0;
          const before = Array.from({ length: record.fields }, (_, place) => record.value(place));
          const place = at % record.fields;
          const answer = record.write(new Map([[place, value]]));
          if (isFault(answer)) return dialect.quote === null && dialect.escape !== 'backslash';
          if (record.fields === 1 && value === '') return true;
          written += 1;
          expect(record.write(new Map())).toEqual(bytes);
          const after = splitRecord(answer, dialect);
          if (after === null)
            return faultOf({ format: 'csv', csv: dialect }, answer)?.reason === 'SKIPPED_LINE';
          expect(after).toEqual(before.map((old, index) => (index === place ? value : old)));
          // Only what stands between a beginning and an end of the old bytes has changed: a field, quotes and all.
          let start = 0;
          while (start < bytes.length && bytes[start] === answer[start]) start += 1;
          const rest = bytes.length - start;
          let end = 0;
          while (end < rest && bytes.at(-1 - end) === answer.at(-1 - end) && end < answer.length - start)
            end += 1;
          expect(rest - end).toBeLessThanOrEqual(Buffer.byteLength(before[place] ?? '\\N') * 2 + 2);
          return true;
        },
      ),
      { numRuns: 3_000 },
    );
    expect(written).toBeGreaterThan(1_000);
  });
});

describe('a corrected JSON record', () => {
  it('has a new value at one path, and every other byte as it was (CO1)', () => {
    const record = '{ "a":{"b":"x\\u0041"}, "n" : 12345678901234567890,"items":[{"p":1.50},{"p":2}] }';
    expect(json(record, 'a.b', 'y')).toBe(record.replace('"x\\u0041"', '"y"'));
    expect(json(record, 'items[1].p', '3.00')).toBe(record.replace('2}', '3.00}'));
    expect(json(record, 'items[].p', '3', '4')).toBe(
      record.replace('1.50', '3').replace('{"p":2}', '{"p":4}'),
    );
    expect(json(record, 'n', null)).toBe(record.replace('12345678901234567890', 'null'));
  });

  it('keeps a text a text, and writes JSON in place of anything else where it is some', () => {
    expect(json('{"a":"1"}', 'a', '2')).toBe('{"a":"2"}');
    expect(json('{"a":1}', 'a', '2')).toBe('{"a":2}');
    expect(json('{"a":1}', 'a', '02')).toBe('{"a":"02"}');
    expect(json('{"a":null}', 'a', 'x"y')).toBe('{"a":"x\\"y"}');
    expect(json('{"a":1}', 'a', '{"b":\n[1]}')).toBe('{"a":{"b": [1]}}');
  });

  it('gets a member that it lacks, where its object is there', () => {
    expect(json('{}', 'a', '1')).toBe('{"a":1}');
    expect(json('{"b":{"c":1} }', 'b.d', 'x')).toBe('{"b":{"c":1,"d":"x"} }');
    expect(json('{"b":1}', 'b.d', 'x')).toBe('FIELD_UNKNOWN');
    expect(json('{"b":1}', 'c.d', 'x')).toBe('FIELD_UNKNOWN');
    expect(json('{"b":[]}', 'b[].d', 'x')).toBe('FIELD_UNKNOWN');
    expect(json('[1]', '[0]', '2')).toBe('[2]');
  });

  it('is refused where it is no JSON, or not certain which member is meant (CO3)', () => {
    expect(json('{"a":1', 'a', '2')).toBe('MALFORMED');
    expect(json('{"a":1,"a":2}', 'a', '2')).toBe('FIELD_AMBIGUOUS');
    expect(json('{"a":"x"}', 'a', 'a\0')).toBe('VALUE_UNWRITABLE');
  });

  it('differs from what it was in the one value, as JSON.parse reads it (CO1, CO2)', () => {
    const names = fc.constantFrom('a', 'b', '東', 'a b');
    fc.assert(
      fc.property(
        fc.dictionary(names, fc.jsonValue(), { minKeys: 1 }),
        names,
        fc.string(),
        (record, name, value) => {
          const bytes = Buffer.from(JSON.stringify(record));
          const found = findField({ format: 'ndjson' }, bytes, [], name);
          if (isFault(found)) return false;
          const answer = found.write([value]);
          if (isFault(answer)) return value.includes('\0') || !value.isWellFormed();
          const after = JSON.parse(answer.toString()) as Record<string, unknown>;
          const { [name]: given, ...rest } = after;
          const { [name]: _before, ...others } = JSON.parse(bytes.toString()) as Record<string, unknown>;
          expect(rest).toEqual(others);
          return typeof given === 'string'
            ? given === value || JSON.stringify(given) === JSON.stringify(JSON.parse(value))
            : Object.is(JSON.stringify(given), JSON.stringify(JSON.parse(value)));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
