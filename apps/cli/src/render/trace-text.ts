import type { TraceHistory, TraceVerdict, TraceView, TracedJob, TracedRecord } from '#api/trace.js';
import { plainText, shorten } from '#common/text/plain-text.js';
import { counted, formatCount, formatTime } from './format.js';
import type { Paint } from './paint.js';
import { reasonText } from './reason-text.js';

/** Records that are shown, the newest; `--json` has all. */
const SHOWN_RECORDS = 50;
const SHOWN_CHARACTERS = 160;

const ANSWERS: Readonly<Record<TraceVerdict, string>> = {
  'in-table': 'The row is in the table.',
  'row-unexplained': 'The row is in the table, and no record that was found explains it.',
  missing: 'By what was found the row should be in the table, and it is not: another program has removed it.',
  deleted: 'The row is not in the table: a delete took it away.',
  replaced: 'The row is not in the table: a later snapshot does not have it.',
  refused: 'The row is not in the table: the record was refused.',
  'not-visible': 'The row is not in the table: the job of its record is not visible.',
  'not-found': 'The row is not in the table, and no record with this key was found.',
};

/** A trace for people: the answer, every record with its fate, and how far the search went. PURE. */
export function traceText(view: TraceView, paint: Paint): string {
  const { dataset, key, verdict, row, records, jobs, history, removedBy } = view;
  const named = Object.entries(key).map(([column, value]) => `${column} ${shown(value)}`);
  const jobOf = new Map(jobs.map((job) => [job.id, job]));
  const left = records.length - SHOWN_RECORDS;
  const earlier = left > 0 ? `… ${counted(left, 'earlier record')}; --json has all\n` : '';
  const lines = records.slice(Math.max(0, left)).map((record) => recordText(record, jobOf, paint));
  const answer =
    row.isThere === null && verdict === 'in-table'
      ? 'By what was found, the row is in the table.'
      : ANSWERS[verdict];
  const by = removedBy?.record === null && verdict === 'replaced' ? `${jobText(removedBy.job, jobOf)}\n` : '';
  return `${dataset}: ${named.join(', ')}\n${paint('bold', answer)}\n${rowText(view)}${by}${earlier}${lines.join('')}${historyText(history)}`;
}

function rowText({ row: { table, isThere, version, rows, provenance } }: TraceView): string {
  if (isThere === null) return `${plainText(table)} cannot be read by the tracker, or is not there.\n`;
  const facts = [
    ...(version === null ? [] : [`version ${shown(version)}`]),
    ...(rows === null ? [] : [counted(rows, 'such row', 'such rows')]),
    ...Object.entries(provenance).map(([fact, value]) => `${fact} ${value === null ? '–' : shown(value)}`),
  ];
  return facts.length === 0 ? '' : `${plainText(table)}: ${facts.join(', ')}\n`;
}

function recordText(record: TracedRecord, jobs: ReadonlyMap<string, TracedJob>, paint: Paint): string {
  const { job, is, version, rows, message, deadLetter } = record;
  const facts = [
    ...(is === 'delete' ? ['a delete'] : is === 'mention' ? ['cannot be read, and mentions the key'] : []),
    ...(version === null ? [] : [`version ${shown(version)}`]),
    ...(rows === null ? [] : [counted(rows, 'such row', 'such rows')]),
    ...(message === null ? [] : [`message ${message.topic}/${message.partition}/${message.offset}`]),
  ];
  const place = `${placeText(record)} of ${jobText(job, jobs)}${facts.length === 0 ? '' : `; ${facts.join('; ')}`}`;
  const reasons = (deadLetter?.findings ?? []).map(
    (finding) => `    ${finding.code}  ${shorten(plainText(reasonText(finding)), SHOWN_CHARACTERS)}\n`,
  );
  return `${place}\n  ${paint(colorOf(record), fateText(record))}\n${reasons.join('')}`;
}

function placeText({ line, record }: Pick<TracedRecord, 'line' | 'record'>): string {
  return `line ${formatCount(line)}, record ${formatCount(record)}`;
}

