import type { JobCounts } from '#api/job-facts.js';
import type { StreamPauseDetail } from '#api/streams.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Breaker } from '../dataset/dataset.js';

/**
 * When a stream is paused because too much of what it loaded lately was refused. PURE.
 *
 * Each job of a stream is small, and whatever is good in it becomes visible: so the limits of the dataset hold for the
 * latest jobs together. Their share is judged from MIN_JUDGED_RECORDS on, as `maxRefusedShare` is: a thin stream would
 * otherwise be refused for hours before a window of 20,000 records is full.
 */
export interface JudgedStreamJob {
  readonly counts: JobCounts;
  readonly findings: Readonly<Record<string, number>>;
}

export const MIN_JUDGED_RECORDS = 100;
const REASONS_SHOWN = 5;

/**
 * @param jobs that succeeded, the newest first; the older ones of them are not looked at once the window is full
 * @param warningCodes refuse nothing, so they are no reasons
 * @returns why the stream has to be paused, or null
 */
export function judgeStream(
  dataset: string,
  breaker: Breaker,
  jobs: readonly JudgedStreamJob[],
  warningCodes: readonly string[],
): StreamPauseDetail | null {
  let records = 0;
  let refused = 0;
  const window: JudgedStreamJob[] = [];
  for (const job of jobs) {
    if (records >= breaker.windowRecords) break;
    records += job.counts.read;
    refused += job.counts.refused;
    window.push(job);
  }
  if (!isTooMuchRefused(breaker, { read: records, refused })) return null;
  const { maxShare, maxCount } = breaker;
  const limit =
    maxCount !== null && refused > maxCount ? `${maxCount} records` : `${(maxShare * 100).toFixed(2)} %`;
  const share = ((refused / records) * 100).toFixed(2);
  const { code, message, action } = new SluiceError(
    'STREAM_BREAKER',
    `${refused} of the last ${records} records of the stream of ${dataset} were refused (${share} %); more than ${limit} pause it.`,
    { dataset },
  );
  return { code, message, action, reasons: frequentFindings(window, warningCodes) };
}

/** Whether these records, the latest of a stream, pause it. */
export function isTooMuchRefused(
  { maxShare, maxCount }: Breaker,
  { read, refused }: Pick<JobCounts, 'read' | 'refused'>,
): boolean {
  if (maxCount !== null && refused > maxCount) return true;
  return read >= MIN_JUDGED_RECORDS && refused > maxShare * read;
}

/** The most frequent findings of all these jobs, the most frequent first. */
export function frequentFindings(
  jobs: readonly Pick<JudgedStreamJob, 'findings'>[],
  warningCodes: readonly string[],
): readonly { readonly code: string; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const { findings } of jobs)
    for (const [code, count] of Object.entries(findings)) counts.set(code, (counts.get(code) ?? 0) + count);
  return [...counts]
    .filter(([code]) => !warningCodes.includes(code))
    .map(([code, count]) => ({ code, count }))
    .sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1))
    .slice(0, REASONS_SHOWN);
}
