/** The compiled contract says of any record what class-validator says of the contract's own class, and stores the same. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { basketObject, basketRecord } from '#test/support/record/basket-records.js';
import { chunksOf, cutChunks } from '#test/support/record/cutting.js';
import { judgeAndListen } from '#test/support/record/judging.js';
import { judgePlainly, type PlainRecord, type PlainVerdict } from '#test/support/record/plain-judge.js';
import {
  Basket,
  BASKET,
  Order,
  ORDER,
  Shop,
  SHOP,
  SHOP_COLUMNS,
} from '#test/support/record/sample-contracts.js';
import { cleanString } from './cleaning.js';
import type { CuttingOptions } from './raw-batch.js';

const MALFORMED: PlainVerdict = {
  verdict: 'refused',
  findings: [{ code: 'MALFORMED_ROW', field: '', severity: 'error' }],
  rows: {},
};

const cutting: Omit<CuttingOptions, 'format'> = {
  maxBatchBytes: 200,
  maxBatchRecords: 5,
  maxRecordBytes: 100_000,
  limitRecords: null,
};

const inputs = fc.record({
  context: fc.constantFrom<Record<string, string>>({}, { date: '2026-09-01' }),
  options: fc.constantFrom('off', 'warn', 'reject').map((repeats) => ({ repeats })),
});

/** Values that meet the rules' edges: right ones, nulls in every form, too long, of the wrong kind, odd characters. */
const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '1234',
      '0001',
      '1111',
      'abc',
      'N',
      'Y',
      '0',
      '1,000',
      '2024-02-29',
      'a@bc.example',
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom('', '', 'NULL', 'null', 'NA', 'N/A', ' ', '　', '\t', '""') },
  fc.constantFrom(
    '123',
    '12345',
    '１２３４',
    '-1',
    '9223372036854775808',
    '2023-02-29',
    'y',
    'x@y.z',
    'abcdef',
    '𠮷𠮷𠮷𠮷𠮷',
    '葛\u{e0100}飾區x',
  ),
  fc.constantFrom(
    '\0',
    '12\x0034',
    ' \0NA',
    '\\N',
    '\\.',
    'a\\b',
    'a\tb',
    'a\nb',
    'a\r\nb',
    '"',
    'a"b',
    'a,b',
    ' 1234　',
  ),
  fc.string({ unit: anyCharacter, maxLength: 7 }),
);

interface Row {
  /** Its bytes without line end. */
  readonly bytes: Buffer;
  /** Its fields as they stand in the file, or null for a malformed one. */
  readonly fields: readonly string[] | null;
}

const quoteIf = (field: string, quoted: boolean): string =>
  quoted || /[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;

const goodRow: fc.Arbitrary<Row> = fc
  .array(fc.tuple(value, fc.boolean()), { minLength: SHOP_COLUMNS.length, maxLength: SHOP_COLUMNS.length })
  .map((fields) => ({
    bytes: Buffer.from(fields.map(([field, quoted]) => quoteIf(field, quoted)).join(',')),
    fields: fields.map(([field]) => field),
  }));

/** A right row with one field changed: most rules are asked in full only of rows that are right otherwise. */
const nearlyGoodRow: fc.Arbitrary<Row> = fc
  .tuple(fc.nat(SHOP_COLUMNS.length - 1), value)
  .map(([at, changed]) => {
    const fields = ['商行', '1234', '', '1,000', '2024-02-29', '', 'Y', '', 'c', 'n', 'd', 'm', '', ''];
    fields[at] = changed;
    return { bytes: Buffer.from(fields.map((field) => quoteIf(field, false)).join(',')), fields };
  });

const otherRow: fc.Arbitrary<Row> = fc.oneof(
  fc.constantFrom('', ',,,,,,,,,,,,,', 'NULL,NA,,,　,,,,, ,,,,"N/A"').map((text) => ({
    bytes: Buffer.from(text),
    fields: SHOP_COLUMNS.map(() => ''),
  })),
  fc
    .constantFrom('a', ',,', ','.repeat(14), '"a"b,,,,,,,,,,,,,')
    .map((text) => ({ bytes: Buffer.from(text), fields: null })),
  fc.constantFrom([0xff], [0xe6, 0x9d], [0xc0, 0x80], [0xed, 0xa0, 0x80]).map((bytes) => ({
    bytes: Buffer.concat([Buffer.from('商行,1234,,,,,Y,'), Buffer.from(bytes), Buffer.from(',,,,,,')]),
    fields: null,
  })),
);

const shopFile = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 3, arbitrary: goodRow }, { weight: 5, arbitrary: nearlyGoodRow }, otherRow),
      fc.constantFrom('\n', '\r\n'),
    ),
    {
      maxLength: 12,
    },
  )
  .chain((rows) => {
    const bytes = Buffer.concat(rows.flatMap(([row, lineEnd]) => [row.bytes, Buffer.from(lineEnd)]));
    return fc.tuple(fc.constant(rows.map(([row]) => row)), chunksOf(bytes));
  });

