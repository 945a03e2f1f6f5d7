import type { JobDetail, JobSummary } from '#core/job/job-view.js';
import type { Exit } from '../exit-codes.js';
import { formatCount, formatDuration, formatTime } from '../render/format.js';
import { plainText } from '../render/plain-text.js';
import { PROGRAM, renderReport } from '../render/report.js';
import { stageLine } from '../render/stage-line.js';
import { renderTable, type TableColumn } from '../render/table.js';
import { isFinal } from '#core/job/job-state.js';
import { STAGES } from '#core/message/status-event.js';
import { type CliContext, connect, paintOf, write } from './context.js';

/** The commands that look at jobs and end them. */

export interface JobsOptions {
  readonly dataset?: string;
  readonly state?: string;
  readonly last: number;
  readonly json?: boolean;
}

/** Newest first. */
export async function jobs(context: CliContext, options: JobsOptions): Promise<Exit> {
  const client = await connect(context);
  const found: JobSummary[] = [];
  for await (const job of client.jobs({ dataset: options.dataset, state: options.state })) {
    if (found.push(job) === options.last) break;
  }
  const text =
    found.length === 0
      ? 'No jobs yet. Start one by: ' + `${PROGRAM} run <dataset>\n`
      : renderTable(found, JOB_COLUMNS);
  await write(context.stdout, options.json === true ? `${JSON.stringify(found)}\n` : text);
  return 'success';
}

const stateOf = (job: JobSummary): string =>
  job.interrupted
    ? 'interrupted'
    : job.pauseReason === null
      ? job.state
      : `${job.state} (${job.pauseReason})`;

const countOf = (count: number | undefined): string => (count === undefined ? '–' : formatCount(count));

const JOB_COLUMNS: readonly TableColumn<JobSummary>[] = [
  { title: 'job', value: (job) => job.id },
  { title: 'dataset', value: (job) => job.dataset },
  { title: 'mode', value: (job) => (job.dryRun ? `${job.mode}, dry` : job.mode) },
  { title: 'state', value: stateOf },
  { title: 'read', value: (job) => countOf(job.counts?.read), align: 'right' },
  { title: 'loaded', value: (job) => countOf(job.counts?.loaded), align: 'right' },
  { title: 'refused', value: (job) => countOf(job.counts?.refused), align: 'right' },
  {
    title: 'took',
    value: (job) => (job.seconds === null ? '–' : formatDuration(job.seconds)),
    align: 'right',
  },
  { title: 'created (UTC)', value: (job) => formatTime(job.createdAt) },
  { title: 'source', value: (job) => plainText(job.source) },
];

/** One job as it is now. */
export async function job(
  context: CliContext,
  id: string,
  options: { readonly json?: boolean },
): Promise<Exit> {
  const client = await connect(context);
  const detail = await client.job(id);
  if (options.json === true) {
    await write(context.stdout, `${JSON.stringify(detail)}\n`);
    return 'success';
  }
  const tables = (await client.datasets()).find(({ name }) => name === detail.dataset)?.tables ?? [];
  const text = isFinal(detail.state)
    ? renderReport(detail, tables, paintOf(context))
    : unfinishedText(detail);
  await write(context.stdout, `${text}\n${factsText(detail)}`);
  return 'success';
}

function unfinishedText(job: JobDetail): string {
  const stages = STAGES.map((stage) => `  ${stageLine(job, stage)}\n`).join('');
  const error =
    job.error === null ? '' : `  ${plainText(job.error.message)} ${plainText(job.error.action)}\n`;
  return (
    `Job ${job.id} (${job.dataset}, ${job.mode}${job.dryRun ? ', dry run' : ''}) is ${stateOf(job)}.\n` +
    `${error}${stages}To follow it or to end it:\n  ${PROGRAM} watch ${job.id}\n  ${PROGRAM} cancel ${job.id}\n`
  );
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

/** Asks for the end of a job; it is over when `watch` says so. */
export async function cancel(context: CliContext, id: string): Promise<Exit> {
  const client = await connect(context);
  const answer = await client.cancelJob(id);
  await write(context.stdout, `Job ${answer.id} is ${answer.state}; the tables stay as they were.\n`);
  return 'success';
}
