import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobCounts } from '#api/job-facts.js';
import type { StreamView } from '#api/streams.js';
import { messageOf, SluiceError } from '#common/errors/sluice-error.js';
import type { Generate, GenerateOptions } from '#core/dataset/generate.js';
import type { RegisteredDataset } from '#core/registry/registry.js';
import type { SluiceClient } from '../../client.js';
import { knownErrorCode } from '../../exit-codes.js';
import { counted, formatCount, formatDuration } from '../../render/format.js';
import { PROGRAM } from '../../render/program-name.js';
import { detailText } from '../../render/stream-text.js';
import { chunksOf } from '../check/judge-file.js';
import { type CliContext, write } from '../context.js';
import { sendFile } from '../produce/produce.js';
import { streams } from '../streams.js';
import { sayOn } from '../system.js';
import { DEMO_HEADER } from './demo-rows.js';
import { followSilently } from './follow-silently.js';
import { typed } from './typed.js';

/**
 * The stream of the demo: two small files sent to the inbox as a producer would, one of them with keys of its own and some
 * defects, the other one with keys of the file that was loaded before.
 *
 * - DI1: a stream that is not stopped, or whose inbox holds what no job has taken, is an operator's: the demo does not
 *   touch it, and says so.
 * - DI2: whatever happens, a stream that the demo has started is stopped when the demo is over, with everything that it sent visible; one
 *   that does not come to its end within half a minute is paused, and the demo says so.
 */
export interface StreamParts {
  readonly entry: RegisteredDataset;
  readonly generate: Generate;
  /** Of the file that was loaded before, and how it was made. */
  readonly rows: number;
  readonly seed: number;
  /** For the files; the caller removes it. */
  readonly folder: string;
}

export interface StreamShown {
  /** Its jobs, the oldest first. */
  readonly jobs: readonly string[];
  /** A file that was sent, in which most records are accepted. */
  readonly file: string;
}

const RECORDS = 300;
/** Enough for each kind of defect of a dataset with some dozens of kinds. */
const DEFECT_SHARE = 0.1;
const LOOK_EVERY_MS = 100;
const LONGEST_MS = 60_000;
const LONGEST_STOP_MS = 30_000;

/** @returns null when there was nothing to show @throws the signal's reason once it is aborted; SluiceError */
export async function showStream(
  context: CliContext,
  client: SluiceClient,
  parts: StreamParts,
  signal: AbortSignal,
): Promise<StreamShown | null> {
  const { name, dataset } = parts.entry;
  const say = sayOn(context);
  if (dataset.inbox === undefined) {
    say(`${name} declares no inbox, so the demo ends here: it has no stream to show`);
    return null;
  }
  const before = await client.stream(name);
  const reason = whyNotFree(before);
  if (reason !== null) {
    say(`the stream of ${name} ${reason}: the demo leaves it alone, and ends here`);
    return null;
  }
  const files = await makeFiles(context, parts, signal);
  await typed(context, 'stream', name, 'start');
  try {
    const { state } = await client.startStream(name, {});
    await write(context.stdout, `The stream of ${name} is ${state}.\n`);
    let sent = 0;
    for (const file of files) {
      signal.throwIfAborted();
      sent += await send(context, parts.entry, join(parts.folder, file), file, signal);
    }
    const sentAt = context.now();
    await untilVisible(client, name, before.records + sent, signal);
    const took = formatDuration((context.now() - sentAt) / 1_000);
    await write(context.stdout, `What was sent last is visible ${took} after it was sent.\n`);
    await typed(context, 'streams');
    await streams(context, {});
  } finally {
    await stop(context, client, name);
  }
  const jobs = await jobsAfter(client, name, before.lastJob?.id ?? '');
  await write(context.stdout, await sumText(context, client, jobs, signal));
  const [file = ''] = files;
  return { jobs, file: join(parts.folder, file) };
}

/** DI1 */
function whyNotFree({ state, lagRecords }: StreamView): string | null {
  if (state !== 'stopped') return `is ${state}`;
  if (lagRecords === null) return 'has an inbox that cannot be looked at now';
  return lagRecords > 0 ? `has ${counted(lagRecords, 'record')} waiting in its inbox` : null;
}

