import { resolve } from 'node:path';
import type { DeadLetterView } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { CsvDialect } from '#core/dataset/csv-dialect.js';
import { loadRegistry } from '#core/registry/registry.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { deadLetterText } from '../../render/dead-letter-text.js';
import { successJson } from '../../render/envelope.js';
import { counted } from '../../render/format.js';
import { BYTE_ORDER_MARK, csvHeader, csvRow } from '../../render/refused-csv.js';
import { type CliContext, connect, paintOf, write } from '../context.js';
import { jobId } from '../job-id.js';
import { requireDataset } from '../known-dataset.js';
import { groupId } from './choose.js';
import { writeWholeFile } from './whole-file.js';

/** `sluice dead-letters`: the refused records, on the screen, as JSON lines, or as a CSV for a spreadsheet. */
export interface DeadLettersOptions {
  readonly job?: string;
  readonly code?: string;
  readonly dataset?: string;
  readonly group?: string;
  readonly state?: string;
  /** How many to show; everything when exporting. */
  readonly limit?: number;
  readonly export?: string;
  readonly json?: boolean;
}

const SHOWN_LETTERS = 20;

export async function deadLetters(context: CliContext, options: DeadLettersOptions): Promise<Exit> {
  const client = await connect(context);
  if (options.dataset !== undefined) await requireDataset(client, options.dataset);
  const { job: given, dataset, code, state } = options;
  const job = given === undefined ? undefined : await jobId(context, client, { given, dataset });
  const group = options.group === undefined ? undefined : await groupId(client, options.group);
  const letters = client.deadLetters({ job, code, dataset, group, state });
  if (options.export !== undefined) {
    const file = resolve(context.cwd, options.export);
    const count = await exportLetters(context, client, taken(letters, options.limit), file);
    const text = `${counted(count, 'refused record')} written to ${file}\n`;
    await write(context.stdout, options.json === true ? successJson({ file, records: count }) : text);
    return 'success';
  }
  if (options.json === true) {
    for await (const letter of taken(letters, options.limit)) {
      await write(context.stdout, `${JSON.stringify(letter)}\n`);
    }
    return 'success';
  }
  await show(context, letters, options.limit ?? SHOWN_LETTERS);
  return 'success';
}

async function show(
  context: CliContext,
  letters: AsyncIterable<DeadLetterView>,
  limit: number,
): Promise<void> {
  const paint = paintOf(context);
  let shown = 0;
  for await (const letter of letters) {
    if (shown === limit) {
      await write(context.stdout, `… and more. See them by --limit, or all by --export refused.csv\n`);
      return;
    }
    await write(context.stdout, deadLetterText(letter, paint));
    shown++;
  }
  if (shown === 0) await write(context.stdout, 'No refused records.\n');
}

async function* taken<T>(items: AsyncIterable<T>, limit = Infinity): AsyncGenerator<T> {
  let count = 0;
  for await (const item of items) {
    if (count++ >= limit) return;
    yield item;
  }
}

/**
 * Writes dead letter after dead letter as CSV.
 * @returns how many
 * @throws SluiceError OUTPUT_UNWRITABLE; USAGE_INVALID when the dead letters belong to several datasets
 */
function exportLetters(
  context: CliContext,
  client: SluiceClient,
  letters: AsyncIterable<DeadLetterView>,
  path: string,
): Promise<number> {
  return writeWholeFile(path, async (put) => {
    let count = 0;
    let first: DeadLetterView | undefined;
    let csv: CsvDialect | undefined;
    for await (const letter of letters) {
      if (first === undefined) {
        csv = await dialectOf(context, letter.dataset);
        await put(BYTE_ORDER_MARK + csvHeader(letter.columns));
      }
      first ??= letter;
      if (letter.dataset !== first.dataset) throw severalDatasets(first.dataset, letter.dataset);
      await put(csvRow(first.columns, letter, await wholeText(client, letter), csv));
      count++;
    }
    if (first === undefined) await put(BYTE_ORDER_MARK + csvHeader([]));
    return count;
  });
}

/** The command may run where the dataset is not: its records are taken for ordinary CSV there. */
async function dialectOf(context: CliContext, dataset: string): Promise<CsvDialect | undefined> {
  const registry = await loadRegistry(context.settings().extraDatasetPaths()).catch(() => null);
  return registry?.all().find(({ name }) => name === dataset)?.csv;
}

/** Lists cut long records and show undecodable bytes as U+FFFD; then, and only then, the bytes are fetched. */
async function wholeText(client: SluiceClient, letter: DeadLetterView): Promise<string> {
  const maybeCut = letter.text.length >= LISTED_CHARACTERS || letter.text.includes('\ufffd');
  if (!maybeCut) return letter.text;
  const { bytesBase64 } = await client.deadLetter(letter.job, letter.record);
  return bytesBase64 === undefined ? letter.text : Buffer.from(bytesBase64, 'base64').toString();
}

/** `DeadLetterView.text` in lists is cut at this length. */
const LISTED_CHARACTERS = 1000;

function severalDatasets(a: string, b: string): SluiceError {
  return new SluiceError(
    'USAGE_INVALID',
    `The refused records are of several datasets (${a}, ${b}), whose columns differ: choose one by --dataset or --job.`,
  );
}
