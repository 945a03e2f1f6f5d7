import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Generate } from '#core/dataset/generate.js';
import { type DatasetRegistry, type RegisteredDataset, loadRegistry } from '#core/dataset/registry.js';
import { MAX_MESSAGE_BYTES } from '#core/message/topics.js';
import { planTables } from '#core/record/compile-contract.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { answerTo, readFixtures } from '#test/support/dataset-fixtures.js';
import { judgeWhole } from '#test/support/judge-file.js';

/**
 * What every dataset folder must be, whoever adds it: the folders are read from disk, no list names them.
 * `docs/add-a-dataset.md` says the same in prose.
 */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const OWN = fileURLToPath(new URL('.', import.meta.url));
const OTHERS = join(ROOT, 'test/fixtures/datasets');

async function foldersBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(root, name));
}

const folders = [...(await foldersBelow(OWN)), ...(await foldersBelow(OTHERS))];

/** Codes that the way gives and no contract: too large a record, repeats, PostgreSQL's own refusals. */
const CODES_OF_LATER_STAGES = ['RECORD_TOO_LARGE', 'DUPLICATE', 'REFUSED_BY_DATABASE'];
/** A batch may end with a record of the largest size, and headers need room, too. */
const MAX_RAW_BYTES = DEFAULT_CUTTING.maxBatchBytes + DEFAULT_CUTTING.maxRecordBytes;
const HEADER_BYTES = 64 * 1024;

let registry: DatasetRegistry;

beforeAll(async () => {
  registry = await loadRegistry([OTHERS]);
});

it('the registry holds the folders that are on disk, and only those', () => {
  expect(
    registry
      .entries()
      .map(({ folder }) => folder)
      .sort(),
  ).toEqual(folders.toSorted());
  expect(folders.length).toBeGreaterThanOrEqual(2);
});

