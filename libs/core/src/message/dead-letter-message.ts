import { type Finding, isFinding } from '../finding/finding.js';
import {
  cutStorable,
  HeaderReader,
  type IncomingMessage,
  isListOf,
  type OutgoingMessage,
} from './header-reader.js';
import { MAX_FACTS_BYTES, type MessageFacts, isMessageFacts } from './message-facts.js';
import { topicOf } from './topics.js';

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
  /**
   * Column names in file order, so that the record can be read, corrected and exported without its file. Null: those of
   * its job, which its row and one dead letter of each batch name.
   */
  readonly columns: readonly string[] | null;
  /** Of the ingestor that read the record; absent in dead letters of older builds. */
  readonly epoch?: number;
  /** Of a record that came as a message of its own: where the message stood, and what it said. */
  readonly message?: MessageFacts;
  readonly bytes: Buffer;
}

const VERSION = 1;

/**
 * What a dead letter may hold besides its record: what we write is cut to the first three, what anyone else writes
 * beyond these bounds is none of ours. Together they bound what folding and listing them can take (G9).
 */
export const MAX_FINDINGS = 1_000;
export const MAX_FINDINGS_BYTES = 128 * 1024;
export const MAX_FINDING_CHARACTERS = 1_000;
/** Older builds did not cut. */
const MAX_READ_CHARACTERS = 4_096;
/** A file's header has 64 KiB at most; JSON of its names, a quote and a comma for each, is larger. */
export const MAX_COLUMNS_BYTES = 256 * 1024;

/** Columns that stay written or read: dead letters of a job have the same ones, and jobs of other files take turns. */
const writtenColumns = new WeakMap<readonly string[], Buffer | null>();
const readColumns = new Map<string, readonly string[]>();
const MAX_CACHED_CHARACTERS = 1024 * 1024;
let cachedCharacters = 0;

/**
 * The dead letters of one batch, each encoded when it is asked for; the first one of a list of columns carries it. A
 * fact of the job in every one of them took up to half of their bytes. Those of messages carry it all: each message may
 * have columns of its own, so they are no fact of the job.
 */
export function* encodeDeadLetters(letters: Iterable<DeadLetter>): Generator<OutgoingMessage> {
  let told: Pick<DeadLetter, 'job' | 'columns'> | null = null;
  for (const letter of letters) {
    const isKnown =
      letter.message === undefined && told?.job === letter.job && told.columns === letter.columns;
    const isTold = letter.columns === null || isKnown;
    if (!isTold) told = letter;
    yield encoded(letter, isTold ? null : letter.columns);
  }
}

export function encodeDeadLetter(letter: DeadLetter): OutgoingMessage {
  return encoded(letter, letter.columns);
}

/** @param told the columns that this one carries */
function encoded(letter: DeadLetter, told: readonly string[] | null): OutgoingMessage {
  const record = String(letter.record);
  const headers: Record<string, string | Buffer> = {
    v: String(VERSION),
    dataset: letter.dataset,
    job: letter.job,
    batch: String(letter.batch),
    record,
    line: String(letter.line),
    'byte-start': String(letter.byteStart),
    'byte-end': String(letter.byteEnd),
    stage: letter.stage,
    findings: findingsText(letter.findings),
    attempt: String(letter.attempt),
  };
  const columns = told === null ? null : columnsBytes(told);
  if (columns !== null) headers.columns = columns;
  if (letter.epoch !== undefined) headers.epoch = String(letter.epoch);
  if (letter.sqlstate !== null) headers.sqlstate = letter.sqlstate;
  if (letter.message !== undefined) headers.message = JSON.stringify(letter.message);
  return {
    topic: topicOf(letter.dataset, 'dead'),
    key: `${letter.job}:${record}`,
    value: letter.bytes,
    headers,
  };
}

/** @throws SluiceError MESSAGE_INVALID */
export function decodeDeadLetter(message: IncomingMessage): DeadLetter {
  const read = new HeaderReader(message);
  read.version(VERSION);
  const stage = read.text('stage');
  if (stage !== 'validate' && stage !== 'load') throw read.invalid(`stage "${stage}" is unknown`);
  const dataset = read.datasetOf('dead');
  const sqlstate = read.optionalText('sqlstate') ?? null;
  if (sqlstate !== null && !/^[0-9A-Z]{5}$/.test(sqlstate))
    throw read.invalid('header "sqlstate" is not an SQLSTATE');
  const [byteStart, byteEnd] = read.range('byte-start', 'byte-end');
  return {
    dataset,
    job: read.jobId(),
    batch: read.count('batch'),
    record: read.count('record'),
    line: read.count('line'),
    byteStart,
    byteEnd,
    stage,
    findings: findingsOf(read),
    sqlstate,
    attempt: read.count('attempt'),
    columns: columnsOf(read),
    bytes: read.value(),
    ...read.optional('epoch', () => ({ epoch: read.count('epoch') })),
    ...read.optional('message', () => ({ message: messageOf(read) })),
  };
}

