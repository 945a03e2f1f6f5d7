import type { DatasetView } from '#api/datasets.js';
import type { JobDetail, UnknownMember } from '#api/jobs.js';
import { plainText } from '#common/text/plain-text.js';
import { formatCount, formatDuration, formatRate, formatShare } from './format.js';
import { codeRows, discardedText, nextSteps, validatedText } from './job-state.js';
import type { Paint } from './paint.js';
import { PROGRAM } from './program-name.js';
import { type RunCounts, runCounts } from './run-json.js';

/** The end of a job for people: what happened, every count, the reasons, and where to look next. */
export function renderReport(job: JobDetail, tables: DatasetView['tables'], paint: Paint): string {
  const parts = [headline(job, paint) + validatedText(job)];
  if (job.error !== null) parts.push(errorPart(job));
  if (job.counts !== null || runCounts(job).read > 0) parts.push(countsPart(job));
  if (Object.keys(job.findings).length > 0) parts.push(findingsTable(job.findings, job.categories));
  if (job.unknownMembers !== undefined) parts.push(membersPart(job.unknownMembers));
  if (changedNothing(job)) parts.push('Nothing changed: no record was new, and none changed a row.\n');
  parts.push(job.state === 'succeeded' && !job.dryRun ? tablesPart(tables) : untouchedPart(job));
  parts.push(nextSteps(job));
  if (runCounts(job).refused > 0) parts.push(refusedPart(job));
  return parts.filter((part) => part !== '').join('\n');
}

function headline(job: JobDetail, paint: Paint): string {
  const style = job.state === 'succeeded' ? 'green' : job.state === 'failed' ? 'red' : 'yellow';
  const what = `${job.dataset}, ${job.mode}${job.dryRun ? ', dry run' : ''}`;
  const duration = job.seconds === null ? '' : ` after ${formatDuration(job.seconds)}`;
  return `Job ${job.id} (${what}) ${paint(style, job.state)}${duration}.\n`;
}

function errorPart(job: JobDetail): string {
  if (job.error === null) return '';
  const { code, message, action } = job.error;
  // The findings of a refused head stand one a line; each line is made safe on its own.
  const what = message
    .split('\n')
    .map(plainText)
    .join(`\n${' '.repeat(17)}`);
  return `  what happened  ${what} [${code}]\n  what to do     ${plainText(action)}\n`;
}

function countsPart(job: JobDetail): string {
  const counts = runCounts(job);
  const remarks: Readonly<Record<string, string | undefined>> = {
    loaded: formatRate(counts.loaded, job.seconds),
    refused: counts.read > 0 && counts.refused > 0 ? refusedRemark(job, counts) : undefined,
  };
  const isShown = (name: (typeof COUNT_ROWS)[number]): boolean =>
    name === 'deleted' ? counts.deleted > 0 : isMerge(job) || !MERGE_ROWS.has(name);
  const rows = COUNT_ROWS.filter(isShown).map((name) => {
    const label = MERGE_ROWS.has(name) ? `  ${name}` : name;
    const remark = remarks[name];
    return `  ${label.padEnd(12)}${formatCount(counts[name]).padStart(15)}${remark === undefined ? '' : `   ${remark}`}\n`;
  });
  return rows.join('');
}

/** The share, and what became of them since: they stay refused records of this job. */
function refusedRemark({ deadLetters: { states } }: JobDetail, { refused, read }: RunCounts): string {
  const since = [
    [states?.landed, 'landed later'],
    [states?.discarded, 'discarded'],
    [states?.resubmitted, 'resubmitted'],
    [states?.refusedAgain, 'refused again'],
  ] as const;
  const parts = since
    .filter(([count]) => (count ?? 0) > 0)
    .map(([count, what]) => `${formatCount(count ?? 0)} ${what}`);
  return [formatShare(refused / read), ...parts].join(', ');
}

const COUNT_ROWS = [
  'read',
  'loaded',
  'inserted',
  'updated',
  'unchanged',
  'deleted',
  'refused',
  'skipped',
  'superseded',
  'warnings',
] as const satisfies readonly (keyof RunCounts)[];

/** What became of the loaded records; with `replace` each of them is a new row. */
const MERGE_ROWS: ReadonlySet<string> = new Set(['inserted', 'updated', 'unchanged', 'deleted']);

const isMerge = (job: JobDetail): boolean => job.counts !== null && job.mode !== 'replace';

/** Merging the same file again, for example. */
function changedNothing(job: JobDetail): boolean {
  if (job.state !== 'succeeded' || job.dryRun || job.counts === null || job.mode === 'replace') return false;
  const { inserted, updated, deleted } = runCounts(job);
  return inserted + updated + deleted === 0;
}

/** How often each reason was given, the commonest first, and what it is about. */
export function findingsTable(
  findings: Readonly<Record<string, number>>,
  categories: Readonly<Record<string, string>> = {},
): string {
  const rows = Object.entries(findings)
    .map(([code, count]) => ({ code, count }))
    .sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1));
  return `By reason:\n${codeRows(rows, categories)}`;
}

/** Members that the contract does not read: a renamed one shows here, and not only as values that are missing. */
export function membersPart(members: readonly UnknownMember[]): string {
  if (members.length === 0) return '';
  const rows = members.map(({ name, records }) => `  ${plainText(name)}: ${formatCount(records)}\n`);
  return `Members that the contract does not read, and records that hold them:\n${rows.join('')}`;
}

function tablesPart(tables: DatasetView['tables']): string {
  const first = tables[0];
  if (first === undefined) return '';
  const width = Math.max(...tables.map(({ table }) => table.length));
  const rows = tables.map(
    ({ table, rows }) => `  ${table.padEnd(width)} ${formatCount(rows).padStart(13)} rows\n`,
  );
  return (
    `The rows are in:\n${rows.join('')}\nTo look at them:\n` +
    `  eval "$(${PROGRAM} env)"\n  psql "$DATABASE_URL" -c 'SELECT * FROM ${first.table} LIMIT 10'\n`
  );
}

function untouchedPart(job: JobDetail): string {
  if (job.dryRun && job.state === 'succeeded')
    return 'Dry run: this is what would happen; nothing was kept.\n';
  const discarded = job.discarded === null ? '' : discardedText(job.discarded);
  return job.dryRun ? discarded : `The tables are as they were.\n${discarded}`;
}

function refusedPart(job: JobDetail): string {
  return (
    `The refused records, each with its reasons:\n` +
    `  ${PROGRAM} dead-letters --job ${job.id}\n` +
    `  ${PROGRAM} dead-letters --job ${job.id} --export refused.csv\n`
  );
}
