/** Kinds against PostgreSQL itself: it takes what they accept, as the same value, and the rules across columns reckon as it does. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { decimalOf, isEqual, productOf, rounded, sumOf } from './exact-decimal.js';
import {
  arrayOf,
  date,
  enumOf,
  float64,
  int16,
  int32,
  int64,
  isoDate,
  jsonb,
  type Kind,
  mapped,
  numeric,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
} from './kinds.js';
import { momentOf } from './moment-order.js';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await startTestDatabase();
  client = new pg.Client(database.url);
  await client.connect();
  await client.query(`SET timezone = 'UTC'`);
  await client.query(`
    CREATE FUNCTION pg_temp.stored(value text, type text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE stored text;
    BEGIN
      EXECUTE format('CREATE TEMP TABLE one (value %s) ON COMMIT DROP', type);
      EXECUTE 'INSERT INTO one VALUES (' || quote_literal(value) || ')';
      EXECUTE 'SELECT value::text FROM one' INTO stored;
      DROP TABLE one;
      RETURN stored;
    EXCEPTION WHEN data_exception THEN RETURN NULL;
    END $$`);
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.stop();
});

/** What a column of the type holds of each text, as PostgreSQL writes it; null where it refuses the text. */
async function stored(values: readonly string[], type: string): Promise<(string | null)[]> {
  const { rows } = await client.query<{ stored: string | null }>(
    'SELECT pg_temp.stored(value, $2) FROM unnest($1::text[]) WITH ORDINALITY AS t(value, n) ORDER BY n',
    [values, type],
  );
  return rows.map((row) => row.stored);
}

const sample = <Value>(arbitrary: fc.Arbitrary<Value>, count = 300): Value[] => fc.sample(arbitrary, count);
const digits = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'),
    minLength: 1,
    maxLength,
  });
const decimal = (whole: number, fraction: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom('', '-'), digits(whole), fc.option(digits(fraction)))
    .map(([sign, before, after]) => sign + before + (after === null ? '' : `.${after}`));

const fields = fc.record({
  year: fc.integer({ min: 1, max: 9999 }),
  month: fc.integer({ min: 0, max: 13 }),
  day: fc.integer({ min: 0, max: 32 }),
  hour: fc.integer({ min: 0, max: 25 }),
  minute: fc.integer({ min: 0, max: 61 }),
  second: fc.integer({ min: 0, max: 60 }),
});
const pad = (value: number, length = 2): string => String(value).padStart(length, '0');

