import type { ExistingKeys, WriteMode } from '../dataset/dataset.js';
import type { Stage } from '../message/status-event.js';
import type { Finding } from '../record/finding.js';
import type { DiscardedWork, JobCounts, JobError, JobProblem, PauseDetail } from './job.entity.js';
import type { JobState, PauseReason } from './job-state.js';
import type { JobWait } from './job-wait.js';

/**
 * The shapes of the HTTP API as its clients see them: what the ingestor takes, what the tracker answers
 * and what the CLI reads. Times are ISO 8601, bytes are bytes, shares are 0…1.
 */

/** Body of `POST /jobs` (ingestor). */
export interface JobRequest {
  readonly dataset: string;
  /** `http(s)://…`, `file:///…` or an absolute path; the dataset's own default when left out. */
  readonly source?: string;
  readonly mode?: WriteMode;
  /** Exactly the first so many records. */
  readonly limit?: number;
  readonly dryRun?: boolean;
  readonly maxRefusedShare?: number;
  /** true: swap in a snapshot of any size. */
  readonly allowShrink?: boolean;
  /** `append`: what becomes of a record whose key is in the table already; `supersede` when left out. */
  readonly existingKeys?: ExistingKeys;
  /** Overrides the dataset's breaker: pause when more than this share of the window is refused (0…1) … */
  readonly breakerShare?: number;
  /** … or more than so many of its records. */
  readonly breakerCount?: number;
  readonly options?: Readonly<Record<string, string>>;
}

/** Body of `POST /jobs/:id/resume`: limits that made the job fail may be raised. */
export interface ResumeRequest {
  readonly maxRefusedShare?: number;
  readonly allowShrink?: boolean;
}

/** Answer of `POST /jobs` and of `POST /jobs/:id/pause`, `/continue`, `/resume` and `/discard`. */
export interface JobAccepted {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
}

/** Answer of `POST /jobs/:id/cancel`. */
export interface JobCancelled extends JobAccepted {
  readonly discarded: DiscardedWork;
}

/** RFC 9457 problem details, with the members that Sluice adds. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** A code of docs/errors.md. */
  readonly code: string;
  /** What to do. */
  readonly action: string;
  /** 422: every wrong field. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  /** 409: the job that holds the dataset. */
  readonly activeJob?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Pass as `cursor` for the next page; null at the end. */
  readonly next: string | null;
}

export interface JobSummary {
  readonly id: string;
  readonly dataset: string;
  readonly mode: WriteMode;
  readonly dryRun: boolean;
  readonly state: JobState;
  /** Running with an expired lease. */
  readonly interrupted: boolean;
  readonly pauseReason: PauseReason | null;
  readonly pauseDetail: PauseDetail | null;
  /** Why a running job cannot complete by itself, and what to do. */
  readonly problem: JobProblem | null;
  /** What it waits for at the moment; it goes on by itself. */
  readonly wait: JobWait | null;
  /** `sluice resume` can take a failed job up again. */
  readonly resumable: boolean;
  /** What cancelling threw away. */
  readonly discarded: DiscardedWork | null;
  /** Without credentials. */
  readonly source: string;
  readonly limit: number | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** From start to finish, or to now. */
  readonly seconds: number | null;
  /** Null until the job is finished. */
  readonly counts: JobCounts | null;
  readonly error: JobError | null;
}

export interface JobDetail extends JobSummary {
  /** Finding code → how often; grows while the job runs. */
  readonly findings: Readonly<Record<string, number>>;
  /**
   * Members that the contract does not read (NDJSON), the most frequent first, at most MAX_SHOWN_MEMBERS; absent in
   * answers of older builds.
   */
  readonly unknownMembers?: readonly UnknownMember[];
  readonly stages: readonly StageProgress[];
  /** What finalization is doing now, in a word; null outside it. */
  readonly step: string | null;
  /** Refused records of the job, and how many of them the tracker knows already. */
  readonly deadLetters: {
    readonly known: number;
    readonly expected: number | null;
    readonly complete: boolean;
  };
}

/**
 * Whether the names of unknown members are those of all batches. Counts come with the job's row, names with the
 * validator's events, which the tracker may hear of a moment after the job has ended.
 */
export function knowsMembers({ counts, findings, stages }: JobDetail): boolean {
  if (counts === null || (findings['UNKNOWN_MEMBER'] ?? 0) === 0) return true;
  return (stages.find(({ stage }) => stage === 'validate')?.warnings ?? 0) >= counts.warnings;
}

export interface UnknownMember {
  /** Cut, control characters written out. */
  readonly name: string;
  /** That hold it. */
  readonly records: number;
}

export interface StageProgress {
  readonly stage: Stage;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  /** Null until the ingestor knows. */
  readonly totalRecords: number | null;
  readonly totalBytes: number | null;
  readonly recordsPerSecond: number | null;
  readonly etaSeconds: number | null;
  readonly done: boolean;
}

export interface BatchView {
  readonly batch: number;
  readonly records: number;
  readonly bytes: number;
  readonly ingestedAt: string | null;
  readonly validatedAt: string | null;
  readonly loadedAt: string | null;
  readonly accepted: number | null;
  readonly refused: number | null;
  readonly skipped: number | null;
}

export interface DeadLetterView {
  /** `<job>:<record>` */
  readonly id: string;
  readonly dataset: string;
  readonly job: string;
  readonly batch: number;
  readonly record: number;
  readonly line: number;
  readonly byteStart: number;
  readonly byteEnd: number;
  readonly stage: 'validate' | 'load';
  readonly codes: readonly string[];
  readonly findings: readonly Finding[];
  readonly sqlstate: string | null;
  readonly attempt: number;
  readonly columns: readonly string[];
  /** The record as text (undecodable bytes as U+FFFD), cut at 1,000 characters in lists. */
  readonly text: string;
  /** Its exact bytes in base64; in `GET /dead-letters/:job/:record` only. */
  readonly bytesBase64?: string;
}

/** A message that nobody could read; it stays in its topic until that expires. */
export interface ParkedMessageView {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly reason: string;
  readonly parkedAt: string;
  /** `retried`: published again to its topic; `skipped`: passed over for good. */
  readonly state: ParkedState;
  /** When that was decided; null while it is open. */
  readonly decidedAt: string | null;
  /** Why it was skipped, or where it was published to. */
  readonly note: string | null;
}

export const PARKED_STATES = ['open', 'retried', 'skipped'] as const;
export type ParkedState = (typeof PARKED_STATES)[number];

/** A parked message as it stands in its topic. */
export interface ParkedMessageContent extends ParkedMessageView {
  /** UTF-8; bytes that are none as U+FFFD. */
  readonly key: string | null;
  readonly headers: readonly { readonly name: string; readonly value: string | null }[];
  readonly valueBytes: number;
  /** Its exact bytes; null for a message without a value. */
  readonly valueBase64: string | null;
}

export interface DatasetView {
  readonly name: string;
  readonly title: string;
  readonly format: string;
  readonly writeModes: readonly WriteMode[];
  readonly options: Readonly<Record<string, readonly string[]>>;
  readonly defaultSource: string | null;
  /** Of the contract that the answering service has loaded. */
  readonly contractVersion: number;
  /** Of which build the answering service is; null when it does not run from a build. */
  readonly build: string | null;
  /** Names the content of the dataset's folder as it was when the answering service started. */
  readonly fingerprint: string;
  /** Exact row counts; parents before children. */
  readonly tables: readonly { readonly table: string; readonly rows: number }[];
}
