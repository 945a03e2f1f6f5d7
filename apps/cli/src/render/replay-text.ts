import type { LeftOutReason, ReplayAccepted, ReplayJobView, ReplayView } from '#api/replays.js';
import { plainText } from '#common/text/plain-text.js';
import { counted, formatCount, formatTime } from './format.js';
import { PROGRAM } from './program-name.js';
import type { TableColumn } from './table.js';

/** How replays are shown. PURE. */

const LEFT_OUT: Readonly<Record<LeftOutReason, string>> = {
  active: 'active',
  resumable: 'failed, and can be resumed',
  unsuccessful: 'not succeeded; see --only missing',
  'dry-run': 'dry runs',
  replay: 'themselves jobs of a replay',
  nothing: 'without any of what is wanted',
  expired: 'deleted from the raw topic',
  unknown: 'not known any more',
  pruned: 'of the stream, whose rows are deleted',
  overtaken: 'in mode replace, with later ones visible',
  unfinished: 'in mode replace, whose source was not read to the end',
};

/** What a replay covers, before it begins. */
export function coverText({ dataset, covers, deleted, leftOut }: ReplayAccepted): string {
  const { jobs, batches, records } = covers;
  return [
    `The replay covers ${counted(jobs, 'job')} of ${plainText(dataset)}: ${counted(batches, 'batch', 'batches')}, ${counted(records, 'record')}.\n`,
    deletedText(deleted),
    ...leftOut.map(
      ({ reason, jobs: left, example }) =>
        `Left out: ${counted(left, 'job')} ${LEFT_OUT[reason]} (${left === 1 ? '' : 'one is '}${example}).\n`,
    ),
  ].join('');
}

function deletedText({ jobs, batches, records, offsets }: ReplayAccepted['deleted']): string {
  const parts = [
    batches === 0
      ? ''
      : `${counted(batches, 'batch', 'batches')} with ${counted(records, 'record')} of ${counted(jobs, 'job')}`,
    offsets === 0 ? '' : counted(offsets, 'offset'),
  ].filter((part) => part !== '');
  return parts.length === 0
    ? 'Nothing of it is deleted from the raw topic.\n'
    : `Deleted from the raw topic, and not covered: ${parts.join('; ')}.\n`;
}

const jobsOf = ({ jobs, covers }: ReplayView): string =>
  `${formatCount(jobs.succeeded + jobs.failed + jobs.cancelled)} of ${formatCount(covers.jobs)}`;

/** A replay is one line. */
export const REPLAY_COLUMNS: readonly TableColumn<ReplayView>[] = [
  { title: 'replay', value: ({ id }) => id.slice(-8) },
  { title: 'dataset', value: ({ dataset }) => plainText(dataset) },
  { title: 'state', value: ({ state, wait }) => (wait === null ? state : `${state}, waits`) },
  { title: 'jobs', value: jobsOf, align: 'right' },
  { title: 'records', value: ({ covers }) => formatCount(covers.records), align: 'right' },
  { title: 'only', value: ({ only }) => only, leaveOut: 2 },
  { title: 'created', value: ({ createdAt }) => formatTime(createdAt), leaveOut: 1 },
];

export const REPLAY_JOB_COLUMNS: readonly TableColumn<ReplayJobView>[] = [
  { title: 'origin', value: ({ origin }) => origin.slice(-8) },
  { title: 'job', value: ({ job }) => job?.slice(-8) ?? '–' },
  { title: 'state', value: ({ state }) => state ?? 'waiting' },
  { title: 'batches', value: ({ batches }) => formatCount(batches), align: 'right', leaveOut: 1 },
  { title: 'records', value: ({ records }) => formatCount(records), align: 'right' },
  {
    title: 'contract',
    value: ({ contractVersion }) => (contractVersion === null ? '–' : String(contractVersion)),
    align: 'right',
    leaveOut: 2,
  },
];

/** One replay with all that is known of it. */
export function replayText(view: ReplayView): string {
  const { id, dataset, state, selection, only, mode, atOnce, jobs, counts, wait, by, createdAt, finishedAt } =
    view;
  const times = `${formatTime(createdAt)} UTC${finishedAt === null ? '' : ` to ${formatTime(finishedAt)} UTC`}`;
  const facts: readonly (readonly [string, string])[] = [
    ['selected', selectionText(selection)],
    ['records', `${only}, in mode ${mode ?? 'of each job'}, ${counted(atOnce, 'job')} at once`],
    [
      'jobs',
      [
        `${jobsOf(view)} have ended`,
        ...(['active', 'waiting', 'failed', 'cancelled'] as const)
          .filter((name) => jobs[name] > 0)
          .map((name) => `${formatCount(jobs[name])} ${name}`),
      ].join(', '),
    ],
    [
      'counts',
      `${counted(counts.read, 'record')} read, ${formatCount(counts.inserted)} inserted, ${formatCount(counts.updated)} updated, ${formatCount(counts.unchanged)} unchanged, ${formatCount(counts.deleted)} deleted, ${formatCount(counts.superseded)} superseded, ${formatCount(counts.refused)} refused`,
    ],
    ['begun', `${times}${by === null ? '' : ` by ${plainText(by)}`}`],
  ];
  const lines = facts.map(([name, value]) => `  ${name.padEnd(9)} ${value}\n`).join('');
  const waits =
    wait === null
      ? ''
      : `It waits since ${formatTime(wait.since)} UTC: ${plainText(wait.message)} [${wait.code}]\n${wait.job === null ? '' : `  ${PROGRAM} job ${wait.job}\n`}`;
  return `Replay ${id} of ${plainText(dataset)} is ${state}.\n${lines}${endText(view)}${waits}`;
}

function endText({ state, changed }: ReplayView): string {
  if (state === 'running' || changed !== false) return '';
  return 'It changed nothing: every record was in the tables already, or was superseded or refused.\n';
}

function selectionText({ job, from, to, offsets }: ReplayView['selection']): string {
  if (job !== undefined) return `job ${job}`;
  if (offsets !== undefined)
    return `offsets ${offsets.map((one) => `${one.partition}:${one.from}-${one.to}`).join(',')}`;
  return `jobs from ${formatTime(from ?? null)} to ${formatTime(to ?? null)} UTC`;
}
