import type { JobDetail, JobSummary } from '#api/jobs.js';
import { messageOf } from '#common/errors/sluice-error.js';
import { plainText } from '#common/text/plain-text.js';
import type { SluiceClient } from '../client.js';
import type { Exit } from '../exit-codes.js';
import { successJson } from '../render/envelope.js';
import { counted, formatCount, formatDuration, formatTime } from '../render/format.js';
import { stateWords } from '../render/job-state.js';
import { PROGRAM } from '../render/program-name.js';
import { renderTable, type TableColumn } from '../render/table.js';
import { type CliContext, connect, widthOf, write } from './context.js';
import { type NamedJob, jobId, shortId } from './job-id.js';
import { requireDataset } from './known-dataset.js';
import { jobText } from './report-job.js';

/** The commands that look at jobs. */

export interface JobsOptions {
  readonly dataset?: string;
  readonly state?: string;
  readonly last: number;
  /** Only the jobs of the stream of this dataset. */
  readonly stream?: string;
  /** Those of streams too; else a stream is one line. */
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Newest first. */
export async function jobs(context: CliContext, options: JobsOptions): Promise<Exit> {
  const client = await connect(context);
  if (options.dataset !== undefined) await requireDataset(client, options.dataset);
  if (options.stream !== undefined) await requireDataset(client, options.stream);
  const { dataset, state, stream } = options;
  const hidesStreams = stream === undefined && options.all !== true;
  const found: JobSummary[] = [];
  for await (const job of client.jobs({
    dataset,
    state,
    stream,
    ...(hidesStreams ? { streams: 'hidden' } : {}),
  })) {
    if (found.push(job) === options.last) break;
  }
  if (options.json === true) {
    await write(context.stdout, `${JSON.stringify(found)}\n`);
    return 'success';
  }
  const streams = hidesStreams ? await streamLines(context, client, dataset) : '';
  const list =
    found.length === 0
      ? streams === ''
        ? noJobsText(options)
        : ''
      : renderTable(found, JOB_COLUMNS, widthOf(context.stdout));
  await write(context.stdout, `${list}${list === '' || streams === '' ? '' : '\n'}${streams}`);
  return 'success';
}

/** One for each stream that has jobs, in place of them. The list does not fail where streams cannot be asked for. */
async function streamLines(
  context: CliContext,
  client: SluiceClient,
  dataset: string | undefined,
): Promise<string> {
  try {
    return (await client.streams())
      .filter((stream) => stream.jobs > 0 && (dataset === undefined || stream.dataset === dataset))
      .map(
        (stream) =>
          `The stream of ${stream.dataset} is ${stream.state}: ${counted(stream.jobs, 'job')}, ${counted(stream.records, 'record')}. ` +
          `List them: ${PROGRAM} jobs --stream ${stream.dataset}\n`,
      )
      .join('');
  } catch (error) {
    context.stderr.write(`Jobs of streams are left out: ${messageOf(error)}\n`);
    return '';
  }
}

function noJobsText({ dataset, state, stream }: JobsOptions): string {
  if (stream !== undefined)
    return `The stream of ${stream} has no ${state === undefined ? '' : `${state} `}job.\n`;
  if (state !== undefined) return `No job${dataset === undefined ? '' : ` of ${dataset}`} is ${state}.\n`;
  return `No jobs yet. Start one by: ${PROGRAM} run ${dataset ?? '<dataset>'}\n`;
}

const countOf = (count: number | undefined): string => (count === undefined ? '–' : formatCount(count));

const JOB_COLUMNS: readonly TableColumn<JobSummary>[] = [
  { title: 'job', value: (job) => shortId(job.id) },
  { title: 'dataset', value: (job) => job.dataset },
  { title: 'mode', value: (job) => (job.dryRun ? `${job.mode}, dry` : job.mode), leaveOut: 3 },
  { title: 'state', value: stateWords },
  { title: 'read', value: (job) => countOf(job.counts?.read), align: 'right', leaveOut: 4 },
  { title: 'loaded', value: (job) => countOf(job.counts?.loaded), align: 'right' },
  { title: 'refused', value: (job) => countOf(job.counts?.refused), align: 'right' },
  {
    title: 'took',
    value: (job) => (job.seconds === null ? '–' : formatDuration(job.seconds)),
    align: 'right',
    leaveOut: 2,
  },
  { title: 'created (UTC)', value: (job) => formatTime(job.createdAt), leaveOut: 5 },
  { title: 'source', value: (job) => plainText(job.source), leaveOut: 1, shortenTo: 12 },
];

/** One job as it is now. */
export async function job(
  context: CliContext,
  id: string | undefined,
  options: NamedJob & { readonly json?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  const detail = await client.job(await jobId(context, client, { given: id, dataset: options.dataset }));
  if (options.json === true) {
    await write(context.stdout, successJson(detail));
    return 'success';
  }
  await write(context.stdout, `${await jobText(context, client, detail)}\n${factsText(detail)}`);
  return 'success';
}

function factsText(job: JobDetail): string {
  const facts: readonly (readonly [string, string])[] = [
    ['source', plainText(job.source)],
    ['limit', job.limit === null ? 'none' : `${formatCount(job.limit)} records`],
    ['created', `${formatTime(job.createdAt)} UTC`],
    ['started', `${formatTime(job.startedAt)} UTC`],
    ['finished', `${formatTime(job.finishedAt)} UTC`],
  ];
  return facts
    .filter(([, value]) => value !== '– UTC')
    .map(([name, value]) => `  ${name.padEnd(9)} ${value}\n`)
    .join('');
}
