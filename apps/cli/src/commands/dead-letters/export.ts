import { extname, resolve } from 'node:path';
import { EXPORT_FORMATS, type ExportFormat } from '#api/dead-letter-edits.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { successJson } from '../../render/envelope.js';
import { type CliContext, interruptible, write } from '../context.js';
import type { ActionOptions } from './action-options.js';
import { chosenBy } from './choose.js';
import { writeWholeFile } from './whole-file.js';

/**
 * `dead-letters export FILE`: open refused records of one dataset as a file that `import` finds again, whole or not at all.
 */
export async function exportFile(
  context: CliContext,
  client: SluiceClient,
  given: readonly string[],
  options: ActionOptions,
): Promise<Exit> {
  const [name, another] = given;
  if (name === undefined || another !== undefined)
    throw new SluiceError('USAGE_INVALID', '`dead-letters export` needs one file, e.g. refused.csv.');
  const { group, filter = {} } = await chosenBy(context, client, [], options);
  const path = resolve(context.cwd, name);
  const format = formatOf(name);
  const chunks = (signal: AbortSignal) =>
    client.exportDeadLetters({ group, ...filter, ...(format === undefined ? {} : { format }) }, signal);
  const bytes = await interruptible(context, (signal) => written(chunks(signal), path));
  const text = `The open refused records are written to ${path} (${bytes} bytes). Correct it, and \`dead-letters import\` it.\n`;
  await write(context.stdout, options.json === true ? successJson({ file: path, bytes }) : text);
  return 'success';
}

/** By its ending; the dataset's own when it says nothing. */
function formatOf(name: string): ExportFormat | undefined {
  const ending = extname(name).slice(1).toLowerCase();
  const format = ending === 'jsonl' || ending === 'json' ? 'ndjson' : ending;
  return EXPORT_FORMATS.find((known) => known === format);
}

/** @returns how many bytes */
function written(chunks: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  return writeWholeFile(path, async (put) => {
    let bytes = 0;
    for await (const chunk of chunks) {
      await put(chunk);
      bytes += chunk.length;
    }
    return bytes;
  });
}
