import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { format, resolveConfig } from 'prettier';
import { judgeWhole } from '#core/conformance/judge-file.js';
import { encoderOf } from '#core/derive/encode-text.js';
import { createTablesSql } from '#core/derive/table-sql.js';
import { importProposed, proposed } from '#test/support/proposed-dataset.js';
import { RunFolder } from '#test/support/run-folder.js';

/** Values of columns. A key precedes them; a number follows, which distinguishes a header from a record. */
const COLUMNS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  words: fc.constantFrom('red', 'Green house', 'a'.repeat(150), 'x, y; z', 'say "hi"', "it's", 'C:\\new'),
  foreign: fc.constantFrom('Müller', 'Schön', 'Größe'),
  whole: fc.integer({ min: -999_999, max: 999_999 }).map(String),
  zeros: fc.nat(9999).map((n) => String(n).padStart(6, '0')),
  huge: fc.bigInt({ min: 10n ** 20n, max: 10n ** 30n }).map(String),
  decimals: fc.integer({ min: -99_999, max: 99_999 }).map((n) => (n / 100).toFixed(2)),
  germanDecimals: fc.integer({ min: 1000, max: 999_999 }).map((n) => {
    const [whole = '', part = ''] = (n / 100).toFixed(2).split('.');
    return `${whole.replace(/\B(?=(\d{3})+$)/g, '.')},${part}`;
  }),
  dates: fc.integer({ min: 0, max: 20_000 }).map(dateOf),
  germanDates: fc.integer({ min: 0, max: 20_000 }).map((day) => dateOf(day).split('-').reverse().join('.')),
  britishDates: fc.integer({ min: 0, max: 20_000 }).map((day) => dateOf(day).split('-').reverse().join('/')),
  compactDates: fc.integer({ min: 0, max: 20_000 }).map((day) => dateOf(day).replaceAll('-', '')),
  moments: fc.integer({ min: 0, max: 20_000 }).map((day) => `${dateOf(day)}T12:30:00Z`),
  localMoments: fc.integer({ min: 0, max: 20_000 }).map((day) => `${dateOf(day)} 12:30:05`),
  times: fc
    .nat(1439)
    .map((n) => `${String(Math.floor(n / 60)).padStart(2, '0')}:${String(n % 60).padStart(2, '0')}`),
  flags: fc.constantFrom('Y', 'N'),
  truths: fc.constantFrom('true', 'false'),
  codes: fc.constantFrom('DE', 'NA', 'FR', 'TW'),
  uuids: fc.uuid(),
  mixed: fc.constantFrom('1', '2026-01-01', '4,5'),
  nothing: fc.constantFrom('', 'NULL'),
};

function dateOf(day: number): string {
  return new Date(Date.UTC(1970, 0, 1) + day * 86_400_000).toISOString().slice(0, 10);
}

const DIALECTS = [
  { delimiter: ',', quote: '"', end: '\n' },
  { delimiter: ';', quote: '"', end: '\r\n' },
  { delimiter: '\t', quote: '"', end: '\n' },
  { delimiter: '|', quote: '"', end: '\n' },
  { delimiter: ';', quote: "'", end: '\n' },
];

const ENCODINGS = ['utf-8', 'utf-16le', 'windows-1252'];

const table = fc.subarray(Object.keys(COLUMNS), { minLength: 1 }).chain((names) =>
  fc.record({
    names: fc.constant(names),
    rows: fc.array(
      fc.tuple(
        ...names.map((name) =>
          fc.oneof(
            { arbitrary: COLUMNS[name] ?? fc.constant(''), weight: 6 },
            { arbitrary: fc.constant(''), weight: 1 },
          ),
        ),
      ),
      { minLength: 3, maxLength: 40 },
    ),
    dialect: fc.constantFrom(...DIALECTS),
    encoding: fc.constantFrom(...ENCODINGS),
    hasHeader: fc.boolean(),
  }),
);

