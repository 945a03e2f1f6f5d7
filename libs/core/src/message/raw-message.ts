import { crc32c } from '@node-rs/crc32';
import { type OptionValues, SOURCE_FORMATS, type SourceFormat } from '../dataset/dataset.js';
import {
  MESSAGE_FAULT_CODES,
  type MessageFaultCode,
  type RawBatch,
  type UnreadableRecord,
} from '../record/raw-batch.js';
import {
  HeaderReader,
  type IncomingMessage,
  isCount,
  isListOf,
  isObjectOf,
  isRecordOf,
  isText,
  type OutgoingMessage,
} from './header-reader.js';
import { topicOf } from './topics.js';

/** A raw batch on its way: the source's bytes, and everything the validator needs to judge them alone. PURE. */
export interface RawMessage {
  readonly dataset: string;
  readonly job: string;
  /** The ingestor's claim on the job when it published this. */
  readonly epoch: number;
  readonly batch: RawBatch;
  readonly crc32c: number;
  readonly format: SourceFormat;
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly contractVersion: number;
  readonly options: OptionValues;
  /** How often these records have been submitted before. */
  readonly attempt: number;
}

const VERSION = 1;

const isSize = (value: unknown): value is number => isCount(value);
const isFault = (value: unknown): value is MessageFaultCode =>
  typeof value === 'string' && Object.hasOwn(MESSAGE_FAULT_CODES, value);
const isUnreadable = isObjectOf<UnreadableRecord>({
  index: isSize,
  offset: isSize,
  keptBytes: isSize,
  bytes: isSize,
  lines: isSize,
  code: (value): value is MessageFaultCode | undefined => value === undefined || isFault(value),
});

/** @param partitions pinned in the job row, so that a batch always goes to the same partition */
export function encodeRawMessage(message: Omit<RawMessage, 'crc32c'>, partitions: number): OutgoingMessage {
  const { batch } = message;
  return {
    topic: topicOf(message.dataset, 'raw'),
    partition: batch.batch % partitions,
    key: `${message.job}:${batch.batch}`,
    value: batch.bytes,
    headers: {
      v: String(VERSION),
      dataset: message.dataset,
      job: message.job,
      epoch: String(message.epoch),
      batch: String(batch.batch),
      'first-record': String(batch.firstRecord),
      'first-line': String(batch.firstLine),
      records: String(batch.records),
      lines: String(batch.lines),
      'byte-start': String(batch.byteStart),
      'byte-end': String(batch.byteEnd),
      // Its name is that of its first kind: batches under way when a build is changed are read by the next one.
      oversized: JSON.stringify(batch.unreadable),
      crc32c: String(crc32c(batch.bytes)),
      format: message.format,
      columns: JSON.stringify(batch.head?.columns ?? message.columns),
      context: JSON.stringify(contextOf(message)),
      contract: String(message.contractVersion),
      options: JSON.stringify(message.options),
      attempt: String(message.attempt),
      ...(batch.lineEnd === 'cr' ? { 'line-end': 'cr' } : {}),
      ...(batch.messages === undefined ? {} : { messages: batch.messages }),
    },
  };
}

/** What the job states of itself goes before what a message says. */
function contextOf({ batch, context }: Pick<RawMessage, 'batch' | 'context'>): RawMessage['context'] {
  return batch.head === undefined ? context : { ...batch.head.context, ...context };
}

/** Only the rarer kind of line end stands in a header. */
function lineEndOf(read: HeaderReader): Pick<RawBatch, 'lineEnd'> {
  const lineEnd = read.optionalText('line-end') ?? 'lf';
  if (lineEnd === 'lf') return {};
  if (lineEnd !== 'cr') throw read.invalid('header "line-end" is unknown');
  return { lineEnd };
}

/** @throws SluiceError MESSAGE_INVALID, also when the value does not fit its checksum */
export function decodeRawMessage(message: IncomingMessage): RawMessage {
  const read = new HeaderReader(message);
  read.version(VERSION);
  const bytes = read.value();
  const checksum = read.count('crc32c');
  if (crc32c(bytes) !== checksum) throw read.invalid('its value does not fit its crc32c');
  const format = SOURCE_FORMATS.find((known) => known === read.text('format'));
  if (format === undefined) throw read.invalid('header "format" is unknown');
  return {
    dataset: read.datasetOf('raw'),
    job: read.jobId(),
    epoch: read.count('epoch'),
    batch: {
      batch: read.count('batch'),
      firstRecord: read.count('first-record'),
      firstLine: read.count('first-line'),
      records: read.count('records'),
      lines: read.count('lines'),
      byteStart: read.count('byte-start'),
      byteEnd: read.count('byte-end'),
      bytes,
      unreadable: read.checkedJson('oversized', isListOf(isUnreadable)),
      ...lineEndOf(read),
      ...read.optional('messages', () => ({ messages: read.bytes('messages') })),
    },
    crc32c: checksum,
    format,
    columns: read.checkedJson('columns', isListOf(isText)),
    context: read.checkedJson('context', isRecordOf(isText)),
    contractVersion: read.count('contract'),
    options: read.checkedJson('options', isRecordOf(isText)),
    attempt: read.count('attempt'),
  };
}