describe.each(folders.map((folder) => ({ name: relative(ROOT, folder), folder })))('$name', ({ folder }) => {
  let entry: RegisteredDataset;
  let readme: string;

  beforeAll(async () => {
    const found = registry.entries().find((one) => one.folder === folder);
    if (!found) throw new TypeError(`${folder} is not in the registry.`);
    entry = found;
    readme = (await readFile(join(folder, 'README.md'))).toString();
  });

  const sourceFiles = async (): Promise<string[]> => {
    const files = await readdir(folder);
    return Promise.all(
      files
        .filter((file) => file.endsWith('.ts'))
        .map(async (file) => (await readFile(join(folder, file))).toString()),
    );
  };

  it('has the same file set as every other', () => {
    const { name, dataset } = entry;
    const wanted = [
      'README.md',
      'dataset.ts',
      'contract.ts',
      'prologue.ts',
      'prologue.spec.ts',
      'generator.ts',
      `${name}.spec.ts`,
      'migrations',
      `fixtures/input.${dataset.format}`,
      'fixtures/expected-clean.json',
      'fixtures/expected-dead-letters.json',
    ];
    expect(wanted.filter((file) => !existsSync(join(folder, file)))).toEqual([]);
  });

  it('has a README of numbered sections, and every section that its code cites', async () => {
    expect(readme).toMatch(new RegExp(`^# ${entry.name}\n`));
    const sections = [...readme.matchAll(/^## (\d+)\. \S/gm)].map(([, number]) => Number(number));
    expect(sections).toEqual(sections.map((_, index) => index + 1));
    const cited = (await sourceFiles()).flatMap((source) => citedSections(source));
    expect(cited.length).toBeGreaterThan(0);
    expect(cited.filter((section) => !hasSection(readme, section))).toEqual([]);
  });

  it('turns its fixtures into what it says it does', async () => {
    const { input, clean, deadLetters } = await readFixtures(entry.dataset, folder);
    const answer = answerTo(entry.dataset, input);
    expect(answer.clean).toEqual(clean);
    expect(answer.deadLetters).toEqual(deadLetters);
    for (const { byteStart, byteEnd, bytes } of answer.judged.refused) {
      expect(bytes.equals(input.subarray(byteStart, byteEnd))).toBe(true);
    }
  });

  it('has a fixture for each finding that its README lists, and lists each that it gives', async () => {
    const { clean } = await readFixtures(entry.dataset, folder);
    const listed = [...readme.matchAll(/^\| `([A-Z][A-Z_]+)`/gm)].map(([, code]) => code);
    const fromContract = listed.filter((code) => !CODES_OF_LATER_STAGES.includes(code ?? ''));
    expect(Object.keys(clean.findings).sort()).toEqual(fromContract.sort());
  });

  it('names all its tables and columns in its migrations', async () => {
    const files = (await readdir(join(folder, 'migrations'))).map((file) =>
      readFile(join(folder, 'migrations', file)),
    );
    const sql = Buffer.concat(await Promise.all(files)).toString();
    for (const { table, columns } of planTables(entry.dataset)) {
      const [, body = ''] =
        new RegExp(`CREATE TABLE (?:public\\.)?${table} \\((.*?)\\n\\);`, 's').exec(sql) ?? [];
      // A column may come with a later migration; whether all of them are there is asked of PostgreSQL (medium spec).
      const added = (column: string): boolean =>
        new RegExp(
          `ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(?:public\\.)?"?${table}"?\\s[^;]*?ADD (?:COLUMN )?(?:IF NOT EXISTS )?"?${column}"?\\s`,
          'is',
        ).test(sql);
      const missing = columns.filter(
        (column) => !new RegExp(`^ +"?${column}"? `, 'm').test(body) && !added(column),
      );
      expect({ table, missing }).toEqual({ table, missing: [] });
    }
  });

  it('generates what its prologue accepts, the same for the same seed, and never so much that a clean batch bursts its message', async () => {
    const { generate } = (await import(join(folder, 'generator.ts'))) as { generate: Generate };
    const options = { rows: 1500, seed: 20, defectShare: 0.2, repeatShare: 0.05 };
    const file = Buffer.concat([...generate(options)]);
    expect(file.equals(Buffer.concat([...generate(options)]))).toBe(true);
    // One record a batch: the worst record, not the average.
    const judged = judgeWhole(entry.dataset, file, { maxBatchBytes: 1 });
    expect(judged.counts.records).toBe(options.rows);
    expect(judged.batches).toBe(options.rows);
    expect(judged.expansion * MAX_RAW_BYTES).toBeLessThan(MAX_MESSAGE_BYTES - HEADER_BYTES);
  });
});

describe('no stage knows a dataset', () => {
  const rooms = ['apps', 'libs/common/src', 'libs/core/src'];

  it.each(rooms)('%s names none of them, nor their tables', async (room) => {
    const words = registry.entries().flatMap(({ name, tables }) => [name, ...tables]);
    const found: string[] = [];
    for (const file of await readdir(join(ROOT, room), { recursive: true })) {
      if (!file.endsWith('.ts') || file.endsWith('spec.ts')) continue;
      const source = (await readFile(join(ROOT, room, file))).toString();
      found.push(...words.filter((word) => source.includes(word)).map((word) => `${room}/${file}: ${word}`));
    }
    expect(found).toEqual([]);
  });
});

/** `README section 4.6`, `README sections 2, 4 and 7.1` → 4.6, 2, 4, 7.1; `4 to 6` → 4, 5, 6. */
function citedSections(source: string): string[] {
  const text = source.replace(/\n\s*(\*|\/\/) /g, ' ');
  return [...text.matchAll(/README sections? ((?:\d+(?:\.\d+)?(?:, | and | to )?)+)/g)].flatMap(
    ([, list = '']) => {
      const [from, to] = list.split(' to ').map(Number);
      if (from !== undefined && to !== undefined)
        return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
      return list.split(/, | and /).filter((section) => section !== '');
    },
  );
}

function hasSection(readme: string, section: string): boolean {
  const [number, item] = section.split('.');
  const [, body] = new RegExp(`^## ${number}\\. .*?\\n(.*?)(?=^## |(?![^]))`, 'ms').exec(readme) ?? [];
  return body !== undefined && (item === undefined || new RegExp(`^${item}\\. `, 'm').test(body));
}
