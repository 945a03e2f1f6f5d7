import type { RawHeaders } from '#common/kafka/message.js';
import { dialectOf } from '../dataset/csv-dialect.js';
import { type Dataset, type OptionValues, resolveOptions, type WriteMode } from '../dataset/dataset.js';
import { inboxColumns } from '../dataset/inbox.js';
import { GENERAL_FINDING_CODES } from '../finding/finding.js';
import type { MessageFacts, MessageText } from '../message/message-facts.js';
import { RESERVED_PREFIX } from '../record/compile/constants.js';
import { REPLACEMENT } from '../record/compile/record-defects.js';
import { LINE_FEED, textEnd } from '../record/line-ends.js';
import { MessageHeads } from '../record/message-head.js';
import { DEFAULT_CUTTING, MESSAGE_FAULT_CODES, type MessageHead } from '../record/raw-batch.js';
import { RecordBounds } from '../record/record-bounds.js';
import { isDecoded } from '../source/encoding.js';
import { sendableColumns } from './sendable-columns.js';

/**
 * What a resubmission sends of a dead letter: one record, as a message of the dataset's inbox. PURE.
 *
 * - SN1: the value is the record's own bytes, or those of its edit; nothing is guessed. What cannot be sent so that it is
 *   the same record again is named, with the reason.
 * - SN2: the message cutter (`message-cutter.ts`) cuts exactly one record from it, which is no line that the dialect skips.
 * - SN3: columns and context are those that the record was judged with: of its message, where it came in one, else of its
 *   file. Facts of its job (`sluice:…`) are not sent: the repair job states its own.
 */

/** A dead letter that has this number of attempts behind it is parked: sent when it is forced only. */
export const MAX_ATTEMPTS = 3;

/** Why a dead letter cannot be sent. An edit helps where the bytes are the reason. */
export const UNSENDABLE_REASONS = [
  'PARKED',
  'DRY_RUN',
  'BYTES_CUT',
  'BYTES_EXPIRED',
  'NO_VALUE',
  'NOT_ONE_RECORD',
  'SKIPPED_LINE',
  'TOO_LARGE',
  'UNDECODED',
  'COLUMNS_UNKNOWN',
  'CONTEXT_UNKNOWN',
  'BAD_HEADERS',
  'CONTRACT_NEWER',
  /** Of callers that know more than one dataset: this build has none of its name. */
  'DATASET_UNKNOWN',
] as const;
export type UnsendableReason = (typeof UNSENDABLE_REASONS)[number];

export interface CannotBeSent {
  readonly reason: UnsendableReason;
  /** A sentence for people, without contents of the record. */
  readonly message: string;
}

export interface RecordToSend {
  /** One record, without line end. */
  readonly value: Buffer;
  /** In the order of the value's fields; empty for formats that name their fields in each record. */
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
}

export function isSendable(answer: RecordToSend | CannotBeSent): answer is RecordToSend {
  return 'value' in answer;
}

/** What is kept of a refused record. */
export interface KeptDeadLetter {
  readonly bytes: Buffer;
  /** Its place in the source, line end left out. */
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly columns: readonly string[];
  /** Of its errors. */
  readonly codes: readonly string[];
  /** How often it was submitted before; 0 for records of sources. */
  readonly attempt: number;
  readonly message: MessageFacts | null;
}

/** What the row of its job says. */
export interface OriginJob {
  /** `head.context`; null while the job has none. */
  readonly context: Readonly<Record<string, string>> | null;
  readonly contractVersion: number;
  /** True: it was a rehearsal, and its records are those of the job that loads them. */
  readonly dryRun?: boolean;
}

/** The correction of a dead letter (`sluice.dead_letter_edit`). */
export interface RecordEdit {
  readonly bytes: Buffer;
  /** Null: the dead letter's own. */
  readonly columns: readonly string[] | null;
}

export interface SendOptions {
  /** Sends parked ones as well. */
  readonly force?: boolean;
  /** Of the ingestor that cuts the repair job. */
  readonly maxRecordBytes?: number;
}

