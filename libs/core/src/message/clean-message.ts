import type { BatchCounts, BatchVerdict, TableSection } from '../record/verdict.js';
import {
  HeaderReader,
  type IncomingMessage,
  type MessagePlace,
  type OutgoingMessage,
} from './header-reader.js';
import type { RawMessage } from './raw-message.js';
import { topicOf } from './topics.js';
import { isCount, isListOf, isObjectOf, isOffset, isRecordOf, isText } from './wire-checks.js';

/** What one raw batch became: COPY text, one section a table in load order. PURE. */
export interface CleanMessage {
  readonly dataset: string;
  readonly job: string;
  readonly epoch: number;
  readonly batch: number;
  readonly firstRecord: number;
  readonly firstLine: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  /** CRC-32C of the raw batch's value. */
  readonly crc32c: number;
  /** Where the raw message stands. */
  readonly raw: MessagePlace;
  readonly counts: BatchCounts;
  readonly findings: Readonly<Record<string, number>>;
  readonly sections: readonly TableSection[];
  readonly attempt: number;
}

const VERSION = 1;

/** As the ledger's integer columns hold it. */
const isInteger = (value: unknown): value is number => isCount(value, 2 ** 31 - 1);
const isPlace = isObjectOf<MessagePlace>({ topic: isText, partition: isInteger, offset: isOffset });
const isSection = isObjectOf<{ table: string; bytes: number; rows: number }>({
  table: isText,
  bytes: isInteger,
  rows: isInteger,
});
const isCounts = isObjectOf<BatchCounts>({
  records: isInteger,
  accepted: isInteger,
  refused: isInteger,
  skipped: isInteger,
  warnings: isInteger,
});

/** Goes to the partition that its raw message came from, so that order is kept from stage to stage. */
export function encodeCleanMessage(
  raw: RawMessage,
  rawPlace: MessagePlace,
  verdict: BatchVerdict,
): OutgoingMessage {
  const { batch } = raw;
  return {
    topic: topicOf(raw.dataset, 'clean'),
    partition: rawPlace.partition,
    key: `${raw.job}:${batch.batch}`,
    value: Buffer.concat(verdict.sections.map((section) => section.text)),
    headers: {
      v: String(VERSION),
      dataset: raw.dataset,
      job: raw.job,
      epoch: String(raw.epoch),
      batch: String(batch.batch),
      'first-record': String(batch.firstRecord),
      'first-line': String(batch.firstLine),
      'byte-start': String(batch.byteStart),
      'byte-end': String(batch.byteEnd),
      crc32c: String(raw.crc32c),
      raw: JSON.stringify(rawPlace),
      counts: JSON.stringify(verdict.counts),
      findings: JSON.stringify(verdict.findings),
      sections: JSON.stringify(
        verdict.sections.map(({ table, text, rows }) => ({ table, bytes: text.length, rows })),
      ),
      attempt: String(raw.attempt),
    },
  };
}

/** @throws SluiceError MESSAGE_INVALID */
export function decodeCleanMessage(message: IncomingMessage): CleanMessage {
  const read = new HeaderReader(message);
  read.version(VERSION);
  const value = read.value();
  let end = 0;
  const sections = read.checkedJson('sections', isListOf(isSection)).map((section) => {
    const start = end;
    end += section.bytes;
    return { table: section.table, rows: section.rows, text: value.subarray(start, end) };
  });
  if (end !== value.length)
    throw read.invalid(`its sections take ${end} bytes and its value has ${value.length}`);
  return {
    dataset: read.datasetOf('clean'),
    job: read.jobId(),
    epoch: read.count('epoch'),
    batch: read.count('batch'),
    firstRecord: read.count('first-record'),
    firstLine: read.count('first-line'),
    byteStart: read.count('byte-start'),
    byteEnd: read.count('byte-end'),
    crc32c: read.count('crc32c'),
    raw: read.checkedJson('raw', isPlace),
    counts: read.checkedJson('counts', isCounts),
    findings: read.checkedJson('findings', isRecordOf(isInteger)),
    sections,
    attempt: read.count('attempt'),
  };
}
