import type { StreamHour, StreamView } from '#api/streams.js';
import { plainText } from '#common/text/plain-text.js';
import { counted, formatCount, formatDuration, formatTime } from './format.js';
import { PROGRAM } from './program-name.js';
import type { TableColumn } from './table.js';

/** How streams are shown. PURE. */

const known = (value: number | null, text: (value: number) => string): string =>
  value === null ? 'unknown' : text(value);

function stateWords({ state, reason, wait }: StreamView): string {
  if (reason !== null) return `${state} (${reason})`;
  return wait === null ? state : `${state}, waits`;
}

const rateOf = ({ recordsPerSecond }: StreamView): string =>
  recordsPerSecond === 0 ? '–' : `${formatCount(Math.max(1, recordsPerSecond))}/s`;

/** A stream is one line. */
export const STREAM_COLUMNS: readonly TableColumn<StreamView>[] = [
  { title: 'dataset', value: ({ dataset }) => dataset },
  { title: 'state', value: stateWords },
  { title: 'lag', value: ({ lagRecords }) => known(lagRecords, formatCount), align: 'right' },
  { title: 'age', value: ({ lagSeconds }) => known(lagSeconds, formatDuration), align: 'right', leaveOut: 3 },
  { title: 'rate', value: rateOf, align: 'right', leaveOut: 2 },
  { title: 'records', value: ({ records }) => formatCount(records), align: 'right' },
  { title: 'jobs', value: ({ jobs }) => formatCount(jobs), align: 'right', leaveOut: 1 },
];

/** An hour is one line. */
export const STREAM_HOUR_COLUMNS: readonly TableColumn<StreamHour>[] = [
  { title: 'hour (UTC)', value: ({ hour }) => formatTime(hour) },
  { title: 'jobs', value: ({ jobs }) => formatCount(jobs), align: 'right' },
  { title: 'read', value: ({ read }) => formatCount(read), align: 'right', leaveOut: 1 },
  { title: 'loaded', value: ({ loaded }) => formatCount(loaded), align: 'right' },
  { title: 'refused', value: ({ refused }) => formatCount(refused), align: 'right' },
  {
    title: 'findings',
    value: ({ findings }) => (Object.keys(findings).length === 0 ? '–' : countsText(findings)),
    leaveOut: 2,
  },
];

/** One stream with all that is known of it. */
export function streamText(view: StreamView): string {
  const { settings, lastJob, findings, detail, wait } = view;
  const lag =
    view.lagRecords === 0 && view.jobsInFlight === 0
      ? 'none'
      : `${known(view.lagRecords, (lagRecords) => counted(lagRecords, 'record'))}, the oldest ${known(view.lagSeconds, formatDuration)} old`;
  const last =
    lastJob === null
      ? 'none'
      : `${lastJob.id} (${lastJob.state}${lastJob.counts === null ? '' : `, ${formatCount(lastJob.counts.loaded)} loaded, ${formatCount(lastJob.counts.refused)} refused`})`;
  const facts: readonly (readonly [string, string])[] = [
    ['state', `${stateWords(view)}${view.since === null ? '' : ` since ${formatTime(view.since)} UTC`}`],
    ...(wait === null ? [] : [['waits', `${plainText(wait.message)} [${wait.code}]`] as const]),
    ['lag', lag],
    ['rate', rateOf(view)],
    ['taken', `${counted(view.records, 'record')} in ${counted(view.jobs, 'job')}`],
    ['last job', last],
    ['in work', counted(view.jobsInFlight, 'job')],
    [
      'a job is',
      `${counted(settings.maxRecords, 'record')}, ${formatCount(settings.maxBytes)} bytes or ${formatCount(settings.maxMs)} ms`,
    ],
    ['inbox', `${view.topic}, ${counted(view.partitions.length, 'partition')}`],
    ...(Object.keys(findings).length === 0 ? [] : [['findings', countsText(findings)] as const]),
  ];
  const lines = facts.map(([name, value]) => `  ${name.padEnd(9)} ${value}\n`).join('');
  const positions = view.partitions
    .map(({ partition, position, low, high }) => {
      const held = low === null || high === null ? 'unknown' : `${low} to ${high}`;
      return `    ${String(partition).padStart(3)}  ${position ?? 'not begun'} of ${held}\n`;
    })
    .join('');
  const places =
    positions === '' ? '' : `  partitions: next offset of those that the inbox holds\n${positions}`;
  return `${view.dataset}\n${lines}${places}${detail === null ? '' : detailText(view)}`;
}

/** Why it stands, and what to do. */
export function detailText({ dataset, detail, reason }: StreamView): string {
  if (detail === null) return '';
  const reasons = (detail.reasons ?? []).map(({ code, count }) => `${code} ${formatCount(count)}`).join(', ');
  return [
    `${dataset} is paused (${reason ?? 'unknown'}): ${plainText(detail.message)} [${detail.code}]`,
    ...(reasons === '' ? [] : [`  most frequent: ${plainText(reasons)}`]),
    `  to do: ${plainText(detail.action)}`,
    ...(detail.job === undefined ? [] : [`  ${PROGRAM} job ${detail.job}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function countsText(findings: Readonly<Record<string, number>>): string {
  const all = Object.entries(findings).sort(([, a], [, b]) => b - a);
  const shown = all.slice(0, 5).map(([code, count]) => `${code} ${formatCount(count)}`);
  return plainText([...shown, ...(all.length > 5 ? [`and ${all.length - 5} more`] : [])].join(', '));
}
