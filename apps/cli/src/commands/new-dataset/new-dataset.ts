/**
 * `sluice new dataset NAME --from SAMPLE`: writes a dataset's folder from what a sample looks like. What it writes is
 * owned by the user who runs the command; nothing is ever overwritten.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import { DATASET_NAME, loadRegistry, MAX_NAME_CHARACTERS } from '#core/registry/registry.js';
import { DEFAULT_SCHEMA } from '#core/dataset/columns.js';
import { FILE_FINDING_CODES, findWrongKindOfFile } from '#core/dataset/file-head.js';
import type { Exit } from '../../exit-codes.js';
import { PROGRAM } from '../../render/program-name.js';
import { type CliContext, write } from '../context.js';
import { resolveFile } from '../option-values.js';
import { findJsonDocument } from './find-document.js';
import { decodeSample, guessEncoding } from './guess-encoding.js';
import type { Proposal } from './proposal.js';
import { isRequired, type Sampled } from './propose.js';
import { proposeCsv } from './propose-csv.js';
import { proposeJson } from './propose-json.js';
import { filesOf } from './write-contract.js';

export interface NewDatasetOptions {
  /** The sample's file. */
  readonly from: string;
  /** Names of columns. */
  readonly key?: readonly string[];
  readonly json?: boolean;
}

/** Of a larger file only the beginning is looked at. */
const MAX_SAMPLE_MIB = 16;
const MAX_SAMPLE_BYTES = MAX_SAMPLE_MIB * 1024 * 1024;
const PROBED_CHARACTERS = 4096;

/** @param datasetsFolder where the folders of this checkout's datasets stand */
export async function newDataset(
  context: CliContext,
  name: string,
  options: NewDatasetOptions,
  datasetsFolder: string,
): Promise<Exit> {
  const usedTables = await refuseName(context, name);
  const folder = join(datasetsFolder, name);
  if (existsSync(folder)) throw new SluiceError('USAGE_INVALID', `${folder} exists; nothing was written.`);
  const file = resolveFile(options.from, context.cwd);
  const about = { file: basename(file), key: options.key ?? [], usedTables };
  const proposal = propose(name, await readSample(file), about);
  const files = Object.entries(filesOf(proposal));
  await writeFolder(folder, files);
  const shown = relative(context.cwd, folder) || folder;
  await write(context.stdout, textOf(proposal, shown, files, options.from));
  return 'success';
}

/**
 * The whole folder or nothing: written beside its name, where the registry looks at nothing (a point before the name), and
 * renamed.
 */
async function writeFolder(folder: string, files: readonly (readonly [string, string])[]): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const unfinished = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    for (const [path, content] of files) await writeFile(join(unfinished, path), content);
    await chmod(unfinished, 0o755);
    // A folder that has been made meanwhile is replaced only if it is empty.
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

/** @returns the tables in `public` that other datasets write */
async function refuseName(context: CliContext, name: string): Promise<string[]> {
  if (!DATASET_NAME.test(name) || name.length > MAX_NAME_CHARACTERS) {
    throw new SluiceError(
      'USAGE_INVALID',
      `"${name}" cannot name a dataset: at most ${MAX_NAME_CHARACTERS} of a-z, 0-9 and single hyphens, a-z first.`,
    );
  }
  const entries = (await loadRegistry(context.settings().extraDatasetPaths())).entries();
  if (entries.some((entry) => entry.name === name))
    throw new SluiceError('USAGE_INVALID', `There is a dataset "${name}" already; nothing was written.`);
  return entries.filter(({ schema }) => schema === DEFAULT_SCHEMA).flatMap(({ tables }) => tables);
}

interface Sample {
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

async function readSample(file: string): Promise<Sample> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, MAX_SAMPLE_BYTES));
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return { bytes: bytes.subarray(0, length), isWhole: size <= MAX_SAMPLE_BYTES };
  } finally {
    await handle.close();
  }
}

/** @throws SluiceError USAGE_INVALID for a sample that holds no records */
export function propose(
  name: string,
  { bytes, isWhole }: Sample,
  about: Pick<Sampled, 'file' | 'key' | 'usedTables'>,
): Proposal {
  const { label, isCertain } = guessEncoding(bytes);
  refuseKind(bytes);
  const decoded = decodeSample(bytes, label);
  refuseKind(Buffer.from(decoded.slice(0, PROBED_CHARACTERS)));
  const document = findJsonDocument(decoded, isWhole);
  if (document !== null) throw notRecords(document);
  // The last line of a part of a file is a part of a line.
  const text = isWhole ? decoded : decoded.slice(0, decoded.lastIndexOf('\n') + 1);
  if (text === '') throw notRecords(`Its first line does not end within ${MAX_SAMPLE_MIB} MiB.`);
  const sampled = {
    ...about,
    encoding: label === 'utf-8' ? null : label,
    isWhole,
    guesses: [
      ...(isCertain ? [] : [`The encoding is ${label}.`]),
      ...(isWhole ? [] : [`Only the first ${MAX_SAMPLE_MIB} MiB of the sample were read.`]),
    ],
    isRequired,
  };
  return text.trimStart().startsWith('{')
    ? proposeJson(name, text, sampled)
    : proposeCsv(name, text, sampled);
}

/** @throws SluiceError USAGE_INVALID for binary files, pages of HTML and nothing at all */
function refuseKind(bytes: Buffer): void {
  const wrong = findWrongKindOfFile(bytes.subarray(0, PROBED_CHARACTERS), true);
  if (typeof wrong === 'object' && wrong.code !== FILE_FINDING_CODES.FILE_NOT_UTF8)
    throw notRecords(wrong.message);
}

function notRecords(reason: string): SluiceError {
  return new SluiceError('USAGE_INVALID', `The sample cannot be read: ${reason}`);
}

function textOf(
  proposal: Proposal,
  folder: string,
  files: readonly (readonly [string, string])[],
  sample: string,
): string {
  const { name, columns, children, key, guesses, records } = proposal;
  const tables = 1 + countChildren(children);
  const lines = [
    `Wrote ${folder} from ${records} records: ${columns.length} columns, ${tables} ${tables === 1 ? 'table' : 'tables'}, key ${key.join(', ')}.`,
    ...files.map(([path, content]) => `  ${path} (${content.split('\n').length - 1} lines)`),
    ...(guesses.length === 0
      ? []
      : ['', 'Guesses to check:', ...guesses.map((guess) => `  ${plainText(guess)}`)]),
    '',
    'To load the sample:',
    `  ${PROGRAM} up`,
    `  ${PROGRAM} run ${name} --source ${shellWord(sample)}`,
    '',
  ];
  return lines.join('\n');
}

function countChildren(children: Proposal['children']): number {
  return children.reduce((sum, child) => sum + 1 + countChildren(child.children), 0);
}

function shellWord(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
