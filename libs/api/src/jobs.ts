import type { DeadLetterCounts } from './dead-letters.js';
import type { DiscardedWork, JobCounts, JobError, JobProblem, JobWait, PauseDetail } from './job-facts.js';
import type { ExistingKeys, FindingCategory, JobState, PauseReason, Stage, WriteMode } from './job-words.js';

/** Body of `POST /jobs` (ingestor). */
export interface JobRequest {
  readonly dataset: string;
  /** `http(s)://…`, `file:///…` or an absolute path; the dataset's own default when left out. */
  readonly source?: string;
  readonly mode?: WriteMode;
  /** Exactly the first N records. */
  readonly limit?: number;
  readonly dryRun?: boolean;
  /** A single refused record fails the job; the dataset's own choice when left out. */
  readonly strict?: boolean;
  readonly maxRefusedShare?: number;
  /** true: swap in a snapshot of any size. */
  readonly allowShrink?: boolean;
  /** `append`: what becomes of a record whose key is in the table already; `supersede` when left out. */
  readonly existingKeys?: ExistingKeys;
  /** Overrides the dataset's breaker: pause when more than this share of the window is refused (0…1) … */
  readonly breakerShare?: number;
  /** … or more than N of its records. */
  readonly breakerCount?: number;
  readonly options?: Readonly<Record<string, string>>;
}

/** Body of `POST /jobs/:id/resume`: limits that made the job fail may be raised. */
export interface ResumeRequest {
  /** Makes a strict job lenient, too. */
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

/** An item of `GET /jobs`. */
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
  /** What it waits for at the moment; it continues by itself. */
  readonly wait: JobWait | null;
  /** The job that has to end before this one becomes visible; absent in answers of older builds. */
  readonly afterJob?: string | null;
  /** The dataset's stream that made it; null for all others, absent in answers of older builds. */
  readonly stream?: string | null;
  /** The job whose raw batches it has loaded again, and the replay that made it; null for all others, absent in answers of older builds. */
  readonly originJob?: string | null;
  readonly replay?: string | null;
  /** Of the contract that validates it; absent in answers of older builds. */
  readonly contractVersion?: number;
  /** `sluice resume` can resume a failed job. */
  readonly resumable: boolean;
  /** What cancelling discarded. */
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

/** `GET /jobs/:id`, and each event of its stream. */
export interface JobDetail extends JobSummary {
  /** Finding code → how often; grows while the job runs. */
  readonly findings: Readonly<Record<string, number>>;
  /** Category of each of these codes, as far as it is known; absent in answers of older builds. */
  readonly categories?: Readonly<Record<string, FindingCategory>>;
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
    /** What became of the known ones; absent in answers of older builds. */
    readonly states?: DeadLetterCounts;
  };
}

/**
 * Whether the names of unknown members are those of all batches. Counts come with the job's row, names with the
 * validator's events, which may reach the tracker a moment after the job has ended.
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

/** An item of `GET /jobs/:id/batches`. */
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
