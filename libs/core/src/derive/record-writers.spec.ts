import { describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { plainFields } from '#test/support/record/plain-fields.js';
import { plainRecords } from '#test/support/record/plain-records.js';
import { Children, ChildTable, Column, FromParent, Table } from '../dataset/columns.js';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import { planContract } from '../record/compile/contract-plan.js';
import { csvWriter, type FieldValue, type FieldValues, jsonWriter } from './record-writers.js';

class Size {
  @FromParent('id') id!: string;
  @Column({ source: 'size' }) size!: string;
}
ChildTable({ name: 'size' })(Size);

class Thing {
  @Column({ source: 'id' }) id!: string;
  @Column({ sources: ['first', 'id'], join: ' ' }) label!: string | null;
  @Children(() => Size, { slots: [{ size: 'size 1' }, { size: 'size 2' }] }) sizes!: Size[];
}
Table({ name: 'thing', key: ['id'] })(Thing);
const PLAN = planContract({ name: 'things', contract: Thing });

const value = (text: string, type = 'text', isJson = false): FieldValue => ({ text, isJson, type });
const valuesOf = (fields: Readonly<Record<string, FieldValue | null>>): FieldValues =>
  new Map(Object.entries(fields));
const NONE: ReadonlyMap<string, FieldValues[]> = new Map();

const COLUMNS = ['a', 'b', 'c'];
const dialects = fc.record({
  delimiter: fc.constantFrom(',', ';', '\t', '|', ' '),
  quote: fc.constantFrom('"', "'"),
  escape: fc.constantFrom('doubled' as const, 'backslash' as const),
  skipLinesStartingWith: fc.constantFrom([], ['#'], ['#', 'a']),
});
const textOf = ({ delimiter = ',', quote, escape }: CsvDialect): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.constantFrom(
      'a',
      'N',
      '#',
      '東',
      delimiter,
      quote ?? "'",
      escape === 'backslash' ? '\\' : 'b',
      '\n',
      '\r',
    ),
    maxLength: 8,
  });
const files = dialects.chain((csv) =>
  fc.record({
    csv: fc.constant(csv),
    rows: fc.array(fc.tuple(textOf(csv), textOf(csv), textOf(csv)), { maxLength: 6 }),
  }),
);

function fileOf(csv: CsvDialect, rows: readonly (readonly string[])[]): Buffer {
  const writer = csvWriter({ csv: { ...csv, columns: COLUMNS } }, PLAN);
  const records = rows.map((row) =>
    writer.record(
      valuesOf(Object.fromEntries(COLUMNS.map((name, at) => [name, value(row[at] ?? '')]))),
      NONE,
    ),
  );
  return Buffer.concat([writer.head, ...records]);
}

describe('csvWriter', () => {
  it('writes records that hold the same fields, for any text and dialect', () => {
    fc.assert(
      fc.property(files, ({ csv, rows }) => {
        const file = fileOf(csv, rows);
        const records = plainRecords(file, { format: 'csv', csv }, 10_000);
        const read = records.map(({ start, end, isMalformed, isSkipped }) => {
          expect({ isMalformed, isSkipped }).toEqual({ isMalformed: false, isSkipped: false });
          return plainFields(file.toString('utf8', start, end - 1), csv);
        });
        expect(read).toEqual(rows);
      }),
      { numRuns: 500 },
    );
  });

  it('writes what csv-parse reads', () => {
    const text = textOf({ delimiter: ',', quote: '"' });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, text), { maxLength: 6 }), (rows) => {
        expect(parse(fileOf({}, rows), { record_delimiter: '\n' })).toEqual(rows);
      }),
    );
  });

  it('writes a delimiter behind a backslash where there are no quotes', () => {
    const csv: CsvDialect = { quote: null, escape: 'backslash', delimiter: '|' };
    const text = fc.string({ unit: fc.constantFrom('a', '|', '\\', '\n', '"', 'N'), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, text), { maxLength: 6 }), (rows) => {
        const file = fileOf(csv, rows);
        const records = plainRecords(file, { format: 'csv', csv }, 10_000);
        expect(
          records.map(({ start, end }) => plainFields(file.toString('utf8', start, end - 1), csv)),
        ).toEqual(rows);
      }),
    );
  });

  it('writes a header of what the contract reads, each field once, in the encoding of the dataset', () => {
    const { head, record } = csvWriter({ encoding: 'utf-16le' }, PLAN);
    expect(head.toString('utf16le')).toBe('id,first,size 1,size 2\n');
    const values = valuesOf({ id: value('7'), first: null, 'size 2': value('größe') });
    expect(record(values, NONE).toString('utf16le')).toBe('7,,,größe\n');
    expect(csvWriter({ csv: { columns: ['id'] } }, PLAN).head).toHaveLength(0);
  });
});

/** Names that every object has are among them; no path begins with another one. */
const names = fc.constantFrom('a', 'b', '東', '', '__proto__', 'constructor', 'toString');
const members = fc
  .array(
    fc.tuple(
      fc.array(names, { minLength: 1, maxLength: 3 }),
      fc.oneof(
        fc.constant(null),
        fc.string({ unit: 'grapheme' }).map((text) => value(text)),
        fc.integer().map((number) => value(String(number), 'integer')),
        fc.boolean().map((truth) => value(String(truth), 'boolean')),
        fc.jsonValue().map((json) => value(JSON.stringify(json), 'jsonb', true)),
      ),
    ),
  )
  .map((all) =>
    all.filter(([path], at) => {
      const isWithin = (inner: readonly string[], outer: readonly string[]): boolean =>
        outer.every((name, depth) => inner[depth] === name);
      return !all.slice(0, at).some(([other]) => isWithin(path, other) || isWithin(other, path));
    }),
  );

describe('jsonWriter', () => {
  it('writes one line of JSON with each value on its path', () => {
    const { head, record } = jsonWriter();
    expect(head).toHaveLength(0);
    fc.assert(
      fc.property(members, (given) => {
        const line = record(
          new Map(given.map(([path, member]) => [path.join('.'), member])),
          NONE,
        ).toString();
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const object = JSON.parse(line) as unknown;
        for (const [path, member] of given) {
          let at = object;
          for (const name of path) {
            expect(Object.hasOwn(at as object, name)).toBe(true);
            at = (at as Record<string, unknown>)[name];
          }
          if (member === null) expect(at).toBeNull();
          else
            expect(JSON.stringify(at)).toBe(
              member.type === 'text' ? JSON.stringify(member.text) : member.text,
            );
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
    );
  });

  it('writes the rows of children as arrays of objects, or of values, and what is no number as a string', () => {
    const { record } = jsonWriter();
    const rows = [valuesOf({ code: value('7', 'integer') }), valuesOf({ code: value('007', 'numeric(4)') })];
    const plain = [valuesOf({ '': value('x') }), valuesOf({ '': null })];
    const values: FieldValues = new Map<string, FieldValue | null | FieldValues[]>([
      ['id', value('1', 'bigint')],
      ['tags', plain],
    ]);
    expect(record(values, new Map([['more.lines', rows]])).toString()).toBe(
      '{"id":1,"tags":["x",null],"more":{"lines":[{"code":7},{"code":"007"}]}}\n',
    );
  });
});
