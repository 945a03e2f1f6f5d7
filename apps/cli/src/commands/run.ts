import type { DatasetView } from '#api/datasets.js';
import type { JobAccepted, JobRequest } from '#api/jobs.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type ExistingKeys, resolveOptions, type WriteMode } from '#core/dataset/dataset.js';
import { loadRegistry } from '#core/registry/registry.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { formatCount } from '../render/format.js';
import { PROGRAM } from '../render/program-name.js';
import { suggestion } from './closest-name.js';
import { confirm } from './confirm.js';
import { type CliContext, connect, interruptible } from './context.js';
import { chosenContext } from './find-system.js';
import { remoteSource, resolveSource } from './option-values.js';
import { warnOfRunningSystem } from './other-build.js';
import { type Ran, followAndReport, sayDetached } from './report-job.js';
import { warnOfStream } from './warn-of-stream.js';

/** `sluice run`: asks when rows would be replaced, starts the job, shows it, reports. */
export interface RunOptions {
  readonly source?: string | undefined;
  readonly mode?: WriteMode;
  readonly limit?: number;
  readonly dryRun?: boolean;
  readonly strict?: boolean;
  readonly maxRefused?: number;
  readonly allowShrink?: boolean;
  readonly existing?: ExistingKeys;
  readonly breakerShare?: number;
  readonly breakerCount?: number;
  readonly option?: Readonly<Record<string, string>>;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export async function run(context: CliContext, name: string, options: RunOptions): Promise<Exit> {
  const isElsewhere = (await chosenContext(context.settings())) !== null;
  const resolved = isElsewhere ? remoteSource : resolveSource;
  const source = options.source === undefined ? undefined : resolved(options.source, context.cwd);
  const client = await connect(context);
  return interruptible(context, async (signal) => {
    const { exit, job } = await startAndReport(context, client, name, { ...options, source }, signal);
    return sayDetached(context, exit, job, options.json === true);
  });
}

/** @param options with the source as the ingestor understands it */
export async function startAndReport(
  context: CliContext,
  client: SluiceClient,
  name: string,
  options: RunOptions,
  signal: AbortSignal,
): Promise<Ran> {
  const datasets = await client.datasets();
  await warnOfRunningSystem(context, client, datasets);
  const dataset = await findRunnable(context, datasets, name);
  const request = requestFor(dataset, options);
  await warnOfStream(context, client, request);
  if (options.yes !== true) await confirmReplace(context, dataset, request, signal);
  if (signal.aborted) return { exit: 'detached' };
  const accepted = await start(client, request);
  return followAndReport(context, client, accepted.id, signal, options.json === true);
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

/** A folder that was added since the services were started is known here and not there. */
async function findRunnable(
  context: CliContext,
  datasets: readonly DatasetView[],
  name: string,
): Promise<DatasetView> {
  try {
    return findDataset(datasets, name);
  } catch (error) {
    const isHere = await loadRegistry(context.settings().extraDatasetPaths()).then(
      (registry) => registry.entries().some((entry) => entry.name === name),
      () => false,
    );
    if (!isHere) throw error;
    throw new SluiceError(
      'DATASET_UNKNOWN',
      `The running system does not know the dataset "${name}" of this checkout: it was started before. ` +
        `Start it again by \`${PROGRAM} restart\`; running jobs continue afterwards.`,
    );
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
  if (options.existing !== undefined && mode !== 'append') problems.push('--existing is for append only');
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
    ...(options.strict === undefined ? {} : { strict: options.strict }),
    ...(options.maxRefused === undefined ? {} : { maxRefusedShare: options.maxRefused }),
    ...(options.allowShrink === true ? { allowShrink: true } : {}),
    ...(options.existing === undefined ? {} : { existingKeys: options.existing }),
    ...(options.breakerShare === undefined ? {} : { breakerShare: options.breakerShare }),
    ...(options.breakerCount === undefined ? {} : { breakerCount: options.breakerCount }),
    ...(options.option === undefined ? {} : { options: options.option }),
  };
}

/**
 * Only "yes" replaces rows that are there.
 * @throws SluiceError QUESTION_DECLINED; USAGE_INVALID without a terminal
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
  await confirm(
    context,
    {
      question: `The job replaces all rows of ${dataset.name}:\n${rows}`,
      withoutTerminal: `"replace" would replace these rows, and there is no terminal to ask on:\n${rows}Pass --yes to replace them.`,
    },
    signal,
  );
}
