import { SluiceError } from '#common/errors/sluice-error.js';
import type { JobAccepted, JobSummary, ResumeRequest } from '#core/job/job-view.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { formatCount } from '../render/format.js';
import { discardedText } from '../render/job-state.js';
import { PROGRAM } from '../render/program-name.js';
import { confirm } from './confirm.js';
import { type CliContext, connect, interruptible, write } from './context.js';
import { jobId } from './job-id.js';
import { watchJob } from './report-job.js';

/** The commands that change what becomes of a job. */

export interface SteerOptions {
  readonly json?: boolean;
}

export interface GoOnOptions extends SteerOptions {
  /** Do not follow the job. */
  readonly detach?: boolean;
}

export interface ResumeOptions extends GoOnOptions {
  readonly maxRefused?: number;
  readonly allowShrink?: boolean;
}

/** Stops a running job until `continue`; its batches wait. */
export async function pause(
  context: CliContext,
  id: string | undefined,
  options: SteerOptions,
): Promise<Exit> {
  const client = await connect(context);
  const paused = await client.pauseJob(await jobId(client, id));
  const text = `Job ${paused.id} is ${paused.state}. To go on:\n  ${PROGRAM} continue ${paused.id}\n`;
  return answer(context, paused, text, options);
}

/** Lets a paused job go on, and follows it. */
export async function continueJob(
  context: CliContext,
  id: string | undefined,
  options: GoOnOptions,
): Promise<Exit> {
  const client = await connect(context);
  return goOn(context, client, await client.continueJob(await jobId(client, id)), options);
}

/** Takes up a failed, interrupted or stuck job again, and follows it. @param id undefined: the only one of these */
export async function resume(
  context: CliContext,
  id: string | undefined,
  options: ResumeOptions,
): Promise<Exit> {
  const client = await connect(context);
  const limits: ResumeRequest = {
    ...(options.maxRefused === undefined ? {} : { maxRefusedShare: options.maxRefused }),
    ...(options.allowShrink === true ? { allowShrink: true } : {}),
  };
  const job = id === undefined ? undefined : await jobId(client, id);
  if (job === undefined) await requireOneToResume(client);
  return goOn(context, client, await client.resumeJob(job, limits), options);
}

/**
 * Without an id the newest job that can be resumed would be taken, of whatever dataset.
 * @throws SluiceError USAGE_INVALID naming all of them when there are several
 */
async function requireOneToResume(client: SluiceClient): Promise<void> {
  const found: JobSummary[] = [];
  for await (const job of client.jobs({})) {
    const isStuck = job.state === 'running' && job.problem !== null;
    if (job.resumable || job.interrupted || isStuck) found.push(job);
    if (found.length === MOST_LISTED) break;
  }
  if (found.length < 2) return;
  const list = found.map(({ id, dataset, state }) => `\n  ${id}  ${dataset}, ${state}`).join('');
  throw new SluiceError('USAGE_INVALID', `More than one job can be resumed; name one of these:${list}`);
}

const MOST_LISTED = 20;

/** Gives up what a failed job had loaded; it cannot be resumed afterwards. */
export async function discard(
  context: CliContext,
  given: string,
  options: SteerOptions & { readonly yes?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  const id = await jobId(client, given);
  if (options.yes !== true)
    await interruptible(context, (signal) => confirmDiscard(context, client, id, signal));
  const discarded = await client.discardJob(id);
  const text = `What job ${discarded.id} had loaded is given up; the tables stay as they were.\n`;
  return answer(context, discarded, text, options);
}

/** Ends a job; afterwards nothing more is published or loaded for it. */
export async function cancel(
  context: CliContext,
  id: string | undefined,
  options: SteerOptions,
): Promise<Exit> {
  const client = await connect(context);
  const cancelled = await client.cancelJob(await jobId(client, id));
  const text = `Job ${cancelled.id} is ${cancelled.state}; the tables stay as they were.\n`;
  return answer(context, cancelled, text + discardedText(cancelled.discarded), options);
}

async function goOn(
  context: CliContext,
  client: SluiceClient,
  { id, dataset, state }: JobAccepted,
  options: GoOnOptions,
): Promise<Exit> {
  const text = `Job ${id} (${dataset}) goes on; it is ${state}.\n`;
  if (options.detach === true) return answer(context, { id, dataset, state }, text, options);
  context.stderr.write(text);
  return interruptible(context, (signal) => watchJob(context, client, id, signal, options.json === true));
}

async function answer(
  context: CliContext,
  body: object,
  text: string,
  { json }: SteerOptions,
): Promise<Exit> {
  await write(context.stdout, json === true ? `${JSON.stringify(body)}\n` : text);
  return 'success';
}

async function confirmDiscard(
  context: CliContext,
  client: SluiceClient,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { dataset, mode, state, stages } = await client.job(id);
  const loaded = stages.find(({ stage }) => stage === 'load')?.records ?? 0;
  const what =
    `Job ${id} (${dataset}, ${mode}) has ${state}. ` +
    `The ${formatCount(loaded)} records it had loaded into staging are dropped, and it cannot be resumed any more.\n`;
  await confirm(
    context,
    { question: what, withoutTerminal: `${what}There is no terminal to ask on; pass --yes.` },
    signal,
  );
}
