import { type Finding, isFinding } from '../record/finding.js';
import { HeaderReader, type IncomingMessage, type OutgoingMessage } from './header-reader.js';
import { topicOf } from './topics.js';
import { isDatasetName, isUuid } from './wire-checks.js';

/** One refused record: its bytes, its place, every reason. Its id is (job, record). PURE. */
export interface DeadLetter {
  readonly dataset: string;
  readonly job: string;
  readonly batch: number;
  /** Number in the job, from 0. */
  readonly record: number;
  /** Line in the source file, from 1. */
  readonly line: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly stage: 'validate' | 'load';
  readonly findings: readonly Finding[];
  /** PostgreSQL's code when the database itself refused the row. */
  readonly sqlstate: string | null;
  readonly attempt: number;
  /** Column names in file order, so that the record can be read, corrected and exported without its file. */
  readonly columns: readonly string[];
  readonly bytes: Buffer;
}

const VERSION = 1;

/** Every letter of a job has the same columns: they are written once, and read once, not by the letter. */
const writtenColumns = new WeakMap<readonly string[], Buffer>();
const readColumns = new Map<string, readonly string[]>();
/** Lists of columns that stay read; jobs of other files take turns. */
const MAX_READ_COLUMNS = 64;

export function encodeDeadLetter(letter: DeadLetter): OutgoingMessage {
  return {
    topic: topicOf(letter.dataset, 'dead'),
    key: `${letter.job}:${letter.record}`,
    value: letter.bytes,
    headers: {
      v: String(VERSION),
      dataset: letter.dataset,
      job: letter.job,
      batch: String(letter.batch),
      record: String(letter.record),
      line: String(letter.line),
      'byte-start': String(letter.byteStart),
      'byte-end': String(letter.byteEnd),
      stage: letter.stage,
      findings: JSON.stringify(letter.findings),
      attempt: String(letter.attempt),
      columns: columnsBytes(letter.columns),
      ...(letter.sqlstate === null ? {} : { sqlstate: letter.sqlstate }),
    },
  };
}

/** @throws SluiceError MESSAGE_INVALID */
export function decodeDeadLetter(message: IncomingMessage): DeadLetter {
  const read = new HeaderReader(message);
  read.version(VERSION);
  const stage = read.text('stage');
  if (stage !== 'validate' && stage !== 'load') throw read.invalid(`stage "${stage}" is unknown`);
  const dataset = read.text('dataset');
  if (!isDatasetName(dataset)) throw read.invalid('header "dataset" is not the name of a dataset');
  const job = read.text('job');
  if (!isUuid(job)) throw read.invalid('header "job" is not a job id');
  const sqlstate = read.optionalText('sqlstate') ?? null;
  if (sqlstate !== null && !/^[0-9A-Z]{5}$/.test(sqlstate))
    throw read.invalid('header "sqlstate" is not an SQLSTATE');
  const findings = read.json('findings');
  if (!isListOf(findings, isFinding)) throw read.invalid('header "findings" is not a list of findings');
  return {
    dataset,
    job,
    batch: read.count('batch'),
    record: read.count('record'),
    line: read.count('line'),
    byteStart: read.count('byte-start'),
    byteEnd: read.count('byte-end'),
    stage,
    findings,
    sqlstate,
    attempt: read.count('attempt'),
    columns: columnsOf(read),
    bytes: read.value(),
  };
}

function columnsBytes(columns: readonly string[]): Buffer {
  const known = writtenColumns.get(columns);
  if (known !== undefined) return known;
  const bytes = Buffer.from(JSON.stringify(columns));
  writtenColumns.set(columns, bytes);
  return bytes;
}

/** The same list, not only an equal one, for letters with equal columns. */
function columnsOf(read: HeaderReader): readonly string[] {
  const text = read.text('columns');
  const known = readColumns.get(text);
  if (known !== undefined) return known;
  const columns = read.json('columns');
  if (!isListOf(columns, isText)) throw read.invalid('header "columns" is not a list of names');
  const oldest = readColumns.keys().next();
  if (readColumns.size >= MAX_READ_COLUMNS && !oldest.done) readColumns.delete(oldest.value);
  readColumns.set(text, columns);
  return columns;
}

function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(isItem);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