describe('sluice new dataset', () => {
  let folder: RunFolder;
  let count = 0;

  beforeAll(() => {
    folder = new RunFolder('proposals');
  });
  afterAll(async () => {
    await folder.remove();
  });

  const nextFolder = (): string => join(folder.path, `things-${count++}`);

  async function formattedAsWritten(files: Readonly<Record<string, string>>): Promise<void> {
    const options = await resolveConfig(join(process.cwd(), 'package.json'));
    for (const [file, content] of Object.entries(files))
      expect(await format(content, { ...options, filepath: file })).toBe(content);
  }

  it('writes a contract that accepts every record of the sample, for CSV', async () => {
    await fc.assert(
      fc.asyncProperty(table, async ({ names, rows, dialect, encoding, hasHeader }) => {
        const { delimiter, quote, end } = dialect;
        const field = (text: string): string =>
          quote === "'" || [delimiter, quote, '\n'].some((mark) => text.includes(mark))
            ? quote + text.replaceAll(quote, quote + quote) + quote
            : text;
        const lines = rows.map((row, at) => [`K${at + 1}`, ...row, String(at + 1)]);
        const text = [...(hasHeader ? [['Key No.', ...names, 'Serial']] : []), ...lines]
          .map((line) => line.map(field).join(delimiter) + end)
          .join('');
        const sample = encoderOf(encoding)((encoding === 'utf-16le' ? '\ufeff' : '') + text);
        const made = proposed(sample);
        const dataset = await importProposed(made, nextFolder());
        const judged = judgeWhole(dataset, sample);
        expect(judged.refused).toEqual([]);
        expect(judged.counts).toMatchObject({ accepted: rows.length, refused: 0, warnings: 0 });
        expect(made.proposal.key).toHaveLength(1);
        expect(createTablesSql(dataset)).toContain('CREATE TABLE public.thing (');
        await formattedAsWritten(made.files);
      }),
      { numRuns: 30 },
    );
  });

  const scalar = fc.oneof(
    fc.constantFrom(
      '1',
      '-2',
      '2.0',
      '1.50',
      '1e3',
      '-0',
      '12345678901234567890',
      '0.1E-7',
      'true',
      'false',
      'null',
    ),
    fc.constantFrom('"red"', '"007"', '"2026-01-01"', '"4.5"', '"Müller"', '"a\\"b"', '""'),
  );
  const list = fc.array(scalar, { maxLength: 3 }).map((items) => `[${items.join(',')}]`);
  const names = fc.constantFrom(
    'a',
    'b',
    'total',
    'line items',
    'constructor',
    '__proto__',
    '中文',
    'position',
    'n'.repeat(200),
  );
  const object = (member: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc.uniqueArray(fc.tuple(names, member), { selector: ([name]) => name, maxLength: 5 }).map(jsonOf);
  const objects = (member: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc.array(object(member), { maxLength: 3 }).map((items) => `[${items.join(',')}]`);
  const member = fc.oneof(scalar, list, object(scalar), objects(fc.oneof(scalar, objects(scalar))));

  it('writes a contract that accepts every record of the sample, for NDJSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(object(member), { minLength: 1, maxLength: 25 }), async (records) => {
        const sample = Buffer.from(records.map((record, at) => `${withId(record, at)}\n`).join(''));
        const made = proposed(sample, { key: ['id'] });
        const dataset = await importProposed(made, nextFolder());
        const judged = judgeWhole(dataset, sample);
        expect(judged.refused).toEqual([]);
        expect(judged.counts).toMatchObject({ accepted: records.length, refused: 0 });
        expect(createTablesSql(dataset)).toContain('CREATE TABLE public.thing (');
        await formattedAsWritten(made.files);
      }),
      { numRuns: 80 },
    );
  });
});

function jsonOf(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

function withId(record: string, at: number): string {
  return record === '{}' ? `{"id":${at}}` : `{"id":${at},${record.slice(1)}`;
}
