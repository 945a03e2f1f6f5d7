import type { JobDetail, JobSummary } from '#api/jobs.js';
import { plainText } from '#common/text/plain-text.js';
import { counted, formatCount } from './format.js';
import { PROGRAM } from './program-name.js';

/** What the state of a job means, and what an operator can do about it. PURE. */

/** `paused (breaker)`, `interrupted`, `failed (resumable)` … */
export function stateWords(job: JobSummary): string {
  if (job.interrupted) return 'interrupted';
  if (job.pauseReason !== null) return `${job.state} (${job.pauseReason})`;
  if (job.problem !== null && job.state === 'running') return `${job.state} (stuck)`;
  return job.resumable ? `${job.state} (resumable)` : job.state;
}

/** Why the job stands still or has ended so, and the commands that change it; empty when nothing has to be done. */
export function nextSteps(job: JobSummary): string {
  const { id, state } = job;
  if (state === 'paused') return pausedPart(job);
  if (state === 'running' && job.problem !== null) {
    const { code, message } = job.problem;
    return (
      `It cannot continue by itself: ${plainText(message)} [${code}]\n` +
      `To read its source again and publish what is missing, or to cancel it:\n${commands(id, 'resume', 'cancel')}`
    );
  }
  if (job.interrupted) {
    return (
      'No ingestor reads its source at the moment. It continues by itself when one is back.\n' +
      `To ask for that now, or to cancel it:\n${commands(id, 'resume', 'cancel')}`
    );
  }
  if (job.resumable) {
    const kept = hasLoaded(job)
      ? 'What it had loaded is kept. To resume it, or to discard it:'
      : 'It had loaded nothing. To try again once the cause is removed, or to discard it:';
    return `${kept}\n${commands(id, 'resume', 'discard')}`;
  }
  if (job.wait !== null) return `${waitText(job.wait)}\nIt continues by itself when that is over.\n`;
  return '';
}

/** Lists of jobs do not say; a job alone does, by what its loaders have done. */
function hasLoaded(job: JobSummary & Partial<Pick<JobDetail, 'stages'>>): boolean {
  return job.stages === undefined || job.stages.some(({ stage, records }) => stage === 'load' && records > 0);
}

function pausedPart({ id, pauseReason, pauseDetail }: JobSummary): string {
  const why =
    pauseDetail === null
      ? 'An operator paused it; it waits to be continued.\n'
      : `It was paused (${pauseReason ?? 'operator'}): ${plainText(pauseDetail.message)} [${pauseDetail.code}]\n`;
  const reasons = pauseDetail?.reasons ?? [];
  const table = reasons.length === 0 ? '' : `The most frequent reasons:\n${codeRows(reasons)}`;
  const mend =
    pauseReason === 'schema'
      ? 'Fix the table or the grants first. '
      : pauseReason === 'fault'
        ? 'Remove the cause first, or check whether it has passed. '
        : pauseReason === 'contract'
          ? 'Run one version of Sluice everywhere first. Continued, the job begins again from its first record. '
          : '';
  const letters = reasons.length === 0 ? '' : `The refused records:\n  ${PROGRAM} dead-letters --job ${id}\n`;
  return `${why}${table}${letters}${mend}To continue it, or to cancel it:\n${commands(id, 'continue', 'cancel')}`;
}

/** `It waits since 12:00:00 (load): … [STAGE_BEHIND]` */
export function waitText({ stage, code, message, since }: NonNullable<JobSummary['wait']>): string {
  return `It waits since ${new Date(since).toISOString().replace(/\.\d+Z$/, 'Z')} (${stage}): ${plainText(message)} [${code}]`;
}

/** What cancelling threw away. */
export function discardedText(discarded: NonNullable<JobSummary['discarded']>): string {
  const { loadedBatches, loadedRecords, pendingBatches, pendingRecords } = discarded;
  const parts: string[] = [];
  if (loadedBatches > 0) parts.push(`${batches(loadedBatches, loadedRecords)} that were staged`);
  if (pendingBatches > 0) parts.push(`${batches(pendingBatches, pendingRecords)} still under way`);
  return parts.length === 0 ? 'It had loaded nothing yet.\n' : `Dropped: ${parts.join(', ')}.\n`;
}

function batches(count: number, records: number): string {
  return `${counted(count, 'batch', 'batches')} (${counted(records, 'record')})`;
}

/** One code a line, with how often it was given. */
export function codeRows(
  rows: readonly { readonly code: string; readonly count: number }[],
  categories: Readonly<Record<string, string>> = {},
): string {
  return rows
    .map(({ code, count }) => {
      const category = categories[code] === undefined ? '' : `   ${plainText(categories[code])}`;
      return `  ${code.padEnd(25)} ${formatCount(count).padStart(11)}${category}\n`;
    })
    .join('');
}

function commands(id: string, ...names: readonly string[]): string {
  return names.map((name) => `  ${PROGRAM} ${name} ${id}\n`).join('');
}

/** By which version of the contract it is validated, and what it has loaded again; empty for answers of older builds. */
export function validatedText({ contractVersion, originJob = null, replay = null }: JobSummary): string {
  const version = contractVersion === undefined ? '' : `  contract       version ${contractVersion}\n`;
  if (originJob === null) return version;
  const by = replay === null ? '' : `, by ${PROGRAM} replay ${replay}`;
  return `${version}  loaded again   job ${originJob}${by}\n`;
}
