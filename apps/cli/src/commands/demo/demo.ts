import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DeadLetterView } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { generatorOf, hasOwnGenerator } from '#core/conformance/generator-of.js';
import type { Generate } from '#core/dataset/generate.js';
import { type RegisteredDataset, loadRegistry } from '#core/registry/registry.js';
import { isFinal } from '#core/job/job-state.js';
import type { SluiceClient } from '../../client.js';
import type { Exit } from '../../exit-codes.js';
import { deadLetterText } from '../../render/dead-letter-text.js';
import { formatCount } from '../../render/format.js';
import { type CliContext, connect, interruptible, paintOf, write } from '../context.js';
import type { Ran } from '../report-job.js';
import { findDataset, startAndReport } from '../run.js';
import { addressesText, sayOn } from '../system.js';
import { showRepair } from './demo-repair.js';
import { DEMO_PATH, holdsDemoRows } from './demo-rows.js';
import { showStream } from './demo-stream.js';
import { serveFile } from './serve-file.js';

/**
 * `sluice demo`: the complete path on real parts, from nothing to loaded rows and back to nothing. A file first, then the stream
 * of its dataset, then the repair of what the stream has refused.
 *
 * - DM1: whatever happens (Ctrl-C, a failed job, an error), what the demo started is stopped and its files
 *   removed; with `--keep` the system stays. A system that ran before is left running.
 * - DM2: rows that no demo loaded are only replaced after a "yes". Which ones a demo has loaded: `holdsDemoRows`.
 */
export interface DemoOptions {
  readonly dataset?: string;
  readonly rows: number;
  readonly keep?: boolean;
}

const SEED = 20_260_101;
const DEFECT_SHARE = 0.002;
const SHOWN_LETTERS = 3;
const LOOKED_AT_LETTERS = 200;

export async function demo(context: CliContext, options: DemoOptions): Promise<Exit> {
  const { entry, generate } = await findGenerator(context, options.dataset);
  const ranBefore = await answers(context);
  return interruptible(context, async (signal) => {
    let exit: Exit = 'failed';
    try {
      const say = sayOn(context);
      const state = await context.local.up({ foreground: false, say, signal });
      if (signal.aborted) return 'detached';
      exit = await runDemo(context, entry, generate, options.rows, signal);
      if (options.keep === true) await write(context.stdout, `\n${addressesText(state)}`);
      return exit;
    } finally {
      const keeps = ranBefore || (options.keep === true && !signal.aborted && exit === 'success');
      if (!keeps) await context.local.down(sayOn(context));
    }
  });
}

/** Whether a system of this checkout runs already. */
async function answers(context: CliContext): Promise<boolean> {
  try {
    await (await connect(context)).datasets();
    return true;
  } catch {
    return false;
  }
}

async function runDemo(
  context: CliContext,
  entry: RegisteredDataset,
  generate: Generate,
  rows: number,
  signal: AbortSignal,
): Promise<Exit> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-demo-${process.pid}-`));
  try {
    const client = await connect(context);
    const exit = await loadFile(context, client, entry.name, { generate, rows, folder }, signal);
    if (exit !== 'success') return exit;
    const shown = await showStream(context, client, { entry, generate, rows, seed: SEED, folder }, signal);
    if (shown !== null) await showRepair(context, client, entry.dataset, shown, signal);
    return signal.aborted ? 'detached' : exit;
  } catch (error) {
    if (signal.aborted) return 'detached';
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function loadFile(
  context: CliContext,
  client: SluiceClient,
  name: string,
  { generate, rows, folder }: { readonly generate: Generate; readonly rows: number; readonly folder: string },
  signal: AbortSignal,
): Promise<Exit> {
  const file = join(folder, 'source');
  sayOn(context)(
    `making a file of ${formatCount(rows)} records, ${DEFECT_SHARE * 100} % of them with a defect`,
  );
  const chunks = Readable.from(generate({ rows, seed: SEED, defectShare: DEFECT_SHARE }));
  await pipeline(chunks, createWriteStream(file), { signal });
  const served = await serveFile(file, `${DEMO_PATH}${name}`);
  try {
    const yes = await holdsDemoRows(context, client, name);
    const ran = await startAndReport(context, client, name, { source: served.url, yes }, signal);
    return await finish(context, client, ran);
  } finally {
    await served.close();
  }
}

/** Shows some refused records; a job that was let go of loses its source now, so it is cancelled. */
async function finish(context: CliContext, client: SluiceClient, { exit, job }: Ran): Promise<Exit> {
  if (job === undefined) return exit;
  if (!isFinal(job.state)) {
    sayOn(context)('cancelling the job');
    await client.cancelJob(job.id).catch(() => undefined);
    return exit;
  }
  const letters = await lettersWithDifferentReasons(client, job.id);
  if (letters.length > 0) await write(context.stdout, `\n${letters.length} of the refused records:\n`);
  for (const letter of letters) await write(context.stdout, deadLetterText(letter, paintOf(context)));
  return exit;
}

async function lettersWithDifferentReasons(client: SluiceClient, job: string): Promise<DeadLetterView[]> {
  const byCodes = new Map<string, DeadLetterView>();
  let looked = 0;
  for await (const letter of client.deadLetters({ job })) {
    const codes = letter.codes.join(' ');
    if (!byCodes.has(codes)) byCodes.set(codes, letter);
    if (byCodes.size === SHOWN_LETTERS || ++looked === LOOKED_AT_LETTERS) break;
  }
  return [...byCodes.values()];
}

/**
 * @returns without a name the first dataset that brings a generator of its own: what it makes looks like its real files
 * @throws SluiceError DATASET_UNKNOWN, DATASET_INVALID when the dataset has no generator and none can be derived
 */
async function findGenerator(
  context: CliContext,
  name: string | undefined,
): Promise<{ entry: RegisteredDataset; generate: Generate }> {
  const entries = (await loadRegistry(context.settings().extraDatasetPaths())).entries();
  const entry =
    name === undefined ? entries.find(({ folder }) => hasOwnGenerator(folder)) : findDataset(entries, name);
  if (entry === undefined)
    throw new SluiceError('USAGE_INVALID', 'No dataset has a generator of its own: name one by --dataset.');
  return { entry, generate: await generatorOf(entry) };
}