/** Nearly always all of them, as they are. */
function findingsText(findings: readonly Finding[]): string {
  const isLong = ({ field, message }: Finding): boolean =>
    message.length > MAX_FINDING_CHARACTERS || (field?.length ?? 0) > MAX_FINDING_CHARACTERS;
  if (findings.length <= MAX_FINDINGS && !findings.some(isLong)) {
    const text = JSON.stringify(findings);
    // Of one UTF-16 unit UTF-8 makes three bytes at most.
    if (text.length * 3 <= MAX_FINDINGS_BYTES || Buffer.byteLength(text) <= MAX_FINDINGS_BYTES) return text;
  }
  return cutFindings(findings);
}

/** As many as there is room for, and how many there are more. */
function cutFindings(findings: readonly Finding[]): string {
  const kept: string[] = [];
  const ROOM_FOR_THE_LAST = 2 * 1024;
  let bytes = ROOM_FOR_THE_LAST;
  for (const { code, field, message, severity } of findings) {
    const cut = {
      code,
      field: field === null ? null : cutStorable(field, MAX_FINDING_CHARACTERS),
      message: cutStorable(message, MAX_FINDING_CHARACTERS),
      severity,
    };
    const text = JSON.stringify(cut);
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > MAX_FINDINGS_BYTES || kept.length === MAX_FINDINGS - 1) break;
    kept.push(text);
  }
  const more = findings.slice(kept.length);
  // An error when one was left out: a record must not look as if only warnings had refused it.
  const last = more.find(({ severity }) => severity === 'error') ?? more[0];
  if (last !== undefined)
    kept.push(JSON.stringify({ ...last, field: null, message: `… and ${more.length} more findings` }));
  return `[${kept.join(',')}]`;
}

function findingsOf(read: HeaderReader): readonly Finding[] {
  const text = read.text('findings', MAX_FINDINGS_BYTES);
  const findings = read.parsed('findings', text);
  if (!isFindings(findings) || findings.length > MAX_FINDINGS)
    throw read.invalid('header "findings" is not a list of findings');
  return findings;
}

const isFindings = isListOf((value): value is Finding => {
  if (!isFinding(value)) return false;
  return value.message.length <= MAX_READ_CHARACTERS && (value.field?.length ?? 0) <= MAX_READ_CHARACTERS;
});

function messageOf(read: HeaderReader): MessageFacts {
  const facts = read.parsed('message', read.text('message', MAX_FACTS_BYTES));
  if (!isMessageFacts(facts)) throw read.invalid('header "message" does not have the right shape');
  const { topic, partition, offset, timestamp, key, headers, isCut, undecodable } = facts;
  // Only these members: what anyone else wrote beside them is not stored.
  return {
    topic,
    partition,
    offset,
    timestamp,
    key,
    headers: headers.map(({ name, value }) => ({ name, value })),
    ...(isCut ? { isCut } : {}),
    ...(undecodable ? { undecodable } : {}),
  };
}

/** @returns null when they are too large for a header; the job row has them */
function columnsBytes(columns: readonly string[]): Buffer | null {
  const known = writtenColumns.get(columns);
  if (known !== undefined) return known;
  const bytes = Buffer.from(JSON.stringify(columns));
  const told = bytes.length <= MAX_COLUMNS_BYTES ? bytes : null;
  writtenColumns.set(columns, told);
  return told;
}

/** The same list, not only an equal one, for dead letters with equal columns. */
function columnsOf(read: HeaderReader): readonly string[] | null {
  if (read.optionalText('columns') === undefined) return null;
  const text = read.text('columns', MAX_COLUMNS_BYTES);
  const known = readColumns.get(text);
  if (known !== undefined) return known;
  const columns = read.parsed('columns', text);
  if (!areNames(columns)) throw read.invalid('header "columns" is not a list of names');
  for (const oldest of readColumns.keys()) {
    if (cachedCharacters + text.length <= MAX_CACHED_CHARACTERS) break;
    readColumns.delete(oldest);
    cachedCharacters -= oldest.length;
  }
  readColumns.set(text, columns);
  cachedCharacters += text.length;
  return columns;
}

const areNames = isListOf((value): value is string => typeof value === 'string');
