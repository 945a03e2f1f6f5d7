/**
 * Random contracts of every kind, option and rule of the language: the compiled contract says of random records what
 * class-validator says of the class, and stores the same. As `compile-contract.property.spec.ts`, whose contracts are fixed.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'csv-parse/sync';
import { cutChunks } from '#test/support/record/cutting.js';
import { judgeAndListen } from '#test/support/record/judging.js';
import { judgePlainly, type PlainRecord } from '#test/support/record/plain-judge.js';
import {
  Column,
  type ColumnOptions,
  Constant,
  contractMetadata,
  Provenance,
  sourcesOfOrigin,
  Table,
} from '../dataset/columns.js';
import type { ContractClass } from '../dataset/dataset.js';
import {
  arrayOf,
  date,
  enumOf,
  flag,
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
} from '../dataset/kinds.js';
import { defineRecordRule, NotAfter, NotBefore, ProductOf, SumOf } from '../dataset/record-rules.js';
import { PairedWith } from '../dataset/rules.js';
import { cleanString } from './cleaning.js';
import { provenanceContext } from './compile/constants.js';

/** Each kind with values of it; values of the others are wrong ones. */
const KINDS: readonly (readonly [Kind, readonly string[]])[] = [
  [text(), ['a', 'b c', '東']],
  [varchar(3), ['abc', '𠮷𠮷𠮷', 'abcd']],
  [int16(), ['1', '32767']],
  [int32({ nonNegative: true }), ['2', '2147483647', '-1']],
  [int64({ thousandsMark: '.' }), ['3', '1.234', '1.23.4']],
  [int64({ removeCommas: true }), ['1,2,3']],
  [numeric(), ['1.50', '3', '.5', '6']],
  [numeric({ precision: 6, scale: 2 }), ['1.50', '1.005', '2', '4.50']],
  [numeric({ decimalMark: ',', thousandsMark: '.' }), ['1.234,50', '4,5', '3']],
  [float64(), ['1e3', '-.5', '1e999']],
  [flag({ true: ['Y'], false: ['N'] }), ['Y', 'N']],
  [isoDate(), ['2026-09-01', '2024-02-30', '2026-09-02']],
  [date('D.M.YY'), ['1.9.26', '2.9.26', '31.2.26']],
  [date('YYYYMMDD'), ['20260901', '20260902']],
  [time(), ['08:30', '23:59:59.5']],
  [timestamp(), ['2026-09-01 08:30:00', '2026-09-01T08:30']],
  [timestamp('DD/MM/YYYY hh:mm A'), ['01/09/2026 08:30 PM', '01/09/2026 08:30 AM']],
  [timestamptz(), ['2026-09-01T08:30:00Z', '2026-09-01T08:30:00+08']],
  [timestamptz({ zone: 'Asia/Taipei' }), ['2026-09-01 16:30', '2026-09-01 16:31']],
  [timestamptz({ pattern: 'YYYY-MM-DD HH:mm Z' }), ['2026-09-01 08:30 +01:00']],
  [uuid(), ['550e8400-e29b-41d4-a716-446655440000']],
  [enumOf(['new', 'old']), ['new', 'old']],
  [mapped({ A: 'active', X: 'cl"o\\sed' }), ['A', 'X']],
  [jsonb(), ['{"a":1}', '[1]']],
  [arrayOf(int32(), { separator: '|' }), ['1|2', '1| |', '1|x']],
  [arrayOf(text(), { separator: '; ' }), ['a; b', '"; \\']],
];

const FIELDS = ['f0', 'f1', 'f2', 'f3'];
/** No file has it. */
const ABSENT = 'f9';

const Longer = defineRecordRule({
  name: 'longer',
  accepts: (value, others) => others.every((other) => value.length >= other.length),
  message: 'must not be shorter',
});

interface ColumnChoice {
  readonly kind: number;
  readonly options: ColumnOptions;
  readonly field: string;
  readonly sources: readonly string[] | null;
  readonly rule: 'sum' | 'product' | 'before' | 'after' | 'paired' | 'longer' | null;
  readonly other: number;
  readonly severity: 'error' | 'warning';
}

