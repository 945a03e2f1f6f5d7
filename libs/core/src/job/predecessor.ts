import type { JobState } from '#api/job-words.js';
import { isActive } from './state-change.js';

/** The job that another one is to come after (LN5, `lanes.ts`). */
export interface Predecessor {
  readonly id: string;
  readonly state: Extract<JobState, 'queued' | 'running' | 'paused' | 'finalizing' | 'failed'>;
}

const givenUp = (job: string): string =>
  `(${job}.state = 'cancelled' OR ${job}.state = 'failed' AND NOT ${job}.resumable)`;

/**
 * SQL: a query of the job that has to end before one whose `after_job` is given, with columns `id` and `state`; of no row when
 * nothing has to. Through jobs that were cancelled or given up it looks at their predecessors, so that the order of those around
 * them stays.
 * @param afterJob SQL
 */
export function predecessorOf(afterJob: string): string {
  return `
    WITH RECURSIVE earlier AS (
        SELECT given.id, given.state, given.resumable, given.after_job FROM sluice.job AS given WHERE given.id = ${afterJob}
      UNION
        SELECT before.id, before.state, before.resumable, before.after_job
        FROM earlier JOIN sluice.job AS before ON before.id = earlier.after_job WHERE ${givenUp('earlier')})
    SELECT id, state FROM earlier WHERE state <> 'succeeded' AND NOT ${givenUp('earlier')}`;
}

/** WHERE: an active job waits for `job`, which has failed (LN6). */
export const IS_WAITED_FOR = `EXISTS (
  SELECT FROM sluice.job AS waiting WHERE ${isActive('waiting')} AND waiting.after_job IS NOT NULL
    AND job.id IN (SELECT before.id FROM (${predecessorOf('waiting.after_job')}) AS before))`;
