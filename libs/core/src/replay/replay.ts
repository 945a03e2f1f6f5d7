import type { JobState } from '#api/job-words.js';
import type { ReplayCover, ReplayDeleted, ReplayLeftOut, ReplayPart, ReplaySelection } from '#api/replays.js';
import type { WriteMode } from '../dataset/dataset.js';
import type { NewJob } from '../job/create-job.js';

/** What a replay is in the database. */

/** With what settings a job of a replay is created; those of its origin, as far as they hold today. */
export type ReplayedSettings = Pick<
  NewJob,
  'mode' | 'strict' | 'maxRefusedShare' | 'maxShrinkShare' | 'existingKeys' | 'breaker' | 'options'
>;

/** One job to be replayed. */
export interface PlannedReplayJob {
  readonly origin: string;
  /** Of a source of the kind `raw`. */
  readonly address: string;
  readonly settings: ReplayedSettings;
  readonly batches: number;
  readonly records: number;
  /** Only its open dead letters, of these batches; null: of all. False: every record. */
  readonly chosen: false | { readonly batches: readonly number[] | null };
}

export interface ReplayPlan {
  readonly dataset: string;
  readonly selection: ReplaySelection;
  readonly which: ReplayPart;
  readonly mode: WriteMode | null;
  readonly atOnce: number;
  readonly by: string | null;
  readonly jobs: readonly PlannedReplayJob[];
  readonly covers: ReplayCover;
  readonly deleted: ReplayDeleted;
  readonly leftOut: readonly ReplayLeftOut[];
}

/** A job of a replay that has begun and not ended for good: it is active, or has failed and can be resumed. */
export interface OpenJob {
  readonly job: string;
  readonly state: JobState;
}

/** What a running replay does next. PURE. */
export type ReplayStep =
  | { readonly do: 'begin' }
  /** @param standing a job that does not continue by itself */
  | { readonly do: 'wait'; readonly standing: OpenJob | null }
  | { readonly do: 'end' };

/**
 * - RE1: a job begins when fewer than `atOnce` are active, in the order of their origins.
 * - RE2: a job that has failed and can be resumed holds the replay: what comes behind it would go before it. It is an
 *   operator's to resume, or to discard.
 * - RE3: it ends when every job has ended for good.
 * @param open its jobs that have begun and not ended for good
 * @param isWaiting a job of it has not begun
 */
export function nextStep(open: readonly OpenJob[], isWaiting: boolean, atOnce: number): ReplayStep {
  const standing = open.find(({ state }) => state === 'failed');
  if (standing !== undefined) return { do: 'wait', standing };
  if (isWaiting && open.length < atOnce) return { do: 'begin' };
  if (open.length === 0) return { do: 'end' };
  return { do: 'wait', standing: open.find(({ state }) => state === 'paused') ?? null };
}
