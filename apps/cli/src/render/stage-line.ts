import { type Stage, STAGES } from '#api/job-words.js';
import type { JobDetail, StageProgress } from '#api/jobs.js';
import { plainText } from '#common/text/plain-text.js';
import { formatCount, formatDuration } from './format.js';

/** The progress of a job in one line for each stage (bars), or in one line for all (logs). PURE. */

const BAR_CELLS = 24;

/** How much of a stage is done, 0…1; undefined while its total is unknown. */
export function stageShare(progress: StageProgress): number | undefined {
  if (progress.done) return 1;
  const { records, totalRecords, bytes, totalBytes } = progress;
  const share =
    totalRecords !== null && totalRecords > 0
      ? records / totalRecords
      : totalBytes !== null && totalBytes > 0
        ? bytes / totalBytes
        : undefined;
  // A stage that is not done is never shown as 100 %: its last batch or its acknowledgement is still out.
  return share === undefined ? undefined : Math.min(share, 0.99);
}

/** `validate  [██████░░░░]  41 %   123,000 records   51,200/s   3.5 s left` */
export function stageLine(job: JobDetail, stage: Stage): string {
  const progress = job.stages.find((each) => each.stage === stage);
  const share = stage === 'finalize' ? finalizeShare(job) : progress && stageShare(progress);
  const percentage = share === undefined ? '' : `${Math.floor(share * 100)} %`;
  const own = stage === 'finalize' ? finalizeFacts(job) : progress ? stageFacts(progress) : '';
  const facts = job.wait?.stage === stage ? `${own}  waits: ${plainText(job.wait.message)}`.trimStart() : own;
  return `${stage.padEnd(8)}  ${bar(share ?? 0)}  ${percentage.padStart(5)}  ${facts}`.trimEnd();
}

function bar(share: number): string {
  const full = Math.floor(share * BAR_CELLS);
  return `[${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}]`;
}

function stageFacts(progress: StageProgress): string {
  const facts = [`${formatCount(progress.records).padStart(11)} records`];
  if (progress.done) return facts.join('');
  if (progress.recordsPerSecond !== null) facts.push(`${formatCount(progress.recordsPerSecond)}/s`);
  if (progress.etaSeconds !== null) facts.push(`${formatDuration(progress.etaSeconds)} left`);
  return facts.join('  ');
}

const finalizeShare = (job: JobDetail): number | undefined => (job.state === 'succeeded' ? 1 : undefined);

function finalizeFacts(job: JobDetail): string {
  if (job.state === 'finalizing') return job.step ?? 'beginning';
  return job.state === 'failed' || job.state === 'cancelled' ? job.state : '';
}

/** `running: ingest 62 %, validate 60 %, load 55 %; 165,000 of 300,000 records, 51,200/s` */
export function progressLine(job: JobDetail): string {
  const line = stateLine(job);
  return job.wait === null ? line : `${line}; ${waitWords(job.wait)}`;
}

const waitWords = ({ stage, message }: NonNullable<JobDetail['wait']>): string =>
  `waits (${stage}): ${plainText(message)}`;

function stateLine(job: JobDetail): string {
  const state = job.interrupted ? 'interrupted' : job.state;
  if (job.state !== 'running') {
    const word = job.step ?? job.pauseReason;
    return word === null ? state : `${state}: ${word}`;
  }
  const shown = job.stages.filter(({ stage }) => stage !== 'finalize').sort(inOrder);
  const parts = shown.map((progress) => {
    const share = stageShare(progress);
    return `${progress.stage} ${share === undefined ? formatCount(progress.records) : `${Math.floor(share * 100)} %`}`;
  });
  const last = shown.at(-1);
  if (last === undefined) return state;
  const total = last.totalRecords === null ? '' : ` of ${formatCount(last.totalRecords)}`;
  const rate = last.recordsPerSecond === null ? '' : `, ${formatCount(last.recordsPerSecond)}/s`;
  return `${state}: ${parts.join(', ')}; ${formatCount(last.records)}${total} records${rate}`;
}

const inOrder = (a: StageProgress, b: StageProgress): number =>
  STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage);
