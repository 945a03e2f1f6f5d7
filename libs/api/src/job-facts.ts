import type { WaitCode, WaitStage } from './job-words.js';

/** What is said about a job beside its progress. The job row keeps these as they are. */

/**
 * The sums of a job (docs/guarantees.md, G2):
 * read = accepted + refusedAtValidate + skipped; accepted = loaded + refusedAtLoad + superseded;
 * loaded = inserted + updated + unchanged + deleted.
 */
export interface JobCounts {
  readonly read: number;
  readonly accepted: number;
  readonly refused: number;
  readonly refusedAtValidate: number;
  readonly refusedAtLoad: number;
  readonly skipped: number;
  readonly loaded: number;
  readonly inserted: number;
  readonly updated: number;
  readonly unchanged: number;
  /** Records that were deletes and took a row away; a delete without a row is superseded. */
  readonly deleted: number;
  readonly superseded: number;
  readonly warnings: number;
}

/** Why a job failed: a code of the closed list, what happened and what to do. */
export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly action: string;
}

/** Why a job is paused, or cannot continue; for `breaker` also what was counted in its window. */
export interface PauseDetail extends JobError {
  readonly records?: number;
  readonly refused?: number;
  /** The most frequent findings of the window, most frequent first. */
  readonly reasons?: readonly { readonly code: string; readonly count: number }[];
}

/** What `cancel` discarded. */
export interface DiscardedWork {
  /** In staging, dropped with it. */
  readonly loadedBatches: number;
  readonly loadedRecords: number;
  /** Published and not loaded, at least: the loader drops them when they come. */
  readonly pendingBatches: number;
  readonly pendingRecords: number;
}

/** Why a job makes no progress: batches that are in no topic any more. */
export interface JobProblem extends JobError {
  readonly firstMissingBatch: number;
}

/** What a job waits for; a wait ends by itself. */
export interface JobWait {
  readonly stage: WaitStage;
  readonly code: WaitCode;
  /** What is waited for, in a sentence; without times, which would change by themselves. */
  readonly message: string;
  /** ISO 8601, by the database's clock. */
  readonly since: string;
}