export type SendableDataset = Pick<
  Dataset,
  'name' | 'format' | 'csv' | 'encoding' | 'inbox' | 'contract' | 'contractVersion' | 'deletes'
>;

/**
 * @param job null when its row is gone; a record of a file needs it
 * @param edit null when the record goes as it is
 */
export function recordToSend(
  dataset: SendableDataset,
  letter: KeptDeadLetter,
  job: OriginJob | null,
  edit: RecordEdit | null,
  options: SendOptions = {},
): RecordToSend | CannotBeSent {
  const { force = false, maxRecordBytes = DEFAULT_CUTTING.maxRecordBytes } = options;
  if (job?.dryRun === true)
    return cannot('DRY_RUN', 'its job was a dry run, whose records are not to be loaded');
  if (letter.attempt >= MAX_ATTEMPTS && !force)
    return cannot('PARKED', `it was submitted again ${letter.attempt} times; --force sends it once more`);
  if (job !== null && job.contractVersion > dataset.contractVersion)
    return cannot(
      'CONTRACT_NEWER',
      `it was refused by version ${job.contractVersion} of the contract, this build has ${dataset.contractVersion}`,
    );
  const missing = edit === null ? whyUnusable(letter) : null;
  if (missing !== null) return missing;
  const value = edit?.bytes ?? letter.bytes;
  const isOfDecodedFile = isDecoded(dataset.encoding) && letter.message === null;
  if (isOfDecodedFile && value.includes(REPLACEMENT))
    return cannot('UNDECODED', 'it holds U+FFFD, where bytes of its file could not be decoded');
  const fault = faultOf(dataset, value, maxRecordBytes);
  if (fault !== null) return fault;
  const head = headOf(dataset, letter, job, edit);
  return 'reason' in head ? head : { value, ...head };
}

/** Kept: of 500,000 dead letters each would make its own. */
const boundsOf = new WeakMap<object, RecordBounds>();

/** Whether bytes are one record of the dataset, small enough for a message. @returns null, or why they are not */
export function faultOf(
  dataset: Pick<Dataset, 'format' | 'csv'>,
  value: Buffer,
  maxRecordBytes: number = DEFAULT_CUTTING.maxRecordBytes,
): CannotBeSent | null {
  if (value.length > maxRecordBytes - 1)
    return cannot('TOO_LARGE', `it has ${value.length} bytes, and a record at most ${maxRecordBytes - 1}`);
  const kept = textEnd(value, 0, value.length, 'lf');
  const line = Buffer.alloc(kept + 1, LINE_FEED);
  value.copy(line, 0, 0, kept);
  if (textEnd(line, 0, line.length, 'lf') === 0) return NOT_ONE;
  if (dataset.format === 'ndjson') return /[^ \t\r\n]/.test(line.toString('latin1')) ? null : NOT_ONE;
  let bounds = boundsOf.get(dataset);
  if (bounds === undefined) {
    bounds = new RecordBounds(dialectOf(dataset), Number.POSITIVE_INFINITY);
    boundsOf.set(dataset, bounds);
  }
  bounds.feed(line, false);
  bounds.restart(0);
  if (bounds.next() !== 'record' || bounds.end !== line.length) return NOT_ONE;
  return bounds.skipped ? cannot('SKIPPED_LINE', 'it begins as lines that the dataset skips') : null;
}

/** The mode of a repair job: the dataset's default if it merges, else `upsert` where there is a key, else `append`. */
export function repairMode({ writeModes }: Pick<Dataset, 'writeModes'>, hasKey: boolean): WriteMode {
  const [first = 'replace'] = writeModes;
  return first === 'replace' ? (hasKey ? 'upsert' : 'append') : first;
}

/** The options of a repair job: the dataset's defaults, whatever the jobs had that refused its records. */
export function repairOptions(dataset: Pick<Dataset, 'options'>): OptionValues {
  return resolveOptions(dataset, {}).values;
}

