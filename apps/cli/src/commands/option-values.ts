import { statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type WriteMode, WRITE_MODES } from '#core/dataset/dataset.js';
import { isFileUrl, isUrl, pathOfFileUrl } from '#core/source/file-url.js';
import { suggestion } from './closest-name.js';

/** What stands after an option or an argument, understood or refused with a sentence. */

export function parseCount(text: string): number {
  const count = Number(text.replaceAll(/[,_]/g, ''));
  if (!/^[\d,_]+$/.test(text) || !Number.isSafeInteger(count) || count < 1) {
    throw new InvalidArgumentError('It must be a whole number from 1 on.');
  }
  return count;
}

/** `1%` or `0.01` → 0.01 */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text);
  const share = match === null ? NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (!(share >= 0 && share <= 1)) {
    throw new InvalidArgumentError('It must be a percentage from 0% to 100%, or a share from 0 to 1.');
  }
  return share;
}

export function parseMode(text: string): WriteMode {
  const mode = WRITE_MODES.find((each) => each === text);
  if (mode === undefined) {
    throw new InvalidArgumentError(`Modes are ${WRITE_MODES.join(', ')}.${suggestion(text, WRITE_MODES)}`);
  }
  return mode;
}

/** `name=value`, as often as wanted. */
export function collectOption(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be written name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `90d` or `90`; ten years at most. */
export function parseDays(text: string): number {
  const days = Number(/^(\d{1,4})d?$/.exec(text)?.[1]);
  if (days >= 1 && days <= 3650) return days;
  throw new InvalidArgumentError('It must be a number of days from 1 to 3650, like 90d.');
}

/**
 * A source as the ingestor understands it: addresses as they stand, file names made absolute.
 * @throws SluiceError USAGE_INVALID when it is empty, a file is not there or a file URL names none, which is noticed here rather
 *         than in a job
 */
export function resolveSource(source: string, cwd: string): string {
  if (source.trim() === '')
    throw new SluiceError('USAGE_INVALID', '--source is empty; name a URL or a file.');
  if (!isFileUrl(source)) return isUrl(source) ? source : resolveFile(source, cwd);
  const found = pathOfFileUrl(source);
  if ('path' in found) return resolveFile(found.path, cwd);
  throw new SluiceError(
    'USAGE_INVALID',
    `${source} is no address of a file here; use a plain path or file:///absolute/path.`,
  );
}

/**
 * A source that the ingestor of another machine reads: nothing about a file can be found out here.
 * @throws SluiceError USAGE_INVALID for a name of a file that means nothing there
 */
export function remoteSource(source: string): string {
  if (isFileUrl(source) || isUrl(source) || isAbsolute(source)) return source;
  throw new SluiceError(
    'USAGE_INVALID',
    `The ingestor of the context reads --source on its own machine: ${source} must be an address, or an absolute path there.`,
  );
}

/** @throws SluiceError USAGE_INVALID when there is no such file */
export function resolveFile(name: string, cwd: string): string {
  if (name.trim() === '') throw new SluiceError('USAGE_INVALID', 'The name of the file is empty.');
  const path = resolve(cwd, name);
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) throw new SluiceError('USAGE_INVALID', `There is no file ${path}.`);
  if (facts.isDirectory())
    throw new SluiceError('USAGE_INVALID', `${path} is a directory; name a file in it.`);
  return path;
}
