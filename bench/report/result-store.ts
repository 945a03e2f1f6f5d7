import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { BenchResult } from './result.js';

/** `2026-01-31T12:00:05.123Z` → `2026-01-31T12-00-05Z.json`: names sort by time, and no file system minds them. */
export function fileNameOf(at: string): string {
  return `${at.slice(0, 19).replaceAll(':', '-')}Z.json`;
}

/** Whole or not at all, so that Ctrl-C never leaves half a file. */
export function storeResult(file: string, result: BenchResult): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.part`, `${JSON.stringify(result, null, 2)}\n`);
  renameSync(`${file}.part`, file);
}

/** @throws SluiceError USAGE_INVALID when it cannot be read or is something else */
export function readResult(file: string): BenchResult {
  let result: Partial<BenchResult> | null;
  try {
    result = JSON.parse(readFileSync(file, 'utf8')) as Partial<BenchResult> | null;
  } catch (error) {
    throw new SluiceError('USAGE_INVALID', `${file} cannot be read: ${messageOf(error)}.`);
  }
  if ((result?.version as number | undefined) !== 1 || !Array.isArray(result?.cases)) {
    throw new SluiceError('USAGE_INVALID', `${file} is not a result of \`npm run bench\`.`);
  }
  return result as BenchResult;
}

/** Every result of a folder, the newest first; those of folders below are left out. */
export function storedResults(folder: string): BenchResult[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readResult(join(folder, name)))
    .sort((a, b) => (a.at < b.at ? 1 : -1));
}
