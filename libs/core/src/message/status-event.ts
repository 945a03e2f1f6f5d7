import { JOB_STATES, type JobState } from '#api/job-words.js';
import { isFindingCode } from '../finding/finding.js';
import { MAX_MEMBER_NAME_CHARACTERS, type MemberCounts } from '../record/member-names.js';
import {
  HeaderReader,
  type IncomingMessage,
  isCount,
  isDatasetName,
  isLabel,
  isOffset,
  isRecordOf,
  isTime,
  isUuid,
  type MessagePlace,
  type OutgoingMessage,
} from './header-reader.js';
import { STATUS_TOPIC } from './topics.js';

/**
 * One fact about a batch, announced after it is durable. Its id is (job, batch, stage): repeats and
 * order do not matter to the tracker that folds them (G7). PURE.
 */
export interface BatchEvent {
  readonly type: 'batch';
  readonly dataset: string;
  readonly job: string;
  readonly batch: number;
  readonly stage: 'ingest' | 'validate' | 'load';
  readonly records: number;
  /** Bytes of the source that the batch covers. */
  readonly bytes: number;
  /** Records that this stage passed on, refused, skipped. */
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  readonly findings: Readonly<Record<string, number>>;
  /** Of the validator: members that the contract does not read, as `travellingMembers` has them; absent for none. */
  readonly unknownMembers?: MemberCounts;
  /** ISO 8601, by the clock of the announcing process. */
  readonly at: string;
  /** Of the ingestor that read the batch; absent in events of older builds. */
  readonly epoch?: number;
}

/** A job has changed its state, or a step of its finalization has begun; the job row is the truth. */
export interface JobEvent {
  readonly type: 'job';
  readonly dataset: string;
  readonly job: string;
  readonly state: JobState;
  /** A step of finalization in words (`index`, `settle`, `swap` …), or null. */
  readonly step: string | null;
  readonly at: string;
}

/** A message that no service could read was skipped; neither its dataset nor its job can be known. */
export interface ParkedEvent extends MessagePlace {
  readonly type: 'parked';
  /** What is wrong with it, without anything of its value. */
  readonly reason: string;
  readonly at: string;
}

export type StatusEvent = BatchEvent | JobEvent | ParkedEvent;

const VERSION = 1;

export function encodeStatusEvent(event: StatusEvent): OutgoingMessage {
  return {
    topic: STATUS_TOPIC,
    key: event.type === 'parked' ? `${event.topic}/${event.partition}/${event.offset}` : event.job,
    headers: { v: String(VERSION) },
    value: Buffer.from(JSON.stringify(event)),
  };
}

/** @throws SluiceError MESSAGE_INVALID */
export function decodeStatusEvent(message: IncomingMessage): StatusEvent {
  const read = new HeaderReader(message);
  read.version(VERSION);
  const value = read.value();
  if (value.length > MAX_EVENT_BYTES) throw read.invalid(`its value has more than ${MAX_EVENT_BYTES} bytes`);
  let event: unknown;
  try {
    event = JSON.parse(value.toString());
  } catch {
    throw read.invalid('its value is not JSON');
  }
  if (!isStatusEvent(event)) throw read.invalid('its value is not a status event');
  return event;
}

/** The service that folds events adds them up and stores them: a malformed one is refused here, not by the database. */
function isStatusEvent(event: unknown): event is StatusEvent {
  if (typeof event !== 'object' || event === null) return false;
  const { type, dataset, job, at, ...facts } = event as Record<string, unknown>;
  if (!isTime(at)) return false;
  if (type === 'parked') return isParkedFacts(facts);
  if (!isDatasetName(dataset) || !isUuid(job)) return false;
  if (type === 'batch') return isBatchFacts(facts);
  return type === 'job' && isJobFacts(facts);
}

function isParkedFacts({ topic, partition, offset, reason }: Record<string, unknown>): boolean {
  return (
    isLabel(topic, MAX_TOPIC_CHARACTERS) &&
    isCount(partition, 2 ** 31 - 1) &&
    isOffset(offset) &&
    isLabel(reason)
  );
}

function isBatchFacts({ batch, stage, bytes, findings, ...facts }: Record<string, unknown>): boolean {
  const { records, accepted, refused, skipped, warnings, epoch, unknownMembers } = facts;
  return (
    (epoch === undefined || isCount(epoch, MAX_EPOCH)) &&
    ['ingest', 'validate', 'load'].includes(stage as string) &&
    isCount(batch) &&
    isCount(bytes, MAX_BATCH_BYTES) &&
    [records, accepted, refused, skipped, warnings].every((count) => isCount(count, MAX_BATCH_RECORDS)) &&
    isFindingCounts(findings) &&
    (unknownMembers === undefined || isMemberCounts(unknownMembers))
  );
}

function isJobFacts({ state, step }: Record<string, unknown>): boolean {
  return (JOB_STATES as readonly unknown[]).includes(state) && (step === null || isLabel(step));
}

const isFindingCounts = isRecordOf(
  (count): count is number => isCount(count, MAX_BATCH_RECORDS),
  isFindingCode,
);

const isMemberCounts = isRecordOf(
  (count): count is number => isCount(count, MAX_BATCH_RECORDS),
  (name) => isLabel(name, MAX_MEMBER_NAME_CHARACTERS),
);

/** Kafka's own limit. */
const MAX_TOPIC_CHARACTERS = 249;

/** Far above any batch; they keep the sums of any number of batches below 2^63. */
const MAX_BATCH_RECORDS = 2 ** 31 - 1;
const MAX_BATCH_BYTES = 2 ** 40;
const MAX_EPOCH = 2 ** 31 - 1;
/** A thousand finding codes of a hundred characters, of three bytes each, and how often. */
const MAX_EVENT_BYTES = 512 * 1024;