/** What is kept of it is not the record. */
function whyUnusable({ bytes, byteStart, byteEnd, codes, message }: KeptDeadLetter): CannotBeSent | null {
  const { RECORD_TOO_LARGE, BYTES_EXPIRED } = GENERAL_FINDING_CODES;
  if (codes.includes(BYTES_EXPIRED))
    return cannot('BYTES_EXPIRED', 'its bytes had expired in the raw topic when it was refused');
  if (codes.includes(RECORD_TOO_LARGE) && bytes.length < byteEnd - byteStart)
    return cannot('BYTES_CUT', 'it was over the size limit, and only its first bytes were kept');
  if (message !== null && bytes.length === 0)
    return cannot('NO_VALUE', 'its message has no value, or stands in a batch that cannot be decoded');
  return null;
}

/** SN3. */
function headOf(
  dataset: SendableDataset,
  letter: KeptDeadLetter,
  job: OriginJob | null,
  edit: RecordEdit | null,
): MessageHead | CannotBeSent {
  const { message } = letter;
  const said = message === null ? ofFile(job) : ofMessage(dataset, message);
  if ('reason' in said) return said;
  // A message that was not looked at has the columns of its neighbours in its dead letter.
  const isUnseen = message !== null && letter.codes.some((code) => Object.hasOwn(MESSAGE_FAULT_CODES, code));
  const columns =
    dataset.format === 'csv' ? (edit?.columns ?? (isUnseen ? said.columns : letter.columns)) : [];
  if (columns.length === 0 && dataset.format === 'csv')
    return cannot('COLUMNS_UNKNOWN', 'it is not known which columns its record has');
  const sendable = sendableColumns(columns);
  if (sendable === null)
    return cannot('COLUMNS_UNKNOWN', 'the names of its columns have more bytes than a message can name');
  return { columns: sendable, context: said.context };
}

function ofFile(job: OriginJob | null): MessageHead | CannotBeSent {
  const context = job?.context ?? null;
  if (context === null) return cannot('CONTEXT_UNKNOWN', 'the row of its job is gone, or names no head');
  const known = ownContexts.get(context);
  if (known !== undefined) return known;
  const own = Object.entries(context).filter(([name]) => !name.startsWith(RESERVED_PREFIX));
  const head = { columns: [], context: Object.fromEntries(own) };
  ownContexts.set(context, head);
  return head;
}

/** By the context of a job, which its dead letters share. */
const ownContexts = new WeakMap<object, MessageHead>();

const headsOf = new WeakMap<object, MessageHeads>();

function ofMessage(dataset: SendableDataset, message: MessageFacts): MessageHead | CannotBeSent {
  if (message.isCut)
    return cannot(
      'CONTEXT_UNKNOWN',
      'its message had more headers than were kept, so its context may be lost',
    );
  let heads = headsOf.get(dataset);
  if (heads === undefined) {
    const { format } = dataset;
    heads = new MessageHeads({ format, columns: inboxColumns(dataset), accepts: () => true });
    headsOf.set(dataset, heads);
  }
  const head = heads.of(rawHeaders(message));
  return typeof head === 'string'
    ? cannot('BAD_HEADERS', 'header "columns" or "context" of its message cannot be read')
    : head;
}

/** Of what a head is read from; a wrong `content-type` is not sent again. */
function rawHeaders({ headers }: MessageFacts): RawHeaders {
  const raw: Record<string, Buffer> = {};
  for (const { name, value } of headers)
    if (value !== null && (name === 'columns' || name === 'context')) raw[name] = bytesOf(value);
  return raw;
}

function bytesOf(text: MessageText): Buffer {
  return 'text' in text ? Buffer.from(text.text) : Buffer.from(text.base64, 'base64');
}

function cannot(reason: UnsendableReason, message: string): CannotBeSent {
  return { reason, message };
}

const NOT_ONE = cannot('NOT_ONE_RECORD', 'it holds no record, several, or one that does not end with it');
