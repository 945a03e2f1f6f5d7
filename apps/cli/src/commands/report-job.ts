import type { JobDetail } from '#api/jobs.js';
import { isFinal } from '#core/job/job-state.js';
import type { SluiceClient } from '../client.js';
import { type Exit, exitOfJob } from '../exit-codes.js';
import { errorOf, failureJson } from '../render/envelope.js';
import { PROGRAM } from '../render/program-name.js';
import { progressOn } from '../render/progress.js';
import { renderReport } from '../render/report.js';
import { runJson } from '../render/run-json.js';
import { renderUnfinished } from '../render/unfinished.js';
import { type CliContext, connect, interruptible, paintOf, write } from './context.js';
import { followJob } from './follow-job.js';
import { type NamedJob, jobId } from './job-id.js';

export interface Ran {
  readonly exit: Exit;
  /** As it was last seen; undefined when none was started. */
  readonly job?: JobDetail;
}

/** `sluice watch`: follows a job that runs already. */
export async function watch(
  context: CliContext,
  given: string | undefined,
  options: NamedJob & { readonly json?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  const id = await jobId(context, client, { given, dataset: options.dataset });
  return interruptible(context, (signal) => watchJob(context, client, id, signal, options.json === true));
}

/** Follows a job, reports it, and says how to follow it again after Ctrl-C. */
export async function watchJob(
  context: CliContext,
  client: SluiceClient,
  id: string,
  signal: AbortSignal,
  json: boolean,
): Promise<Exit> {
  const { exit, job } = await followAndReport(context, client, id, signal, json);
  return sayDetached(context, exit, job, json);
}

/** Follows a job until it has ended or needs attention, and reports it; Ctrl-C detaches. */
export async function followAndReport(
  context: CliContext,
  client: SluiceClient,
  id: string,
  signal: AbortSignal,
  json: boolean,
): Promise<Ran> {
  const progress = progressOn(context.stderr, context.now, json);
  const { job, detached } = await followJob(client, id, progress, signal, context.waiting).finally(() => {
    progress.stop();
  });
  if (detached) return { exit: 'detached', job };
  const text = json ? `${JSON.stringify(runJson(job))}\n` : await jobText(context, client, job);
  await write(context.stdout, text);
  return { exit: exitOfJob(job), job };
}

/** The job as it is now, for people. */
export async function jobText(context: CliContext, client: SluiceClient, job: JobDetail): Promise<string> {
  if (!isFinal(job.state)) return renderUnfinished(job);
  // The job is over, whether or not the tracker can still count rows.
  const datasets = await client.datasets().catch(() => []);
  const tables = datasets.find(({ name }) => name === job.dataset)?.tables ?? [];
  return renderReport(job, tables, paintOf(context));
}

/** Says how to follow the job again after Ctrl-C. @param job undefined when none was started */
export async function sayDetached(
  context: CliContext,
  exit: Exit,
  job: JobDetail | undefined,
  json: boolean,
): Promise<Exit> {
  if (exit !== 'detached') return exit;
  if (json) {
    const message =
      job === undefined ? 'Ctrl-C before a job was started.' : `Ctrl-C; job ${job.id} continues.`;
    const seen = job === undefined ? {} : runJson(job);
    await write(context.stdout, failureJson(errorOf('DETACHED', message), seen));
  }
  if (job !== undefined) {
    context.stderr.write(
      `\nThe job continues. To watch it again, or to cancel it:\n` +
        `  ${PROGRAM} watch ${job.id}\n  ${PROGRAM} cancel ${job.id}\n`,
    );
  }
  return exit;
}