/** @returns their names, that of the one with defects first */
async function makeFiles(
  context: CliContext,
  { entry, generate, rows, seed, folder }: StreamParts,
  signal: AbortSignal,
): Promise<string[]> {
  const known = Math.min(RECORDS, rows);
  sayOn(context)(
    `making ${formatCount(RECORDS)} more records, ${DEFECT_SHARE * 100} % of them with a defect, and ${formatCount(known)} changed ones`,
  );
  // The number of a record decides about its key: with the seed of the file, and other shares, it gets other contents.
  // The included generator counts on from where the seed says: that of 2 more is millions of keys away.
  const plans: readonly [string, GenerateOptions][] = [
    ['more', { rows: RECORDS, seed: seed + 2, defectShare: DEFECT_SHARE, repeatShare: 0 }],
    ['changed', { rows: known, seed, defectShare: 0, repeatShare: 0.2 }],
  ];
  const names: string[] = [];
  for (const [stem, options] of plans) {
    const name = `${stem}.${entry.dataset.format}`;
    await pipeline(Readable.from(generate(options)), createWriteStream(join(folder, name)), { signal });
    names.push(name);
  }
  return names;
}

async function send(
  context: CliContext,
  { name, dataset }: RegisteredDataset,
  path: string,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  await typed(context, 'produce', name, file);
  const produced = { chunks: chunksOf(path), name: file, headers: { [DEMO_HEADER]: '1' } };
  const { records, topic } = await sendFile(context, dataset, produced, signal);
  await write(context.stdout, `${counted(records, 'record')} sent to ${topic}.\n`);
  return records;
}

/** @throws SluiceError when the stream stands, or takes too long */
async function untilVisible(
  client: SluiceClient,
  dataset: string,
  records: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + LONGEST_MS;
  for (;;) {
    const view = await client.stream(dataset);
    if (view.records >= records && view.lagRecords === 0 && view.jobsInFlight === 0) return;
    if (view.state === 'paused')
      throw new SluiceError(knownErrorCode(view.detail?.code ?? ''), detailText(view).trim());
    if (Date.now() > deadline)
      throw new SluiceError(
        'SYSTEM_UNREACHABLE',
        `After ${LONGEST_MS / 1_000} s not all records of the stream are visible.`,
      );
    await delay(LOOK_EVERY_MS, undefined, { signal });
  }
}

/** DI2. It never throws: what could not be done is said. */
async function stop(context: CliContext, client: SluiceClient, dataset: string): Promise<void> {
  const say = sayOn(context);
  try {
    await typed(context, 'stream', dataset, 'drain');
    const deadline = Date.now() + LONGEST_STOP_MS;
    for (;;) {
      const { state } = await client.stream(dataset);
      if (state === 'stopped') {
        await write(context.stdout, `The stream of ${dataset} is drained and stopped.\n`);
        return;
      }
      if (state === 'paused') break;
      if (state === 'running') await client.drainStream(dataset);
      if (Date.now() > deadline) {
        await client.pauseStream(dataset);
        break;
      }
      await delay(LOOK_EVERY_MS);
    }
    say(`the stream of ${dataset} is paused, and not drained: see ${PROGRAM} stream ${dataset}`);
  } catch (error) {
    say(
      `the stream of ${dataset} could not be stopped (${messageOf(error)}): ${PROGRAM} stream ${dataset} drain`,
    );
  }
}

/** Ids begin with their time. */
async function jobsAfter(client: SluiceClient, dataset: string, last: string): Promise<string[]> {
  const jobs: string[] = [];
  for await (const { id } of client.jobs({ dataset, stream: dataset })) {
    if (id <= last) break;
    jobs.unshift(id);
  }
  return jobs;
}

const SUMMED = ['read', 'inserted', 'updated', 'unchanged', 'superseded', 'refused', 'skipped'] as const;

/** What the jobs add up to, once the tracker knows all that they refused. */
async function sumText(
  context: CliContext,
  client: SluiceClient,
  jobs: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const sums = new Map<keyof JobCounts, number>();
  for (const id of jobs) {
    const { job } = await followSilently(context, client, id, signal);
    signal.throwIfAborted();
    for (const name of SUMMED) sums.set(name, (sums.get(name) ?? 0) + (job.counts?.[name] ?? 0));
  }
  const parts = [...sums]
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${formatCount(count)} ${name}`);
  return `In ${counted(jobs.length, 'job')}: ${parts.join(', ')}.\n`;
}
