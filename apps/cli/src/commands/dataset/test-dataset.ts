import { writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Check, datasetChecks } from '#core/conformance/dataset-problems.js';
import { expectedFiles } from '#core/conformance/fixtures.js';
import { tableProblems } from '#core/conformance/table-problems.js';
import type { RegisteredDataset } from '#core/registry/registry.js';
import { plainText } from '#common/text/plain-text.js';
import type { Exit } from '../../exit-codes.js';
import { errorOf, failureJson, successJson } from '../../render/envelope.js';
import { type CliContext, write } from '../context.js';
import { databaseUrlOf, type DatasetOptions } from './dataset.js';
import { sourceFolder } from './source-folder.js';

/**
 * `sluice dataset test NAME`: whether a dataset is what every dataset must be, wherever its folder stands. With a system
 * that runs, whether its tables fit too.
 */
export async function testDataset(
  context: CliContext,
  entry: RegisteredDataset,
  { json = false, write: writes = false }: DatasetOptions,
): Promise<Exit> {
  if (writes) await writeExpected(context, entry);
  const checks = [...(await datasetChecks(entry)), await tablesCheck(context, entry)];
  const failed = checks.filter(({ problems }) => problems.length > 0);
  if (json) {
    const error = errorOf(
      'CHECK_FAILED',
      `Dataset ${entry.name}: ${failed.length} of ${checks.length} checks failed.`,
    );
    await write(
      context.stdout,
      failed.length === 0 ? successJson({ checks }) : failureJson(error, { checks }),
    );
  } else await write(context.stdout, checks.map(textOf).join(''));
  return failed.length === 0 ? 'success' : 'findings';
}

function textOf({ name, problems, leftOut }: Check): string {
  if (leftOut !== undefined) return `left out  ${plainText(name)}\n          ${plainText(leftOut)}\n`;
  const mark = problems.length === 0 ? 'ok      ' : 'FAILED  ';
  return `${mark}  ${plainText(name)}\n${problems.map((problem) => `          ${plainText(problem)}\n`).join('')}`;
}

async function tablesCheck(context: CliContext, entry: RegisteredDataset): Promise<Check> {
  const name = 'tables: columns, key, lengths and NULLs fit the contract';
  const url = await databaseUrlOf(context).catch(() => undefined);
  if (url === undefined)
    return { name, problems: [], leftOut: 'no database: start Sluice, or set DATABASE_URL' };
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return { name, problems: await tableProblems(client, entry) };
  } finally {
    await client.end();
  }
}

/** Expected fixtures that are missing, from what the product answers: to be read before they are believed. */
async function writeExpected(context: CliContext, { dataset, folder }: RegisteredDataset): Promise<void> {
  const fixtures = join(sourceFolder(folder), 'fixtures');
  for (const [file, content] of Object.entries(await expectedFiles(dataset, sourceFolder(folder)))) {
    const path = join(fixtures, file);
    if (existsSync(path)) continue;
    await writeFile(path, content, { flag: 'wx' });
    await write(context.stderr, `wrote ${path}: compare it with what you expect, line by line\n`);
  }
}
