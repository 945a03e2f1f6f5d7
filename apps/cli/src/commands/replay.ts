import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError } from 'commander';
import type { WriteMode } from '#api/job-words.js';
import type { ReplayAccepted, ReplayOffsets, ReplayPart, ReplayRequest, ReplayView } from '#api/replays.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../client.js';
import { type Exit, knownErrorCode } from '../exit-codes.js';
import { errorOf, failureJson, successJson } from '../render/envelope.js';
import { PROGRAM } from '../render/program-name.js';
import { REPLAY_COLUMNS, REPLAY_JOB_COLUMNS, coverText, replayText } from '../render/replay-text.js';
import { renderTable } from '../render/table.js';
import { confirm } from './confirm.js';
import { type CliContext, connect, interruptible, widthOf, write } from './context.js';
import { jobId } from './job-id.js';
import { requireDataset } from './known-dataset.js';
import { userName } from '#common/access/user-name.js';

/** `sluice replay` and `sluice replays`: earlier jobs are loaded again from their raw batches. */

export interface ReplayOptions {
  readonly job?: string;
  readonly from?: string;
  readonly to?: string;
  readonly offsets?: readonly ReplayOffsets[];
  readonly only?: ReplayPart;
  readonly mode?: WriteMode;
  readonly atOnce?: number;
  readonly dryRun?: boolean;
  readonly detach?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const LEAST_CHARACTERS = 4;
const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Of one replay, as many as a screen has. */
const SHOWN_JOBS = 50;

/** `P:A-B`, separated by commas. */
export function parseOffsets(text: string): ReplayOffsets[] {
  return text.split(',').map((part) => {
    const [, partition, from, to] = /^(\d{1,5}):(\d{1,15})-(\d{1,15})$/.exec(part.trim()) ?? [];
    if (to === undefined)
      throw new InvalidArgumentError('It must be written <partition>:<from>-<to>, separated by commas.');
    return { partition: Number(partition), from: Number(from), to: Number(to) };
  });
}

/** A day, or a moment; without a zone it is of this machine's. @returns ISO 8601 in UTC */
export function parseMoment(text: string): string {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
  const ms = Date.parse(isDay ? `${text}T00:00:00` : text);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(ms))
    throw new InvalidArgumentError('It must be a day (2026-11-22) or a moment (2026-11-22T08:00:00Z).');
  return new Date(ms).toISOString();
}