const columnChoice: fc.Arbitrary<ColumnChoice> = fc.record({
  kind: fc.nat(KINDS.length - 1),
  options: fc.record(
    {
      required: fc.constantFrom(true, { code: 'NEEDED', severity: 'warning' as const }),
      trim: fc.boolean(),
      nullTokens: fc.constantFrom(['-'], [''], ['3', 'a']),
      ifNull: fc.constantFrom(null, 'x'),
      ifInvalid: fc.constantFrom(
        { code: 'BAD' },
        { severity: 'warning' as const, otherwise: null },
        { severity: 'warning' as const },
      ),
      join: fc.constantFrom('', ' ', 'T'),
    },
    { requiredKeys: [] },
  ),
  field: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...FIELDS) }, fc.constant(ABSENT)),
  sources: fc.option(fc.array(fc.constantFrom(...FIELDS), { minLength: 1, maxLength: 3 }), { freq: 4 }),
  rule: fc.option(fc.constantFrom('sum', 'product', 'before', 'after', 'paired', 'longer')),
  other: fc.nat(5),
  severity: fc.constantFrom('error', 'warning'),
});

const NUMBERS = /^(smallint|integer|bigint|numeric(\(\d+,\d+\))?)$/;
const TIMES = /^(date|time|timestamp|timestamptz)$/;

/** Decorators of a property are applied from the bottom: `@Column` stands above the rule. */
function contractOf(choices: readonly ColumnChoice[], isJson: boolean): ContractClass {
  class Random {}
  const { prototype } = Random;
  choices.forEach(({ kind: number, options, field, sources, rule, other, severity }, at) => {
    const [kind] = KINDS[number]!;
    const property = `p${at}`;
    const use = { code: `ACROSS_${at}`, severity };
    const partner = other % choices.length;
    const partnerType = KINDS[choices[partner]!.kind]![0].columnType;
    const types = [kind.columnType, partnerType];
    const areNumbers = types.every((type) => NUMBERS.test(type));
    const areTimes = types.every((type) => TIMES.test(type) && type === types[0]);
    if (rule === 'sum' && areNumbers) SumOf([`p${partner}`, `p${partner}`], use)(prototype, property);
    if (rule === 'product' && areNumbers)
      ProductOf([`p${partner}`, `p${partner}`], { ...use, scale: 1 })(prototype, property);
    if (rule === 'before' && areTimes) NotBefore(`p${partner}`, use)(prototype, property);
    if (rule === 'after' && areTimes) NotAfter(`p${partner}`, use)(prototype, property);
    if (rule === 'longer') Longer([`p${partner}`], use)(prototype, property);
    if (rule === 'paired') PairedWith(`p${partner}`, use)(prototype, property);
    const { join, ...rest } = options;
    const readsJson = (isJson ? (kind.inJson ?? kind) : kind).reads === 'json';
    const joins = sources !== null && !readsJson;
    Column({
      ...rest,
      kind,
      ...(joins ? { sources, ...(join === undefined ? {} : { join }) } : { source: field }),
      ...(field === ABSENT ? { optional: true } : {}),
    })(prototype, property);
  });
  Constant('EUR')(prototype, 'currency');
  Provenance('line')(prototype, 'line');
  Provenance('job')(prototype, 'job');
  Table({ name: 'random', key: ['p0'], cleaning: { nullTokens: ['', 'NULL'] } })(Random);
  return Random;
}

const INPUTS = {
  context: provenanceContext({
    source: 'file:///a',
    job: '550e8400-e29b-41d4-a716-446655440000',
    startedAt: '2026-09-01T08:30:00Z',
  }),
  options: {},
};

const cutting = { maxBatchBytes: 300, maxBatchRecords: 5, maxRecordBytes: 100_000, limitRecords: null };
const CLEANING = { nullTokens: ['', 'NULL'] };

/** Values for a field: right ones of the columns that read it, mostly, and others. */
const valueFor = (choices: readonly ColumnChoice[], name: string): fc.Arbitrary<string> => {
  const readers = choices.filter(({ field, sources }) => (sources ?? [field]).includes(name));
  const right = readers.flatMap(({ kind }) => KINDS[kind]![1]);
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...(right.length === 0 ? ['a'] : right)) },
    { weight: 2, arbitrary: fc.constantFrom('', 'NULL', '-', ' ', '　', 'a\0b', '\0', '-\0', 'q"q', ' 3 ') },
    { weight: 1, arbitrary: fc.constantFrom(...KINDS.flatMap(([, values]) => values)) },
  );
};

const contracts = fc.array(columnChoice, { minLength: 1, maxLength: 4 });