function shopRecord(fields: readonly string[]): PlainRecord {
  const read = (name: string): string | undefined => fields[SHOP_COLUMNS.indexOf(name)];
  return {
    read,
    nameOf: (name) => name,
    isBlank: fields.every((field) => cleanString(field) === null),
    texts: SHOP_COLUMNS.filter((name) => name !== 'note').map((name) => ({ name, value: read(name) })),
    places: () =>
      [1, 2, 3].map((slot) => {
        const nameOf = (source: string): string => (source === 'code' ? `c${slot}` : `n${slot}`);
        return { slot, nameOf, read: (source) => read(nameOf(source)), texts: [] };
      }),
  };
}

describe('compiled contract of a CSV and class-validator on its class', () => {
  it('give the same verdicts, findings and values', () => {
    const seen = { accepted: 0, refused: 0, skipped: 0 };
    let tried = 0;
    fc.assert(
      fc.property(shopFile, inputs, ([rows, chunks], given) => {
        tried += 1;
        const expected = rows.map(({ fields }) =>
          fields === null ? MALFORMED : judgePlainly(Shop, shopRecord(fields), given),
        );
        for (const { verdict } of expected) seen[verdict] += 1;
        const batches = cutChunks(chunks, { ...cutting, format: 'csv' });
        expect(judgeAndListen(SHOP, SHOP_COLUMNS, given, batches)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
    expect(Math.min(...Object.values(seen)) / tried).toBeGreaterThan(0.1);
  });
});

const jsonValue = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    ' ',
    'abc',
    'abcdefg',
    'TW',
    'tw',
    0,
    -5,
    1.5,
    1234.567,
    1e21,
    true,
    '2026-09-01T08:30:00Z',
    '2026-09-31T08:30:00Z',
  ),
  fc.constantFrom<unknown>(
    'a\0b',
    '\0',
    '𠮷東',
    'a\\N\t\n',
    '\u2028',
    {},
    [],
    { amount: '1.25' },
    { amount: 'x' },
    ['new'],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

const optional = <Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | null | undefined> =>
  fc.option(fc.option(arbitrary, { nil: undefined }), { freq: 8 });

const orderObject = fc.record(
  {
    id: fc.oneof({ weight: 4, arbitrary: fc.nat() }, jsonValue),
    customer: optional(
      fc.oneof(
        { weight: 4, arbitrary: fc.record({ name: jsonValue, country: jsonValue }, { requiredKeys: [] }) },
        jsonValue,
      ),
    ),
    placedAt: optional(fc.oneof(fc.constant('2026-09-01T08:30:00Z'), jsonValue)),
    items: optional(
      fc.array(
        fc.option(
          fc.record(
            { sku: fc.oneof(fc.constant('a'), jsonValue), price: optional(jsonValue), other: jsonValue },
            { requiredKeys: [] },
          ),
          { freq: 6 },
        ),
        {
          maxLength: 3,
        },
      ),
    ),
    meta: optional(
      fc.record({
        tags: optional(
          fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom('new', 'old', ' 東') }, jsonValue), {
            maxLength: 4,
          }),
        ),
      }),
    ),
  },
  { requiredKeys: [] },
);

function orderRecord(order: Readonly<Record<string, unknown>>): PlainRecord {
  const at = (value: unknown, path: string): unknown =>
    path
      .split('.')
      .reduce<unknown>(
        (inner, name) =>
          typeof inner === 'object' && inner !== null && !Array.isArray(inner) && Object.hasOwn(inner, name)
            ? (inner as Record<string, unknown>)[name]
            : undefined,
        value,
      );
  const texts = (value: unknown, paths: readonly string[], prefix = ''): PlainRecord['texts'] =>
    paths.map((path) => ({ name: prefix + path, value: at(value, path) }));
  const elements = (path: string): unknown[] => (at(order, path) ?? []) as unknown[];
  return {
    read: (path) => at(order, path),
    nameOf: (path) => path,
    isBlank: Object.values(order).every(
      (value) =>
        value === null ||
        value === undefined ||
        (typeof value === 'string' ? cleanString(value, { nullTokens: [''] }) === null : isEmpty(value)),
    ),
    texts: texts(order, ['id', 'customer.name', 'customer.country', 'placedAt']),
    places: (child) =>
      child === 0
        ? elements('items').map((item, index) => ({
            slot: index + 1,
            read: (path) => at(item, path),
            nameOf: (path) => `items[${index}].${path}`,
            texts: texts(item, ['sku', 'price.amount'], `items[${index}].`),
          }))
        : elements('meta.tags').map((tag, index) => ({
            slot: index + 1,
            read: () => tag,
            nameOf: () => `meta.tags[${index}]`,
            texts: [{ name: `meta.tags[${index}]`, value: tag }],
          })),
  };
}

/** Values that stand where the contract reads members of an object: they would be NULL without a word. */
function wrongShape(order: Readonly<Record<string, unknown>>): PlainVerdict | null {
  const isObject = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const isWrong = (value: unknown): boolean => value !== undefined && value !== null && !isObject(value);
  if (orderRecord(order).isBlank) return null;
  const items = (Array.isArray(order['items']) ? order['items'] : []) as ({ price?: unknown } | null)[];
  const price = items.findIndex((item) => isWrong(item?.price));
  const field = isWrong(order['customer']) ? 'customer' : price === -1 ? null : `items[${price}].price`;
  return field === null
    ? null
    : { ...MALFORMED, findings: [{ code: 'MALFORMED_ROW', field, severity: 'error' }] };
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

describe('compiled contract of an NDJSON and class-validator on its class', () => {
  it('give the same verdicts, findings and values', () => {
    const seen = { accepted: 0, refused: 0, skipped: 0 };
    let tried = 0;
    const notAnObject = fc.constantFrom('{', '[]', '5', 'null', '{"id":1}x', '{"id":01}', "{'id':1}");
    const line = fc.oneof(
      {
        weight: 20,
        arbitrary: orderObject.map((order) => ({
          text: JSON.stringify(order),
          order: JSON.parse(JSON.stringify(order)) as Record<string, unknown>,
        })),
      },
      { weight: 1, arbitrary: notAnObject.map((text) => ({ text, order: null })) },
      { weight: 1, arbitrary: fc.constantFrom('', ' \t').map((text) => ({ text, order: {} })) },
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), inputs, (lines, given) => {
        tried += 1;
        const expected = lines.map(({ order }) =>
          order === null
            ? MALFORMED
            : (wrongShape(order) ?? judgePlainly(Order, orderRecord(order), { ...given, isJson: true })),
        );
        for (const { verdict } of expected) seen[verdict] += 1;
        const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''));
        const batches = cutChunks([bytes], { ...cutting, format: 'ndjson' });
        expect(judgeAndListen(ORDER, [], given, batches)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
    expect(Math.min(...Object.values(seen)) / tried).toBeGreaterThan(0.06);
  });
});

describe('compiled contract of arrays inside arrays and class-validator on its classes', () => {
  it('give the same verdicts, findings and values on every level', () => {
    const seen = { accepted: 0, refused: 0, skipped: 0 };
    const rows: Record<string, number> = {};
    let tried = 0;
    fc.assert(
      fc.property(fc.array(basketObject(jsonValue), { maxLength: 8 }), inputs, (objects, given) => {
        tried += 1;
        const lines = objects.map((basket) => JSON.stringify(basket));
        const expected = lines.map((line) =>
          judgePlainly(Basket, basketRecord(JSON.parse(line) as Record<string, unknown>), given),
        );
        for (const verdict of expected) {
          seen[verdict.verdict] += 1;
          for (const [table, list] of Object.entries(verdict.rows))
            rows[table] = (rows[table] ?? 0) + list.length;
        }
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const batches = cutChunks([bytes], { ...cutting, format: 'ndjson' });
        expect(judgeAndListen(BASKET, [], given, batches)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
    expect(Math.min(seen.accepted, seen.refused) / tried).toBeGreaterThan(0.1);
    expect(Object.keys(rows).sort()).toEqual([
      'basket',
      'basket_line',
      'line_tax',
      'seat',
      'seat_row',
      'tax_note',
    ]);
    expect(Math.min(...Object.values(rows)) / tried).toBeGreaterThan(0.06);
  });
});