/** `sluice replays`: the newest first. */
export async function replays(
  context: CliContext,
  { dataset, last, json }: { readonly dataset?: string; readonly last: number; readonly json?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  if (dataset !== undefined) await requireDataset(client, dataset);
  const found: ReplayView[] = [];
  for await (const view of client.replays({ dataset })) if (found.push(view) >= last) break;
  const text =
    found.length === 0
      ? 'There are no replays; see docs/replay.md.\n'
      : renderTable(found, REPLAY_COLUMNS, widthOf(context.stdout));
  await write(context.stdout, json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

/**
 * `sluice replay <dataset>` begins one, `sluice replay <id>` shows one, `sluice replay cancel <id>` ends one.
 * @param what dataset, id or `cancel`
 */
export async function replay(
  context: CliContext,
  what: string,
  id: string | undefined,
  options: ReplayOptions,
): Promise<Exit> {
  const client = await connect(context);
  if (what === 'cancel' && id !== undefined) {
    const view = await client.cancelReplay(await replayId(client, id));
    await write(context.stdout, options.json === true ? successJson(view) : replayText(view));
    return 'success';
  }
  if (id !== undefined || what === 'cancel')
    throw new SluiceError('USAGE_INVALID', 'Only `replay cancel <id>` takes two words.');
  const isSelection = (options.job ?? options.from ?? options.to ?? options.offsets) !== undefined;
  if (isSelection) return begin(context, client, what, options);
  const datasets = await client.datasets();
  if (datasets.some(({ name }) => name === what))
    throw new SluiceError(
      'USAGE_INVALID',
      `Say what of ${what} is to be replayed: --job, --from and --to, or --offsets.`,
    );
  return show(context, client, await replayId(client, what), options);
}

async function show(
  context: CliContext,
  client: SluiceClient,
  id: string,
  { json }: ReplayOptions,
): Promise<Exit> {
  const view = await client.replay(id);
  const { items: jobs, next } = await client.replayJobs(id, SHOWN_JOBS);
  if (json === true) {
    await write(context.stdout, successJson({ ...view, items: jobs, more: next !== null }));
    return 'success';
  }
  const more = next === null ? '' : `… and more: GET /replays/${id}/jobs of the ingestor lists all.\n`;
  const table = renderTable(jobs, REPLAY_JOB_COLUMNS, widthOf(context.stdout));
  await write(context.stdout, `${replayText(view)}\n${table}${more}`);
  return 'success';
}

async function begin(
  context: CliContext,
  client: SluiceClient,
  dataset: string,
  options: ReplayOptions,
): Promise<Exit> {
  await requireDataset(client, dataset);
  const { dryRun = false, yes = false, detach = false, json = false } = options;
  const request = await requestOf(context, client, dataset, options);
  if (dryRun) {
    const report = await client.startReplay({ ...request, dryRun });
    await write(context.stdout, json ? successJson(report) : coverText(report));
    return 'success';
  }
  if (!yes) await ask(context, await client.startReplay({ ...request, dryRun: true }));
  const accepted = await client.startReplay(request);
  const { id } = accepted;
  if (id === null) throw new SluiceError('INTERNAL', 'The ingestor has begun no replay.');
  if (!json) await write(context.stdout, `${yes ? coverText(accepted) : ''}Replay ${id} has begun.\n`);
  if (detach) {
    if (json) await write(context.stdout, successJson(accepted));
    return 'success';
  }
  return interruptible(context, (signal) => follow(context, client, id, signal, json));
}

async function requestOf(
  context: CliContext,
  client: SluiceClient,
  dataset: string,
  { job, from, to, offsets, only, mode, atOnce }: ReplayOptions,
): Promise<ReplayRequest> {
  return {
    dataset,
    ...(job === undefined ? {} : { job: await jobId(context, client, { given: job, dataset }) }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(offsets === undefined ? {} : { offsets }),
    ...(only === undefined ? {} : { only }),
    ...(mode === undefined ? {} : { mode }),
    ...(atOnce === undefined ? {} : { atOnce }),
    by: userName(),
  };
}

async function ask(context: CliContext, report: ReplayAccepted): Promise<void> {
  const what = coverText(report);
  await interruptible(context, (signal) =>
    confirm(
      context,
      {
        question: `${what}Rows that newer jobs have written may be written over (docs/replay.md). `,
        withoutTerminal: `${what}Confirm with --yes, or look with --dry-run.`,
      },
      signal,
    ),
  );
}

/** To its end, or until a job of it needs attention. */
async function follow(
  context: CliContext,
  client: SluiceClient,
  id: string,
  signal: AbortSignal,
  json: boolean,
): Promise<Exit> {
  let shown = '';
  for (;;) {
    const view = await client.replay(id);
    const waits = view.wait === null ? '' : `; waits: ${plainText(view.wait.message)}`;
    const progress = `${view.jobs.succeeded} of ${view.covers.jobs} jobs have succeeded${waits}\n`;
    if (!json && progress !== shown && view.state === 'running') context.stderr.write(progress);
    shown = progress;
    const exit = exitOf(view);
    if (exit !== null) return report(context, view, exit, json);
    await delay(context.waiting.pollMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) continue;
    const text = `The replay continues. To look at it, or to cancel it:\n  ${PROGRAM} replay ${id}\n  ${PROGRAM} replay cancel ${id}\n`;
    context.stderr.write(text);
    if (json)
      await write(context.stdout, failureJson(errorOf('DETACHED', `Ctrl-C; replay ${id} continues.`), view));
    return 'detached';
  }
}

/** Null: it continues by itself. */
function exitOf({ state, wait }: ReplayView): Exit | null {
  switch (state) {
    case 'succeeded':
      return 'success';
    case 'failed':
      return 'failed';
    case 'cancelled':
      return 'cancelled';
    case 'running':
      return wait?.code === 'REPLAY_JOB_STANDS' ? 'waits' : null;
  }
}

async function report(context: CliContext, view: ReplayView, exit: Exit, json: boolean): Promise<Exit> {
  if (!json) await write(context.stdout, replayText(view));
  else if (exit === 'success') await write(context.stdout, successJson(view));
  else {
    const { id, state, wait } = view;
    const error =
      wait === null
        ? errorOf('REPLAY_TRANSITION_REFUSED', `Replay ${id} is ${state}: not every job of it has succeeded.`)
        : errorOf(knownErrorCode(wait.code), wait.message);
    await write(context.stdout, failureJson(error, view));
  }
  return exit;
}

/**
 * The whole id of a replay: a short form means one only when exactly one has it.
 * @throws SluiceError USAGE_INVALID
 */
async function replayId(client: SluiceClient, given: string): Promise<string> {
  const part = given.toLowerCase();
  if (WHOLE_ID.test(part)) return part;
  const found: string[] = [];
  if (/^[0-9a-f-]+$/.test(part) && part.length >= LEAST_CHARACTERS)
    for await (const { id } of client.replays({}))
      if (id.startsWith(part) || id.endsWith(part)) found.push(id);
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  throw new SluiceError(
    'USAGE_INVALID',
    first === undefined
      ? `"${plainText(given)}" is neither a dataset nor the id of a replay; ${PROGRAM} replays lists them.`
      : `More than one replay has an id that begins or ends with ${given}:${found.map((id) => `\n  ${id}`).join('')}`,
  );
}
