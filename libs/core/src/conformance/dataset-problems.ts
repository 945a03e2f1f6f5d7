/**
 * What every dataset must be, no matter who writes it and where its folder is: asked by `sluice dataset test`, and
 * of every folder of the repository by a spec.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '#common/errors/sluice-error.js';
import type { Generate } from '../dataset/generate.js';
import { describeDataset } from '../derive/describe.js';
import { DEFAULT_CODE } from '../dataset/rules.js';
import { GENERAL_FINDING_CODES } from '../finding/finding.js';
import { MAX_MESSAGE_BYTES } from '../message/topics.js';
import { DEFAULT_CUTTING } from '../record/raw-batch.js';
import type { RegisteredDataset } from '../registry/registry.js';
import { answerTo, readFixtures } from './fixtures.js';
import { generatorOf } from './generator-of.js';
import { judgeWhole } from './judge-file.js';

/** One thing that was asked. */
export interface Check {
  readonly name: string;
  /** Empty where all is well. */
  readonly problems: readonly string[];
  /** Why it was not asked: the folder has not what it is about. */
  readonly leftOut?: string;
}

/** A batch may end with a record of the largest size, and headers need room, too. */
const MAX_RAW_BYTES = DEFAULT_CUTTING.maxBatchBytes + DEFAULT_CUTTING.maxRecordBytes;
const HEADER_BYTES = 64 * 1024;
const GENERATED = { rows: 1500, seed: 20, defectShare: 0.2, repeatShare: 0.05 };
const MAX_SHOWN_PROBLEMS = 10;

/** All checks that need no database. */
export async function datasetChecks(entry: RegisteredDataset): Promise<Check[]> {
  return [await readmeCheck(entry), await fixturesCheck(entry), await generatorCheck(entry)];
}

/** A README, where there is one, has numbered sections, all that the code cites, and says what findings there are. */
async function readmeCheck({ name, folder, dataset }: RegisteredDataset): Promise<Check> {
  const check = 'README: numbered sections, all that the code cites, every finding';
  const file = join(folder, 'README.md');
  if (!existsSync(file)) return { name: check, problems: [], leftOut: 'there is no README.md' };
  const readme = (await readFile(file)).toString();
  const problems: string[] = [];
  if (!readme.startsWith(`# ${name}\n`)) problems.push(`its first line is not "# ${name}"`);
  const sections = [...readme.matchAll(/^## (\d+)\. \S/gm)].map(([, number]) => Number(number));
  if (sections.some((section, at) => section !== at + 1))
    problems.push(`its sections are ${sections.join(', ')}`);
  const cited = (await sourceFiles(folder)).flatMap(citedSections);
  for (const section of cited)
    if (!hasSection(readme, section)) problems.push(`the code cites section ${section}, which it has not`);
  const listed = new Set([...readme.matchAll(/^\| `([A-Z][A-Z0-9_]+)`/gm)].map(([, code]) => code));
  if (listed.size > 0) {
    const given = describeDataset(dataset).findings.map(({ code }) => code);
    const general = Object.keys(GENERAL_FINDING_CODES);
    // Any kind that has no code of its own gives the default one.
    const own = given.filter((code) => !general.includes(code) && code !== DEFAULT_CODE);
    for (const code of own) if (!listed.has(code)) problems.push(`it does not list ${code}`);
    for (const code of listed) {
      if (code !== undefined && !given.includes(code) && !general.includes(code))
        problems.push(`it lists ${code}, which the contract does not give`);
    }
  }
  return { name: check, problems };
}

/** Fixtures, where there are any, become what is written down. */
async function fixturesCheck({ dataset, folder }: RegisteredDataset): Promise<Check> {
  const check = 'fixtures: rows, counts and dead letters as expected';
  const input = join(folder, 'fixtures', `input.${dataset.format}`);
  if (!existsSync(input))
    return { name: check, problems: [], leftOut: `there is no fixtures/input.${dataset.format}` };
  const missing = ['expected-clean.json', 'expected-dead-letters.json'].filter(
    (file) => !existsSync(join(folder, 'fixtures', file)),
  );
  if (missing.length > 0)
    return {
      name: check,
      problems: missing.map((file) => `fixtures/${file} is missing (--write writes it, to be read)`),
    };
  const fixtures = await readFixtures(dataset, folder);
  const answer = answerTo(dataset, fixtures.input);
  const problems: string[] = [];
  compare('counts', fixtures.clean.counts, answer.clean.counts, problems);
  compare('findings', fixtures.clean.findings, answer.clean.findings, problems);
  for (const table of Object.keys(answer.clean.tables))
    compareLists(
      `table ${table}, row`,
      fixtures.clean.tables[table] ?? [],
      answer.clean.tables[table] ?? [],
      problems,
    );
  compareLists('dead letter', fixtures.deadLetters, answer.deadLetters, problems);
  return { name: check, problems };
}

/** A generator, its own or one that is derived, makes what the contract reads: the same for a seed, and never too large. */
async function generatorCheck(entry: RegisteredDataset): Promise<Check> {
  const { dataset } = entry;
  const check = 'generator: same seed, same bytes; as many records as asked; clean batches fit their message';
  let generate: Generate;
  try {
    generate = await generatorOf(entry);
  } catch (error) {
    return { name: check, problems: [], leftOut: messageOf(error) };
  }
  const file = Buffer.concat([...generate(GENERATED)]);
  const problems: string[] = [];
  if (!file.equals(Buffer.concat([...generate(GENERATED)]))) problems.push('the same seed gives other bytes');
  // One record a batch: the worst record, not the average.
  const judged = judgeWhole(dataset, file, { maxBatchBytes: 1 });
  if (judged.counts.records !== GENERATED.rows)
    problems.push(`${GENERATED.rows} records were asked for, and ${judged.counts.records} are read`);
  if (judged.counts.refused >= GENERATED.rows / 2)
    problems.push(
      `${judged.counts.refused} of ${GENERATED.rows} records are refused: ${JSON.stringify(judged.findings)}`,
    );
  if (judged.expansion * MAX_RAW_BYTES > MAX_MESSAGE_BYTES - HEADER_BYTES)
    problems.push(`a record becomes ${judged.expansion.toFixed(1)} times as large as COPY text`);
  return { name: check, problems };
}

async function sourceFiles(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).filter((file) => /\.(ts|js)$/.test(file) && !file.endsWith('.d.ts'));
  return Promise.all(files.map(async (file) => (await readFile(join(folder, file))).toString()));
}

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

function compareLists(
  what: string,
  expected: readonly unknown[],
  found: readonly unknown[],
  problems: string[],
): void {
  if (expected.length !== found.length)
    problems.push(`${what}s: ${expected.length} expected, ${found.length} found`);
  for (const [at, one] of found.entries()) {
    if (problems.length > MAX_SHOWN_PROBLEMS) return;
    if (at < expected.length) compare(`${what} ${at}`, expected[at], one, problems);
  }
}

function compare(what: string, expected: unknown, found: unknown, problems: string[]): void {
  const [wanted, given] = [canonical(expected), canonical(found)];
  if (wanted !== given) problems.push(`${what}: expected ${wanted}, found ${given}`);
}

/** Whatever the order of members. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