describe('what a kind accepts, PostgreSQL stores', () => {
  it.each<[string, Kind, number]>([
    ['int16', int16(), 7],
    ['int32', int32(), 12],
    ['int64', int64(), 21],
  ])('%s, and what it refuses is refused', async (_, kind, length) => {
    const edges = [2n ** 15n, 2n ** 31n, 2n ** 63n].flatMap((edge) =>
      [edge - 1n, edge, -edge, -edge - 1n].map(String),
    );
    const values = [...edges, ...sample(decimal(length, 1)).map((value) => value.replace(/\..*/, ''))];
    const found = await stored(values, kind.columnType);
    for (const [at, value] of values.entries()) {
      expect([value, found[at] !== null]).toEqual([value, kind.accepts(value)]);
      if (found[at] !== null) expect(found[at]).toBe(String(BigInt(value)));
    }
  });

  it.each<[string, Kind]>([
    ['numeric(6,2)', numeric({ precision: 6, scale: 2 })],
    ['numeric(3)', numeric({ precision: 3 })],
    ['numeric', numeric()],
  ])('%s without rounding; what it refuses is refused or rounded', async (_, kind) => {
    const values = sample(decimal(7, 5));
    const found = await stored(values, kind.columnType);
    for (const [at, value] of values.entries()) {
      const one = found[at] ?? null;
      expect([value, one !== null && isEqual(decimalOf(one), decimalOf(value))]).toEqual([
        value,
        kind.accepts(value),
      ]);
    }
  });

  it('numeric as long as there is', async () => {
    const values = [
      '9'.repeat(131_072),
      `1.${'1'.repeat(16_383)}`,
      '9'.repeat(131_073),
      `1.${'1'.repeat(16_384)}`,
    ];
    expect(values.map((value) => numeric().accepts(value))).toEqual([true, true, false, false]);
    const found = await stored(values, 'numeric');
    expect(found.slice(0, 2)).toEqual(values.slice(0, 2));
    expect(found[2]).toBeNull();
  });

  it('numeric with marks, as the number that it means', async () => {
    const kind = numeric({ precision: 12, scale: 2, decimalMark: ',', thousandsMark: '.' });
    const numbers = sample(fc.integer({ min: -999_999_999, max: 999_999_999 }));
    const written = numbers.map((number) =>
      (number / 100).toLocaleString('de-DE', { minimumFractionDigits: 2 }),
    );
    expect(written.filter((value) => !kind.accepts(value))).toEqual([]);
    const found = await stored(
      written.map((value) => kind.toText?.(value) ?? value),
      kind.columnType,
    );
    expect(found.map((value) => Math.round(Number(value) * 100))).toEqual(
      numbers.map((number) => number + 0),
    );
  });

  it('float64', async () => {
    const kind = float64();
    const values = [
      ...sample(fc.double({ noNaN: true })).map(String),
      ...['1e309', '1e-400', '5e-324', '1.7976931348623157e308', '1.', '.5', '+1e5', '1e', '0e999'],
    ].filter((value) => !value.includes('Infinity'));
    const found = await stored(values, kind.columnType);
    for (const [at, value] of values.entries()) {
      expect([value, found[at] !== null]).toEqual([value, kind.accepts(value)]);
      if (found[at] !== null) expect(Number(found[at])).toBe(Number(value));
    }
  });

  it.each<[string, Kind, string, (one: Record<'year' | 'month' | 'day', number>) => string]>([
    [
      'isoDate',
      isoDate(),
      'YYYY-MM-DD',
      ({ year, month, day }) => `${pad(year, 4)}-${pad(month)}-${pad(day)}`,
    ],
    [
      'DD/MM/YYYY',
      date('DD/MM/YYYY'),
      'DD/MM/YYYY',
      ({ year, month, day }) => `${pad(day)}/${pad(month)}/${pad(year, 4)}`,
    ],
    [
      'YYYYMMDD',
      date('YYYYMMDD'),
      'YYYYMMDD',
      ({ year, month, day }) => `${pad(year, 4)}${pad(month)}${pad(day)}`,
    ],
    ['D.M.YYYY', date('D.M.YYYY'), 'DD.MM.YYYY', ({ year, month, day }) => `${day}.${month}.${pad(year, 4)}`],
  ])('date %s, as to_date reads it', async (_, kind, pattern, write) => {
    const values = sample(fields).map(write);
    const found = await stored(
      values.map((value) => (kind.accepts(value) ? (kind.toText?.(value) ?? value) : 'x')),
      'date',
    );
    const { rows } = await client.query<{ day: string }>(
      'SELECT to_date(value, $2)::text AS day FROM unnest($1::text[]) WITH ORDINALITY AS t(value, n) ORDER BY n',
      [
        values.map((value) => (kind.accepts(value) ? value : write({ year: 2000, month: 1, day: 1 }))),
        pattern,
      ],
    );
    for (const [at, value] of values.entries()) {
      if (kind.accepts(value)) expect([value, found[at]]).toEqual([value, rows[at]?.day]);
      // What is no day is none for PostgreSQL either.
      else
        expect(
          await stored(
            [value.replace(/^(\d+)\.(\d+)\.(\d+)$/, '$3-$2-$1').replace(/^(\d+)\/(\d+)\/(\d+)$/, '$3-$2-$1')],
            'date',
          ),
        ).toEqual([null]);
    }
  });

  it.each<[string, Kind]>([
    ['time', time()],
    ['timestamp', timestamp()],
    ['timestamptz', timestamptz()],
    ['timestamptz of a zone', timestamptz({ zone: 'Asia/Taipei' })],
  ])('%s', async (name, kind) => {
    const offset = name === 'timestamptz' ? '+05:30' : '';
    const values = sample(fields).map(({ year, month, day, hour, minute, second }) => {
      const clock = `${pad(hour)}:${pad(minute)}:${pad(second)}.25`;
      return (name === 'time' ? clock : `${pad(year, 4)}-${pad(month)}-${pad(day)} ${clock}`) + offset;
    });
    const right = values.filter((value) => kind.accepts(value));
    const found = await stored(
      right.map((value) => kind.toText?.(value) ?? value),
      kind.columnType,
    );
    expect(found.filter((value) => value === null)).toEqual([]);
    expect(right.length).toBeGreaterThan(20);
  });

  it('words and lists', async () => {
    const lists = arrayOf(text(), { separator: '|' });
    const values = sample(
      fc.string({
        unit: fc.constantFrom('a', '"', '\\', '|', ' ', '{', '}', ',', 'NULL', '東'),
        maxLength: 12,
      }),
    );
    const { rows } = await client.query<{ list: (string | null)[] }>(
      'SELECT value::text[] AS list FROM unnest($1::text[]) WITH ORDINALITY AS t(value, n) ORDER BY n',
      [values.map((value) => lists.toText?.(value))],
    );
    const plain = (value: string): (string | null)[] => value.split('|').map((one) => one.trim() || null);
    expect(rows.map(({ list }) => list)).toEqual(values.map(plain));
    const id = '550E8400-e29b-41d4-a716-446655440000';
    expect(await stored([id], uuid().columnType)).toEqual([id.toLowerCase()]);
    expect(await stored(['𠮷𠮷', '𠮷𠮷𠮷'], varchar(2).columnType)).toEqual(['𠮷𠮷', null]);
    const documents = arrayOf(jsonb()).inJson;
    const written = documents?.toText?.('[{"a":"\\"x"},[1,2],null]') ?? '';
    const { rows: read } = await client.query<{ list: unknown }>('SELECT to_jsonb($1::jsonb[]) AS list', [
      written,
    ]);
    expect(read[0]?.list).toEqual([{ a: '"x' }, [1, 2], null]);
  });

  it('checks of derived tables hold for what the kind stores, and for nothing else', async () => {
    const kinds: [Kind, string, string][] = [
      [enumOf(["it's", 'b\\']), "it's", 'x'],
      [enumOf(["it's", 'b\\']), 'b\\', 'b'],
      [mapped({ A: 'x', B: 'y' }), 'B', 'B'],
      [int64({ nonNegative: true }), '0', '-1'],
    ];
    for (const [kind, value, wrong] of kinds) {
      const check = kind.check?.('"the value"') ?? '';
      const { rows } = await client.query<{ holds: boolean }>(
        `SELECT ${check} AS holds FROM (VALUES (1, $1::${kind.columnType}), (2, $2::${kind.columnType})) AS t(n, "the value") ORDER BY n`,
        [kind.toText?.(value) ?? value, wrong],
      );
      expect(rows.map(({ holds }) => holds)).toEqual([true, false]);
    }
  });
});