function jobText(id: string, jobs: ReadonlyMap<string, TracedJob>): string {
  const job = jobs.get(id);
  if (job === undefined) return `job ${id}`;
  const { mode, state, source, finishedAt, createdAt, contractVersion } = job;
  const when = finishedAt === null ? `since ${formatTime(createdAt)}` : formatTime(finishedAt);
  return `job ${id} (${mode}, ${state} ${when}, contract ${contractVersion}, ${plainText(source)})`;
}

function colorOf({ fate }: TracedRecord): 'green' | 'red' | 'yellow' {
  if (fate === 'in-table') return 'green';
  return fate === 'superseded' || fate === 'deleted' ? 'yellow' : 'red';
}

function fateText({ fate, supersededBy, deadLetter }: TracedRecord): string {
  switch (fate) {
    case 'in-table':
      return 'loaded: it is the row';
    case 'superseded':
      return supersededBy === null ? 'superseded' : `superseded: ${whyText(supersededBy)}`;
    case 'deleted':
      return 'took the row away';
    case 'no-row-to-delete':
      return 'found no row to delete';
    case 'refused':
      return deadLetter === null
        ? 'refused'
        : `refused at ${deadLetter.stage}, dead letter ${deadLetter.id} (${deadLetter.state})`;
    case 'job-failed':
      return 'not visible: its job failed';
    case 'job-cancelled':
      return 'not visible: its job was cancelled';
    case 'job-active':
      return 'not visible yet: its job is active';
    case 'dry-run':
      return 'not visible: its job is a dry run';
    case 'job-unknown':
      return 'its job is not known any more';
  }
}

function whyText({ why, job, record }: NonNullable<TracedRecord['supersededBy']>): string {
  const by = record === null ? `job ${job}` : `record ${formatCount(record)} of job ${job}`;
  switch (why) {
    case 'later-record':
      return `a later record of its job has the key, ${by}`;
    case 'later-job':
      return `a later job has the key, ${by}`;
    case 'newer-version':
      return `another record has a newer version, ${by}`;
    case 'existing-row':
      return `append changes no row that is there, ${by}`;
    case 'delete':
      return `deleted by ${by}`;
    case 'replaced':
      return record === null
        ? `the snapshot of ${by} does not have the key`
        : `replaced by the snapshot, ${by}`;
  }
}

function historyText({
  isComplete,
  batches,
  unreadable,
  withoutKey,
  deadLettersWithoutKey,
  unknownJobs,
  oldest,
  deleted,
  leftOut,
}: TraceHistory): string {
  const range = oldest === null ? 'which holds nothing' : `which begins at ${formatTime(oldest)}`;
  const notes = [
    `Searched ${counted(batches, 'batch', 'batches')} of the raw topic, ${range}, and all dead letters.`,
    ...(deleted.jobs === 0
      ? []
      : [
          `Of ${counted(deleted.jobs, 'visible job')} ${counted(deleted.batches, 'batch', 'batches')} with ${counted(deleted.records, 'record')} are deleted there: what they held is not known.`,
        ]),
    ...(unreadable === 0 ? [] : [`${counted(unreadable, 'message')} there cannot be read.`]),
    ...(withoutKey === 0
      ? []
      : [
          `${counted(withoutKey, 'batch', 'batches')} there ${withoutKey === 1 ? 'does' : 'do'} not have the fields of the key.`,
        ]),
    ...(deadLettersWithoutKey === 0
      ? []
      : [
          `${counted(deadLettersWithoutKey, 'dead letter')} ${deadLettersWithoutKey === 1 ? 'does' : 'do'} not have the fields of the key.`,
        ]),
    ...(unknownJobs === 0
      ? []
      : [
          `${counted(unknownJobs, 'job')} with the key ${unknownJobs === 1 ? 'is' : 'are'} not known any more: whether their records became visible is not known.`,
        ]),
    ...(leftOut === 0
      ? []
      : [`${counted(leftOut, 'older record')} with the key ${leftOut === 1 ? 'is' : 'are'} left out.`]),
    ...(isComplete ? [] : ['The history is not complete.']),
  ];
  return `\n${notes.join('\n')}\n`;
}

function shown(value: string): string {
  return JSON.stringify(shorten(plainText(value), SHOWN_CHARACTERS));
}
