import type { JobState } from '#core/job/job-state.js';

export interface EndedJob {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
}

/**
 * Tells the world what a job's rows say. Called by the sweep until it succeeds, so repeats must be harmless:
 * letters and events have natural ids.
 */
export interface Announcer {
  /**
   * Produces the dead letters of every ledger row of the job with `refusals_announced = false`, and sets that
   * flag only if `load_refusals` is still as long as what was produced: settling may have added some meanwhile.
   */
  announceRefusals(job: string): Promise<void>;
  /** Produces the event that the job has ended. */
  announceJob(job: EndedJob): Promise<void>;
}