describe('rules across columns', () => {
  it('add, multiply and round as numeric does', async () => {
    const cases = sample(fc.tuple(decimal(12, 6), decimal(12, 6), fc.integer({ min: 0, max: 4 })));
    const { rows } = await client.query<{ sum: string; product: string }>(
      `SELECT (a::numeric + b::numeric)::text AS sum, round(a::numeric * b::numeric, s)::text AS product
       FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY AS t(a, b, s, n) ORDER BY n`,
      [cases.map(([a]) => a), cases.map(([, b]) => b), cases.map(([, , scale]) => scale)],
    );
    for (const [at, [a, b, scale]] of cases.entries()) {
      const both = [decimalOf(a), decimalOf(b)];
      expect([a, b, isEqual(sumOf(both), decimalOf(rows[at]?.sum ?? ''))]).toEqual([a, b, true]);
      expect([a, b, isEqual(rounded(productOf(both), scale), decimalOf(rows[at]?.product ?? ''))]).toEqual([
        a,
        b,
        true,
      ]);
    }
  });

  it('order moments as PostgreSQL does, around changes of the clocks too', async () => {
    const zones = ['Asia/Taipei', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'UTC'];
    const changes = ['2026-03-08', '2026-11-01', '2026-03-29', '2026-10-25', '2026-04-05', '2026-10-04'];
    const local = fc
      .tuple(fc.constantFrom(...changes), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 59 }))
      .map(([day, hour, minute]) => `${day} ${pad(hour)}:${pad(minute)}:30.5`);
    const moments = [
      ...sample(fc.tuple(local, fc.constantFrom(...zones))).map(([time, zone]) => `${time} ${zone}`),
      ...[
        '0001-01-01T00:00Z',
        '9999-12-31 23:59:59.999999-14',
        '2026-09-01T08:30:00+0530',
        '1912-01-01 00:00:00 UTC',
      ],
    ];
    const { rows } = await client.query<{ micros: string }>(
      `SELECT (extract(epoch FROM value::timestamptz) * 1000000)::bigint::text AS micros
       FROM unnest($1::text[]) WITH ORDINALITY AS t(value, n) ORDER BY n`,
      [moments],
    );
    expect(moments.map((moment) => [moment, String((momentOf(moment) ?? 0n) / 1000n)])).toEqual(
      moments.map((moment, at) => [moment, rows[at]?.micros]),
    );
  });
});
