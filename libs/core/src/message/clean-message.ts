import { createHash } from 'node:crypto';
import { traceparentOf } from '#common/kafka/traceparent.js';
import type { TablePlan } from '../record/compile-contract.js';
import type { BatchCounts, BatchVerdict, TableSection } from '../record/verdict.js';
import {
  cutStorable,
  HeaderReader,
  type IncomingMessage,
  isCount,
  isLabel,
  isListOf,
  isObjectOf,
  isOffset,
  isRecordOf,
  isStorable,
  isText,
  type MessagePlace,
  type OutgoingMessage,
} from './header-reader.js';
import type { RawMessage } from './raw-message.js';
import { topicOf } from './topics.js';
import { isFindingCode } from '../finding/finding.js';

/** Why a raw batch could not be validated at all. */
export interface BatchFault {
  /** CONTRACT_MISMATCH pauses the job, any other code fails it. */
  readonly code: string;
  /** Without anything of a record. */
  readonly message: string;
}

/**
 * What one raw batch became: COPY text, one section a table in load order. PURE.
 * A batch that cannot be validated becomes one, too, with a `fault` and without sections: it is the loader, who knows
 * the job, that decides what follows from it, and no raw message ever holds up those behind it.
 */
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
  readonly fault: BatchFault | null;
  /** Version of the contract that the batch was validated by; null in messages of older builds. */
  readonly contractVersion: number | null;
  /** `planMark` of the tables that the sections were written for; null in messages of older builds. */
  readonly plan: string | null;
  /** Proved to be made by this deployment (`MessageSeal`); false when it says nothing of that. */
  readonly sealed: boolean;
  /** Of the span that validated it; absent where traces were off. */
  readonly traceparent?: string;
}

/** What validating a raw batch came to. */
export type CleanOutcome =
  { readonly verdict: BatchVerdict; readonly plan: string } | { readonly fault: BatchFault };

const VERSION = 1;
const MAX_CODE_CHARACTERS = 100;
const MAX_FAULT_CHARACTERS = 1_000;
const MAX_CRC32C = 2 ** 32 - 1;
const NOTHING: BatchCounts = { records: 0, accepted: 0, refused: 0, skipped: 0, warnings: 0 };

/** As the ledger's integer columns hold it. */
const isInteger = (value: unknown): value is number => isCount(value, 2 ** 31 - 1);
const isPlace = isObjectOf<MessagePlace>({ topic: isText, partition: isInteger, offset: isOffset });
const isSection = isObjectOf<{ table: string; bytes: number; rows: number }>({
  table: isText,
  bytes: isInteger,
  rows: isInteger,
});
const isFault = isObjectOf<BatchFault>({
  code: (value): value is string => isLabel(value, MAX_CODE_CHARACTERS),
  message: (value): value is string => isStorable(value, MAX_FAULT_CHARACTERS),
});
const isCounts = isObjectOf<BatchCounts>({
  records: isInteger,
  accepted: isInteger,
  refused: isInteger,
  skipped: isInteger,
  warnings: isInteger,
});

/** @param partitions of the clean topic now, which need not be as many as the raw topic has */
export function encodeCleanMessage(
  raw: RawMessage,
  rawPlace: MessagePlace,
  outcome: CleanOutcome,
  partitions: number,
): OutgoingMessage {
  const { batch } = raw;
  const sections = 'verdict' in outcome ? outcome.verdict.sections : [];
  return {
    topic: topicOf(raw.dataset, 'clean'),
    partition: batch.batch % partitions,
    key: `${raw.job}:${batch.batch}`,
    value: Buffer.concat(sections.map((section) => section.text)),
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
      counts: JSON.stringify('verdict' in outcome ? outcome.verdict.counts : NOTHING),
      findings: JSON.stringify('verdict' in outcome ? outcome.verdict.findings : {}),
      sections: JSON.stringify(
        sections.map(({ table, text, rows }) => ({ table, bytes: text.length, rows })),
      ),
      attempt: String(raw.attempt),
      contract: String(raw.contractVersion),
      ...('verdict' in outcome
        ? { plan: outcome.plan }
        : { fault: JSON.stringify(faultToSend(outcome.fault)) }),
    },
  };
}

function faultToSend({ code, message }: BatchFault): BatchFault {
  return { code, message: cutStorable(message, MAX_FAULT_CHARACTERS) };
}

/**
 * @param checkSeal asked when the message can be read; answers whether it is sealed, or throws
 * @throws SluiceError MESSAGE_INVALID
 */
export function decodeCleanMessage(
  message: IncomingMessage,
  checkSeal: (message: IncomingMessage) => boolean = () => false,
): CleanMessage {
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
  const dataset = read.datasetOf('clean');
  const raw = read.checkedJson('raw', isPlace);
  if (raw.topic !== topicOf(dataset, 'raw')) throw read.invalid('its raw message is of another topic');
  const [byteStart, byteEnd] = read.range('byte-start', 'byte-end');
  const traceparent = traceparentOf(message.headers);
  return {
    dataset,
    job: read.jobId(),
    epoch: read.count('epoch'),
    batch: read.count('batch'),
    firstRecord: read.count('first-record'),
    firstLine: read.count('first-line'),
    byteStart,
    byteEnd,
    crc32c: read.count('crc32c', MAX_CRC32C),
    raw,
    counts: read.checkedJson('counts', isCounts),
    findings: read.checkedJson('findings', isRecordOf(isInteger, isFindingCode)),
    sections,
    attempt: read.count('attempt'),
    fault: read.optional('fault', () => read.checkedJson('fault', isFault)) ?? null,
    contractVersion: read.optional('contract', () => read.count('contract')) ?? null,
    plan: read.optionalText('plan') ?? null,
    sealed: checkSeal(message),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

const MARK_CHARACTERS = 16;
const marks = new WeakMap<object, string>();

/**
 * What COPY text depends on, in short: tables and their columns, in order. PURE.
 * Equal marks: sections that one process wrote fit the staging tables that another one has planned.
 */
export function planMark(plan: readonly Pick<TablePlan, 'table' | 'columns'>[]): string {
  const known = marks.get(plan);
  if (known !== undefined) return known;
  const shape = plan.map(({ table, columns }) => [table, ...columns]);
  const mark = createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, MARK_CHARACTERS);
  marks.set(plan, mark);
  return mark;
}
