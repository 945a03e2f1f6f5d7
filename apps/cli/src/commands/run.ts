import { SluiceError } from '#common/errors/sluice-error.js';
import { resolveOptions, type WriteMode } from '#core/dataset/dataset.js';
import type { DatasetView, JobAccepted, JobDetail, JobRequest } from '#core/job/job-view.js';
import type { SluiceClient } from '../client.js';
import { type Exit, exitOfJob } from '../exit-codes.js';
import { formatCount } from '../render/format.js';
import { progressOn } from '../render/progress.js';
import { ask } from '../render/prompt.js';
import { PROGRAM, renderReport } from '../render/report.js';
import { runJson } from '../render/run-json.js';
import { suggestion } from './closest-name.js';
import { type CliContext, connect, interruptible, paintOf, write } from './context.js';
import { followJob } from './follow-job.js';
import { resolveSource } from './option-values.js';

/** `sluice run`: asks when rows would be replaced, starts the job, shows it, reports. */
export interface RunOptions {
  readonly source?: string | undefined;
  readonly mode?: WriteMode;
  readonly limit?: number;
  readonly dryRun?: boolean;
  readonly maxRefused?: number;
  readonly allowShrink?: boolean;
  readonly option?: Readonly<Record<string, string>>;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export async function run(context: CliContext, name: string, options: RunOptions): Promise<Exit> {
  const source = options.source === undefined ? undefined : resolveSource(options.source, context.cwd);
  const client = await connect(context);
  return interruptible(context, async (signal) => {
    const { exit, job } = await startAndReport(context, client, name, { ...options, source }, signal);
    return sayDetached(context, exit, job);
  });
}

/** `sluice watch`: follows a job that runs already. */
export async function watch(
  context: CliContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  return interruptible(context, async (signal) => {
    const { exit, job } = await report(context, client, id, signal, options.json === true);
    return sayDetached(context, exit, job);
  });
}

export interface Ran {
  readonly exit: Exit;
  /** As it was last seen; undefined when none was started. */
  readonly job?: JobDetail;
}

/** @param options with the source as the ingestor understands it */
export async function startAndReport(
  context: CliContext,
  client: SluiceClient,
  name: string,
  options: RunOptions,
  signal: AbortSignal,
): Promise<Ran> {
  const dataset = findDataset(await client.datasets(), name);
  const request = requestFor(dataset, options);
  if (options.yes !== true) await confirmReplace(context, dataset, request, signal);
  if (signal.aborted) return { exit: 'detached' };
  const accepted = await start(client, request);
  return report(context, client, accepted.id, signal, options.json === true);
}

/** Follows a job to its end and reports it; Ctrl-C lets go of it. */
async function report(
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
  await write(
    context.stdout,
    json ? `${JSON.stringify(runJson(job))}\n` : await reportText(context, client, job),
  );
  return { exit: exitOfJob(job), job };
}

async function reportText(context: CliContext, client: SluiceClient, job: JobDetail): Promise<string> {
  // The job is over, whether or not the tracker can still count rows.
  const datasets = await client.datasets().catch(() => []);
  const tables = datasets.find(({ name }) => name === job.dataset)?.tables ?? [];
  return renderReport(job, tables, paintOf(context));
}

function sayDetached(context: CliContext, exit: Exit, job: JobDetail | undefined): Exit {
  if (exit === 'detached' && job !== undefined) {
    context.stderr.write(
      `\nThe job goes on. To watch it again, or to end it:\n` +
        `  ${PROGRAM} watch ${job.id}\n  ${PROGRAM} cancel ${job.id}\n`,
    );
  }
  return exit;
}

async function start(client: SluiceClient, request: JobRequest): Promise<JobAccepted> {
  try {
    return await client.startJob(request);
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'JOB_ACTIVE' && error.place.job !== undefined) {
      const hints = `\n  ${PROGRAM} watch ${error.place.job}\n  ${PROGRAM} cancel ${error.place.job}`;
      throw new SluiceError(error.code, error.message + hints, error.place, { cause: error });
    }
    throw error;
  }
}

/** @throws SluiceError DATASET_UNKNOWN with what may have been meant */
export function findDataset<T extends { readonly name: string }>(datasets: readonly T[], name: string): T {
  const dataset = datasets.find((each) => each.name === name);
  if (dataset === undefined) {
    const names = datasets.map((each) => each.name);
    throw new SluiceError('DATASET_UNKNOWN', `There is no dataset "${name}".${suggestion(name, names)}`);
  }
  return dataset;
}

/** @throws SluiceError USAGE_INVALID for what the dataset does not allow */
function requestFor(dataset: DatasetView, options: RunOptions): JobRequest {
  const { source } = options;
  const problems = [...resolveOptions(dataset, options.option ?? {}).problems];
  const mode = options.mode ?? dataset.writeModes[0];
  if (mode === undefined || !dataset.writeModes.includes(mode)) {
    problems.push(`mode must be one of ${dataset.writeModes.join(', ')}`);
  }
  if (source === undefined && dataset.defaultSource === null) {
    problems.push('it has no source of its own: name one by --source URL or --source FILE');
  }
  if (problems.length > 0) {
    throw new SluiceError('USAGE_INVALID', `Dataset ${dataset.name}: ${problems.join('; ')}.`);
  }
  return {
    dataset: dataset.name,
    ...(source === undefined ? {} : { source }),
    ...(mode === undefined ? {} : { mode }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    ...(options.dryRun === true ? { dryRun: true } : {}),
    ...(options.maxRefused === undefined ? {} : { maxRefusedShare: options.maxRefused }),
    ...(options.allowShrink === true ? { allowShrink: true } : {}),
    ...(options.option === undefined ? {} : { options: options.option }),
  };
}

/**
 * Only "yes" replaces rows that are there.
 * @throws SluiceError QUESTION_DECLINED; USAGE_INVALID when there is nobody to ask
 */
async function confirmReplace(
  context: CliContext,
  dataset: DatasetView,
  request: JobRequest,
  signal: AbortSignal,
): Promise<void> {
  const filled = dataset.tables.filter(({ rows }) => rows > 0);
  if (request.mode !== 'replace' || request.dryRun === true || filled.length === 0) return;
  const rows = filled.map(({ table, rows }) => `  ${table}: ${formatCount(rows)} rows\n`).join('');
  if (context.stdin.isTTY !== true) {
    throw new SluiceError(
      'USAGE_INVALID',
      `"replace" would replace these rows, and there is no terminal to ask on:\n${rows}Pass --yes to replace them.`,
    );
  }
  const question = `The job replaces all rows of ${dataset.name}:\n${rows}Type "yes" to go on: `;
  const answer = await ask(question, { input: context.stdin, output: context.stderr }, signal);
  if (answer !== 'yes') throw new SluiceError('QUESTION_DECLINED', 'Cancelled: the answer was not "yes".');
}
