import type { DatasetView, JobDetail } from '#core/job/job-view.js';
import { formatCount, formatDuration, formatRate, formatShare } from './format.js';
import type { Paint } from './paint.js';
import { plainText } from './plain-text.js';
import { runCounts } from './run-json.js';

/** How a command is typed in a clone; what the report and the notes suggest can be copied as it stands. */
export const PROGRAM = 'npx sluice';

/** The end of a job for people: what happened, every count, the reasons, and where to look next. */
export function renderReport(job: JobDetail, tables: DatasetView['tables'], paint: Paint): string {
  const parts = [headline(job, paint)];
  if (job.error !== null) parts.push(errorPart(job));
  if (job.counts !== null || runCounts(job).read > 0) parts.push(countsPart(job));
  if (Object.keys(job.findings).length > 0) parts.push(findingsTable(job.findings));
  parts.push(job.state === 'succeeded' && !job.dryRun ? tablesPart(tables) : untouchedPart(job));
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
  return `  what happened  ${plainText(message)} [${code}]\n  what to do     ${plainText(action)}\n`;
}

function countsPart(job: JobDetail): string {
  const counts = runCounts(job);
  const remarks: Readonly<Record<string, string | undefined>> = {
    loaded: formatRate(counts.loaded, job.seconds),
    refused: counts.read > 0 && counts.refused > 0 ? formatShare(counts.refused / counts.read) : undefined,
  };
  const rows = (['read', 'loaded', 'refused', 'skipped', 'superseded', 'warnings'] as const).map((name) => {
    const remark = remarks[name];
    return `  ${name.padEnd(12)}${formatCount(counts[name]).padStart(15)}${remark === undefined ? '' : `   ${remark}`}\n`;
  });
  return rows.join('');
}

/** How often each reason was given, the commonest first. */
export function findingsTable(findings: Readonly<Record<string, number>>): string {
  const rows = Object.entries(findings)
    .sort(([codeA, a], [codeB, b]) => b - a || (codeA < codeB ? -1 : 1))
    .map(([code, count]) => `  ${code.padEnd(25)} ${formatCount(count).padStart(11)}\n`);
  return `By reason:\n${rows.join('')}`;
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
  return job.dryRun ? '' : 'The tables are as they were.\n';
}

function refusedPart(job: JobDetail): string {
  return (
    `The refused records, each with its reasons:\n` +
    `  ${PROGRAM} dead-letters --job ${job.id}\n` +
    `  ${PROGRAM} dead-letters --job ${job.id} --export refused.csv\n`
  );
}
