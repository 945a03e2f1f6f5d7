import type { JobAccepted, ResumeRequest } from '#api/jobs.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { successJson } from '../render/envelope.js';
import { counted } from '../render/format.js';
import { discardedText } from '../render/job-state.js';
import { PROGRAM } from '../render/program-name.js';
import { confirm } from './confirm.js';
import { type CliContext, connect, interruptible, write } from './context.js';
import { type NamedJob, PAUSED, RESUMABLE, RUNNING, jobId } from './job-id.js';
import { watchJob } from './report-job.js';

/** The commands that change a job. */

export interface SteerOptions extends NamedJob {
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
  const paused = await client.pauseJob(
    await jobId(context, client, { given: id, dataset: options.dataset, fits: RUNNING }),
  );
  const text = `Job ${paused.id} is ${paused.state}. To continue it:\n  ${PROGRAM} continue ${paused.id}\n`;
  return answer(context, paused, text, options);
}

/** Continues a paused job, and follows it. */
export async function continueJob(
  context: CliContext,
  id: string | undefined,
  options: GoOnOptions,
): Promise<Exit> {
  const client = await connect(context);
  const job = await jobId(context, client, { given: id, dataset: options.dataset, fits: PAUSED });
  return goOn(context, client, await client.continueJob(job), options);
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
  // Chosen here and not by the ingestor, which would take the newest job of any dataset.
  const job = await jobId(context, client, { given: id, dataset: options.dataset, fits: RESUMABLE });
  return goOn(context, client, await client.resumeJob(job, limits), options);
}

/** Gives up what a failed job had loaded; it cannot be resumed afterwards. */
export async function discard(
  context: CliContext,
  given: string,
  options: SteerOptions & { readonly yes?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  const id = await jobId(context, client, { given, dataset: options.dataset });
  if (options.yes !== true)
    await interruptible(context, (signal) => confirmDiscard(context, client, id, signal));
  const discarded = await client.discardJob(id);
  const text = `Job ${discarded.id} is discarded and cannot be resumed; the tables stay as they were.\n`;
  return answer(context, discarded, text, options);
}

/** Ends a job; afterwards nothing more is published or loaded for it. */
export async function cancel(
  context: CliContext,
  id: string | undefined,
  options: SteerOptions,
): Promise<Exit> {
  const client = await connect(context);
  const cancelled = await client.cancelJob(
    await jobId(context, client, { given: id, dataset: options.dataset }),
  );
  const text = `Job ${cancelled.id} is ${cancelled.state}; the tables stay as they were.\n`;
  return answer(context, cancelled, text + discardedText(cancelled.discarded), options);
}

async function goOn(
  context: CliContext,
  client: SluiceClient,
  { id, dataset, state }: JobAccepted,
  options: GoOnOptions,
): Promise<Exit> {
  const text = `Job ${id} (${dataset}) continues; it is ${state}.\n`;
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
  await write(context.stdout, json === true ? successJson(body) : text);
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
  const dropped =
    loaded === 0
      ? 'It had loaded nothing'
      : `The ${counted(loaded, 'record')} that it had loaded into staging will be dropped`;
  const what = `Job ${id} (${dataset}, ${mode}) has ${state}. ${dropped}; it cannot be resumed afterwards.\n`;
  await confirm(
    context,
    { question: what, withoutTerminal: `${what}There is no terminal to ask on; pass --yes.` },
    signal,
  );
}
