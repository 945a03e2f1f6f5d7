import type { JobCounts, JobError } from './job-facts.js';
import type { JobState } from './job-words.js';
import type { StreamPauseReason, StreamState, StreamWaitCode } from './stream-words.js';

/** When a range of messages becomes a job: whichever bound is reached first. */
export interface StreamSettings {
  readonly maxRecords: number;
  /** Of keys, values and headers together. */
  readonly maxBytes: number;
  /** From the first message of the range on. */
  readonly maxMs: number;
}

/** Body of `POST /streams/:dataset/start`; what is left out stays as it was, or has its default. */
export type StreamStartRequest = Partial<StreamSettings>;

/** Body of `POST /streams/:dataset/resume`. */
export interface StreamResumeRequest {
  /** Continue behind messages that are gone from the inbox. */
  readonly skipLost?: boolean;
}

/** Answer of `POST /streams/:dataset/start`, `/pause`, `/resume` and `/drain`. */
export interface StreamAccepted {
  readonly dataset: string;
  readonly state: StreamState;
}

/** Why a stream is paused. */
export interface StreamPauseDetail extends JobError {
  /** The most frequent findings, the most frequent first. */
  readonly reasons?: readonly { readonly code: string; readonly count: number }[];
  /** Of reason `job`: which. */
  readonly job?: string;
  /** Of reason `inbox`: which offsets, [from, to), are gone from which partitions. */
  readonly lost?: readonly LostOffsets[];
}

export interface LostOffsets {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** What a running stream waits for; a wait ends by itself. */
export interface StreamWait {
  readonly code: StreamWaitCode;
  readonly message: string;
  /** ISO 8601, by the database's clock. */
  readonly since: string;
}

export interface StreamPartition {
  readonly partition: number;
  /** The next offset that becomes part of a job; null before the stream has begun with the partition. */
  readonly position: number | null;
  /** The first and the last but one offset of the inbox; null while Kafka does not answer. */
  readonly low: number | null;
  readonly high: number | null;
}

/** The newest job of a stream. */
export interface StreamJob {
  readonly id: string;
  readonly state: JobState;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly counts: JobCounts | null;
}

/** `GET /streams/:dataset`, and an item of `GET /streams`. */
export interface StreamView {
  readonly dataset: string;
  readonly topic: string;
  readonly state: StreamState;
  readonly reason: StreamPauseReason | null;
  readonly detail: StreamPauseDetail | null;
  readonly wait: StreamWait | null;
  /** Since when it is in this state; null when it was never started. */
  readonly since: string | null;
  readonly settings: StreamSettings;
  /** An ingestor holds the stream at the moment. */
  readonly attended: boolean;
  readonly partitions: readonly StreamPartition[];
  /** Messages that are in no job yet; null while Kafka does not answer. */
  readonly lagRecords: number | null;
  /** Age of the oldest message that is not visible yet; null when it is not known. */
  readonly lagSeconds: number | null;
  /** Of the jobs that succeeded in the last minute. */
  readonly recordsPerSecond: number;
  /** Since the stream was created. */
  readonly jobs: number;
  readonly records: number;
  readonly jobsInFlight: number;
  readonly lastJob: StreamJob | null;
  /** Finding code → how often, in the jobs of the last hour. */
  readonly findings: Readonly<Record<string, number>>;
}

/** An item of `GET /streams/:dataset/hours`: what the jobs of one hour that succeeded add up to. */
export interface StreamHour {
  /** Its beginning. */
  readonly hour: string;
  readonly jobs: number;
  readonly read: number;
  readonly loaded: number;
  readonly refused: number;
  /** Finding code → how often. */
  readonly findings: Readonly<Record<string, number>>;
}
