import type { JobState } from '#api/job-words.js';

export interface EndedJob {
  readonly id: string;
  readonly dataset: string;
  readonly state: JobState;
}

/**
 * Publishes what a job's rows say. Called until it succeeds, so repeats must be harmless: dead letters and events have
 * natural ids.
 */
export interface Announcer {
  /**
   * Produces the dead letters of ledger rows of the job with `refusals_announced = false`, as many as one turn takes,
   * and sets that flag only if `load_refusals` is still as long as what was produced: settling may have added some.
   * @returns true when there may be more
   */
  announceRefusals(job: string): Promise<boolean>;
  /** Produces the event that the job has ended. */
  announceJob(job: EndedJob): Promise<void>;
}
