import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { formatRow } from '#datasets/tax-registration/defects.js';
import { generate } from '#datasets/tax-registration/generator.js';
import { readRecords } from '#test/support/oracle-records.js';
import { type Expectation, expectFile, judgeFile } from '#test/support/oracle.js';
import { HAS_PSQL } from '#test/support/has-psql.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { DATE_LINE, HEADER, validBan } from '#test/support/small-file.js';
import { BaselineDatabase } from './baseline-database.js';
import { BARE, BASELINES, CLEANING, type Baseline, prepare } from './baselines.js';
import { type CleanedFile, writeCleaned } from './cleaned-files.js';
import { writePublishedForm } from './extract.js';
import { Psql } from './psql.js';
import { upsertWithPsql } from './upsert.js';

/** Each baseline ends where Sluice ends: the same rows in the same tables, by the word of the oracle. */

const ROWS = 2000;
const HEAD_LINES = 3;

let server: TestDatabase;
let database: BaselineDatabase;
let folder: string;

beforeAll(async () => {
  server = await startTestDatabase();
  database = new BaselineDatabase(server.url);
  folder = mkdtempSync(join(tmpdir(), 'sluice-baselines-'));
});

afterAll(async () => {
  await database.remove();
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function load(baseline: Baseline, rawFile: string, cleaned: readonly CleanedFile[]): Promise<object> {
  const definitions = await prepare(baseline, database);
  await baseline.load({
    psql: new Psql(database.url, folder),
    definitions,
    rawFile,
    cleaned,
    indexing: { connections: 2, maintenanceWorkMem: '32MB' },
  });
  return definitions;
}

async function expectRows(expected: Expectation): Promise<void> {
  await expectTable('public.tax_registration', [...expected.businesses.values()]);
  await expectTable('public.business_industry', [...expected.industries.values()].flat());
}

/** As text, a line a row: Jest compares thousands of objects slowly. */
async function expectTable(table: string, rows: readonly object[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {});
  const found = await database.query(
    `SELECT ${columns.map((name) => `"${name}"::text`).join(', ')} FROM ${table}`,
  );
  const textOf = (row: object): string => JSON.stringify(Object.fromEntries(Object.entries(row).sort()));
  expect(found.map(textOf).sort()).toEqual(rows.map(textOf).sort());
}

/**
 * What no extract of the publisher holds and the rules allow: every oddity and every warning that a CSV file can hold,
 * in a dialect that COPY reads.
 */
function oddFile(): Buffer {
  const source = Buffer.concat([...generate({ rows: ROWS, seed: 5, defectShare: 0.6, repeatShare: 0.01 })]);
  const dataStart = Buffer.byteLength(`${HEADER}\n${DATE_LINE}\n`);
  const cells = [...readRecords(source, dataStart, HEAD_LINES, MAX_RECORD_BYTES)].map(
    (record) => record.cells ?? [],
  );
  const lines = [...judgeFile(source)]
    .filter(({ is }) => is === 'loaded')
    .map(({ record }) => cells[record] ?? [])
    .filter((fields) => !fields.some((field) => NOT_FOR_COPY.test(field)))
    .map((fields) => formatRow([...fields]));
  return Buffer.from([HEADER, DATE_LINE, ...lines, ...ROWS_OF_REPEATED_CODES, ''].join('\n'));
}

/** NUL in any field, and what psql before 18 takes for the end of the file. */
const NOT_FOR_COPY = /\0|(^|\n)\\\.(\n|$)/;
const MAX_RECORD_BYTES = 256 * 1024;

/** Slots of one code, of two, with gaps: the first slot of each counts. A code of ASCII letters has no name. */
const ROWS_OF_REPEATED_CODES = [
  '1111',
  '1211',
  '1221',
  '1212',
  '1233',
  '1131',
  ' 1 1',
  '1 21',
  ' 122',
  'abcd',
].map((codes, number) => {
  const slots = Array.from(codes, (code, slot) => {
    if (code === ' ') return ',';
    return /\d/.test(code) ? `${code},name ${slot + 1}` : `${code},`;
  });
  return `address,${validBan(8_000_000 + number)},,name,0,1090105,獨資,N,${slots.join(',')}`;
});

(HAS_PSQL ? describe : describe.skip)('psql baselines', () => {
  let rawFile: string;
  let cleaned: readonly CleanedFile[];
  let expected: Expectation;

  beforeAll(async () => {
    rawFile = join(folder, 'raw.csv');
    await writePublishedForm(rawFile, { rows: ROWS, seed: 1, date: '02-SEP-26' });
    cleaned = await writeCleaned(rawFile, folder);
    expected = expectFile(readFileSync(rawFile));
  });

  it('get a file without one finding, of exactly N rows, of the wanted day', () => {
    expect(expected).toMatchObject({ counts: { read: ROWS, loaded: ROWS }, findings: {} });
    expect(new Set([...expected.businesses.values()].map((row) => row.data_source_date))).toEqual(
      new Set(['2026-09-02']),
    );
    expect(cleaned.map(({ rows }) => rows)).toEqual([ROWS, [...expected.industries.values()].flat().length]);
  });

  it.each(BASELINES)('$label fills the same tables with the same rows', async (baseline) => {
    const migrated = await load(baseline, rawFile, cleaned);
    await expectRows(expected);
    expect(await database.definitions()).toEqual(migrated);
    const left = await database.query(
      `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
       AND (relname NOT IN ('tax_registration', 'business_industry') OR relpersistence <> 'p' OR reltuples <= 0)`,
    );
    expect(left).toEqual([]);
  });

  it('psql-cleaning follows every rule of the dataset that a loaded record can meet', async () => {
    const odd = join(folder, 'odd.csv');
    const file = oddFile();
    writeFileSync(odd, file);
    const wanted = expectFile(file);
    expect(wanted.counts.refused).toBe(0);
    expect(Object.keys(wanted.findings).sort()).toEqual([
      'BAD_CAPITAL',
      'BAD_DATE',
      'BAD_INVOICE_FLAG',
      'INVALID_BAN_CHECKSUM',
      'INVALID_HQ_BAN',
      'ORPHAN_INDUSTRY',
    ]);
    await load(CLEANING, odd, cleaned);
    await expectRows(wanted);
  });

  it('psql-upsert updates, adds and takes away what differs, leaves the rest, and overwrites nothing newer', async () => {
    // As the day before: other names and industries in some rows, and a tenth of the rows not there yet.
    const before = readFileSync(rawFile, 'utf8')
      .replace('02-SEP-26', '01-SEP-26')
      .replaceAll(',471913,', ',999999,')
      .replaceAll('菸酒零售', '菸酒')
      .replaceAll('商行"', '行"')
      .split('\n')
      .slice(0, 0.9 * ROWS);
    const firstFile = join(folder, 'first.csv');
    writeFileSync(firstFile, `${before.join('\n')}\n`);
    const first = await writeCleaned(firstFile, mkdtempSync(join(folder, 'first-')));
    await load(BARE, firstFile, first);
    const [kept] = await database.query<{ id: string }>(
      `SELECT id FROM public.business_industry WHERE industry_code = '472913' LIMIT 1`,
    );

    const psql = new Psql(database.url, folder);
    await upsertWithPsql(psql, cleaned, '64MB');
    await expectRows(expected);
    expect(
      await database.query(`SELECT FROM public.business_industry WHERE id = ${kept?.id ?? ''}`),
    ).toHaveLength(1);

    await upsertWithPsql(psql, first, '64MB');
    await expectRows(expected);
  });

  it('fail at the first error, with what psql says', async () => {
    await prepare(CLEANING, database);
    const script = 'SELECT 1;\nSELECT no_such_column;\nCREATE TABLE never_made ();';
    await expect(new Psql(database.url, folder).run('wrong', script)).rejects.toThrow(/no_such_column/);
    expect(await database.query(`SELECT FROM pg_class WHERE relname = 'never_made'`)).toEqual([]);
  });
});
