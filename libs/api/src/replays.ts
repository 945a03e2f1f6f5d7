import type { WriteMode } from './job-words.js';
import type { JobState } from './job-words.js';

/** `succeeded`: every job of it has; `failed`: it has ended, and a job of it has not succeeded. */
export const REPLAY_STATES = ['running', 'succeeded', 'failed', 'cancelled'] as const;
export type ReplayState = (typeof REPLAY_STATES)[number];

/**
 * Which records of the selected jobs: all of those that succeeded, their open dead letters, or what did not become visible (all
 * records of jobs that were cancelled or have failed for good, and the open dead letters of the others).
 */
export const REPLAY_PARTS = ['all', 'refused', 'missing'] as const;
export type ReplayPart = (typeof REPLAY_PARTS)[number];

/** Why a selected job is not replayed. */
export const LEFT_OUT_REASONS = [
  'active',
  'resumable',
  'unsuccessful',
  'dry-run',
  'replay',
  'nothing',
  'expired',
  'unknown',
  'pruned',
  'overtaken',
  'unfinished',
] as const;
export type LeftOutReason = (typeof LEFT_OUT_REASONS)[number];

/** Offsets of a partition of the raw topic: from the first on, and before the second. */
export interface ReplayOffsets {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** What was asked for: one job, those that were created in a span of time, or those with batches in a range of offsets. */
export interface ReplaySelection {
  readonly job?: string;
  /** ISO 8601; `to` is excluded, and is the moment of the request when left out. */
  readonly from?: string;
  readonly to?: string;
  readonly offsets?: readonly ReplayOffsets[];
}

/** Body of `POST /replays` (ingestor). */
export interface ReplayRequest extends ReplaySelection {
  readonly dataset: string;
  /** `all` when left out. */
  readonly only?: ReplayPart;
  /** That of each job when left out. */
  readonly mode?: WriteMode;
  /** N jobs of it are under way at once at most; they become visible in their order. */
  readonly atOnce?: number;
  /** Nothing is begun: the answer says what would be. */
  readonly dryRun?: boolean;
  readonly by?: string;
}

export interface ReplayCover {
  readonly jobs: number;
  readonly batches: number;
  readonly records: number;
}

/** What the raw topic does not have any more. */
export interface ReplayDeleted extends ReplayCover {
  /** Of a selection by offsets. */
  readonly offsets: number;
}

export interface ReplayLeftOut {
  readonly reason: LeftOutReason;
  readonly jobs: number;
  /** One of them. */
  readonly example: string;
}

/** Answer of `POST /replays`. */
export interface ReplayAccepted {
  /** Null: a dry run. */
  readonly id: string | null;
  readonly dataset: string;
  readonly covers: ReplayCover;
  /** Jobs of which a part is deleted are covered as far as they are there. */
  readonly deleted: ReplayDeleted;
  readonly leftOut: readonly ReplayLeftOut[];
}

/** What a running replay waits for. */
export interface ReplayWait {
  readonly code: string;
  readonly message: string;
  /** ISO 8601, by the database's clock. */
  readonly since: string;
  readonly job: string | null;
}

/** Of the jobs that have ended. */
export interface ReplayCounts {
  readonly read: number;
  readonly refused: number;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly superseded: number;
}

/** An item of `GET /replays`. */
export interface ReplayView {
  readonly id: string;
  readonly dataset: string;
  readonly state: ReplayState;
  readonly selection: ReplaySelection;
  readonly only: ReplayPart;
  readonly mode: WriteMode | null;
  readonly atOnce: number;
  readonly covers: ReplayCover;
  readonly deleted: ReplayDeleted;
  readonly leftOut: readonly ReplayLeftOut[];
  readonly wait: ReplayWait | null;
  readonly by: string | null;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  /** Its jobs by state; `waiting` have not begun. */
  readonly jobs: {
    readonly waiting: number;
    readonly active: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly cancelled: number;
  };
  readonly counts: ReplayCounts;
  /** Whether a row was inserted, updated or deleted; null where tables were replaced, which does not say. */
  readonly changed: boolean | null;
}

/** An item of `GET /replays/:id/jobs`, in their order. */
export interface ReplayJobView {
  readonly position: number;
  readonly origin: string;
  readonly batches: number;
  readonly records: number;
  /** Null until it has begun. */
  readonly job: string | null;
  readonly state: JobState | null;
  /** Of the contract that validates it. */
  readonly contractVersion: number | null;
}