function usedFields(contract: ContractClass): ReadonlySet<string> {
  return new Set(contractMetadata(contract).columns.flatMap(({ origin }) => sourcesOfOrigin(origin)));
}

describe('a random contract and class-validator on its class', () => {
  it('say and store the same of CSV records, whose fields csv-parse reads', () => {
    const seen = { accepted: 0, refused: 0, skipped: 0 };
    let tried = 0;
    let across = 0;
    fc.assert(
      fc.property(
        contracts.chain((choices) =>
          fc.tuple(
            fc.constant(choices),
            fc.array(
              fc.oneof(
                { weight: 9, arbitrary: fc.tuple(...FIELDS.map((name) => valueFor(choices, name))) },
                fc.constant(FIELDS.map(() => ' ')),
              ),
              { maxLength: 8 },
            ),
          ),
        ),
        ([choices, rows]) => {
          tried += 1;
          const contract = contractOf(choices, false);
          const file = rows.map(
            (row) => `${row.map((field) => `"${field.replaceAll('"', '""')}"`).join(',')}\n`,
          );
          const used = usedFields(contract);
          const expected = parse(file.join('')).map((fields: string[], at) => {
            const read = (name: string): string | undefined => fields[FIELDS.indexOf(name)];
            const record: PlainRecord = {
              ...{ read, nameOf: (name) => name, line: at + 1, places: () => [] },
              isBlank: fields.every((field) => cleanString(field, CLEANING) === null),
              texts: FIELDS.filter((name) => used.has(name)).map((name) => ({ name, value: read(name) })),
            };
            return judgePlainly(contract, record, INPUTS);
          });
          for (const { verdict, findings } of expected) {
            seen[verdict] += 1;
            across += findings.filter(({ code }) => code.startsWith('ACROSS')).length;
          }
          const batches = cutChunks([Buffer.from(file.join(''))], { ...cutting, format: 'csv' });
          const dataset = { name: 'random', contract, format: 'csv' } as const;
          expect(judgeAndListen(dataset, FIELDS, INPUTS, batches)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
    expect(Math.min(...Object.values(seen), across) / tried).toBeGreaterThan(0.06);
  });

  it('say and store the same of NDJSON records', () => {
    const seen = { accepted: 0, refused: 0, skipped: 0 };
    let tried = 0;
    fc.assert(
      fc.property(
        contracts.chain((choices) => {
          const memberOf = (name: string): fc.Arbitrary<unknown> =>
            fc.oneof(
              { weight: 9, arbitrary: valueFor(choices, name).map((given) => given.replaceAll('\0', '')) },
              fc.constantFrom<unknown>(
                null,
                1,
                4.5,
                1.234,
                1e21,
                true,
                {},
                [],
                ['a', null, ' b '],
                [1, 2],
                [[1]],
              ),
            );
          const record = fc.oneof(
            {
              weight: 9,
              arbitrary: fc.record(Object.fromEntries(FIELDS.map((name) => [name, memberOf(name)])), {
                requiredKeys: [],
              }),
            },
            fc.constant({ f0: ' ' }),
          );
          return fc.tuple(fc.constant(choices), fc.array(record, { maxLength: 8 }));
        }),
        ([choices, records]) => {
          tried += 1;
          const contract = contractOf(choices, true);
          const lines = records.map((record) => `${JSON.stringify(record)}\n`);
          const expected = lines.map((line, at) => {
            const given = JSON.parse(line) as Record<string, unknown>;
            const record: PlainRecord = {
              ...{
                read: (name) => given[name],
                nameOf: (name) => name,
                line: at + 1,
                places: () => [],
                texts: [],
              },
              isBlank: Object.values(given).every(
                (value) =>
                  value === null ||
                  (typeof value === 'string' && cleanString(value, CLEANING) === null) ||
                  (typeof value === 'object' && Object.keys(value).length === 0),
              ),
            };
            return judgePlainly(contract, record, { ...INPUTS, isJson: true });
          });
          for (const { verdict } of expected) seen[verdict] += 1;
          const batches = cutChunks([Buffer.from(lines.join(''))], { ...cutting, format: 'ndjson' });
          const dataset = { name: 'random', contract, format: 'ndjson' } as const;
          expect(judgeAndListen(dataset, [], INPUTS, batches)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
    expect(Math.min(...Object.values(seen)) / tried).toBeGreaterThan(0.06);
  });
});
