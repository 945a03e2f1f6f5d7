import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../dataset/dataset.js';
import { type CopiedRow, type JudgedFile, judgeWhole } from './judge-file.js';

/**
 * The fixtures of a dataset folder: a source file with every rule in it, and what must become of it, in
 * `fixtures/input.<format>`, `expected-clean.json` and `expected-dead-letters.json`. Judged with the
 * default options, before repeats are settled.
 */

/** `expected-clean.json` */
export interface ExpectedClean {
  readonly counts: JudgedFile['counts'];
  readonly findings: Readonly<Record<string, number>>;
  /** Table → rows as PostgreSQL reads them; children under their record's number. */
  readonly tables: Readonly<Record<string, readonly CopiedRow[]>>;
}

/** One of `expected-dead-letters.json`. */
export interface ExpectedDeadLetter {
  readonly record: number;
  readonly line: number;
  readonly findings: readonly {
    readonly code: string;
    readonly field: string | null;
    readonly severity: string;
  }[];
}

export interface Fixtures {
  readonly input: Buffer;
  readonly clean: ExpectedClean;
  readonly deadLetters: readonly ExpectedDeadLetter[];
}

export async function readFixtures(dataset: Dataset, folder: string): Promise<Fixtures> {
  const read = (name: string): Promise<Buffer> => readFile(join(folder, 'fixtures', name));
  return {
    input: await read(`input.${dataset.format}`),
    clean: JSON.parse((await read('expected-clean.json')).toString()) as ExpectedClean,
    deadLetters: JSON.parse((await read('expected-dead-letters.json')).toString()) as ExpectedDeadLetter[],
  };
}

/** What the product makes of the input, in the form of the expectations. */
export function answerTo(dataset: Dataset, input: Buffer): Omit<Fixtures, 'input'> & { judged: JudgedFile } {
  const judged = judgeWhole(dataset, input);
  const { counts, findings, tables, refused } = judged;
  return {
    judged,
    clean: { counts, findings, tables },
    deadLetters: refused.map(({ record, line, findings: given }) => ({
      record,
      line,
      findings: given.map(({ code, field, severity }) => ({ code, field, severity })),
    })),
  };
}

/** Name in `fixtures/` → content: what the product makes of the input, to be read and then owned. Empty without an input. */
export async function expectedFiles(
  dataset: Dataset,
  folder: string,
): Promise<Readonly<Record<string, string>>> {
  const input = await readFile(join(folder, 'fixtures', `input.${dataset.format}`)).catch(() => undefined);
  if (input === undefined) return {};
  const { clean, deadLetters } = answerTo(dataset, input);
  return {
    'expected-clean.json': `${JSON.stringify(clean, null, 2)}\n`,
    'expected-dead-letters.json': `${JSON.stringify(deadLetters, null, 2)}\n`,
  };
}
