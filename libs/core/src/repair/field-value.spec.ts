import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FieldValues } from './field-value.js';
import { SHAPED_BYTES } from './value-shape.js';

describe('the value of a refused field', () => {
  const values = new FieldValues();
  const csv = (record: string, field: string, columns = ['no', 'name', 'city']): string =>
    values.valueOf(Buffer.from(record), field, columns, { format: 'csv' });
  const json = (record: string, field: string): string =>
    values.valueOf(Buffer.from(record), field, [], { format: 'ndjson' });

  it('stands below its column, without quotes and escapes (FV1)', () => {
    expect(csv('12,"a ""b"", c",x', 'name')).toBe('a "b", c');
    expect(csv('12,,x', 'name')).toBe('');
    expect(csv('12,y,x', 'city')).toBe('x');
    const semicolons = { format: 'csv' as const, csv: { delimiter: ';', escape: 'backslash' as const } };
    expect(values.valueOf(Buffer.from('1;a\\;b;\\N'), 'name', ['no', 'name', 'city'], semicolons)).toBe(
      'a;b',
    );
    expect(values.valueOf(Buffer.from('1;a\\;b;\\N'), 'city', ['no', 'name', 'city'], semicolons)).toBe('');
  });

  it('stands at its path in JSON: texts as text, everything else as it is written (FV1)', () => {
    const record =
      '{"a":{"b":"x\\u0041"},"items":[{"price":1.50},{"price":12345678901234567890}],"tags":["p",["q"]]}';
    expect(json(record, 'a.b')).toBe('xA');
    expect(json(record, 'items[1].price')).toBe('12345678901234567890');
    expect(json(record, 'items[0].price')).toBe('1.50');
    expect(json(record, 'items[0]')).toBe('{"price":1.50}');
    expect(json(record, 'tags[1][0]')).toBe('q');
    expect(json(record, 'a')).toBe('{"b":"x\\u0041"}');
  });

  it('is empty where nothing can be found, whatever the record is (FV2)', () => {
    for (const field of ['phone', '', 'no.x', 'name[0]', '[0]', 'a + b'])
      expect(csv('1,2,3', field)).toBe('');
    expect(csv('1', 'city')).toBe('');
    for (const field of ['x', 'items[2].price', 'items[99999999].x', 'a.b.c', 'items.price', '[0]'])
      expect(json('{"a":{"b":1},"items":[{"price":1}]}', field)).toBe('');
    for (const record of ['', '{', '{"a"', 'null', '[1', '"x', '{"a":1}}'])
      expect(json(record, 'a')).toBe('');
    const anyFormat = fc.constantFrom({ format: 'csv' as const }, { format: 'ndjson' as const }, {});
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        fc.oneof(fc.string(), fc.constantFrom('a', 'a[0].b', '[1]', 'a + b')),
        fc.array(fc.string(), { maxLength: 4 }),
        anyFormat,
        (bytes, field, columns, format) => {
          expect(typeof values.valueOf(Buffer.from(bytes), field, columns, format)).toBe('string');
        },
      ),
    );
  });

  it('of a column that is joined from several fields is all of them (FV3)', () => {
    expect(csv('12,y,x', 'no + city')).toBe('12 + x');
    expect(csv('12,y,x', 'no + phone')).toBe('12 + ');
    expect(csv('12,y,x', 'no + city', ['a', 'no + city', 'b'])).toBe('y');
  });

  it('is cut: of a value of 8 MiB only the beginning is made', () => {
    const long = 'x'.repeat(8 * 1024 * 1024);
    expect(csv(`1,${long},3`, 'name')).toBe('x'.repeat(SHAPED_BYTES));
    expect(csv(`1,"""${long}",3`, 'name')).toHaveLength(2 * SHAPED_BYTES - 1);
    expect(json(`{"a":"${long}"}`, 'a')).toHaveLength(SHAPED_BYTES);
    expect(csv(`1,"${long}",3`, 'city')).toBe('3');
  });

  it('of a dataset that is gone is read as the columns suggest', () => {
    expect(values.valueOf(Buffer.from('1,2'), 'b', ['a', 'b'])).toBe('2');
    expect(values.valueOf(Buffer.from('{"b":2}'), 'b', [])).toBe('2');
  });

  it('finds columns far to the right, whatever was asked before', () => {
    const columns = Array.from({ length: 500 }, (_, at) => `c${at}`);
    const record = columns.map((_, at) => String(at)).join(',');
    for (const at of [3, 499, 64, 63]) expect(csv(record, `c${at}`, columns)).toBe(String(at));
  });
});
