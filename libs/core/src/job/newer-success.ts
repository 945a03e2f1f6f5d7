import { IS_WAITED_FOR } from './predecessor.js';

/**
 * WHERE: another job makes `job`, which has failed, pointless once it succeeds: to resume `job` afterwards would put older data
 * over newer. Who may be resumed (JS3), beside whom (LN3), and who is given up (LO2) must never go by different rules.
 *
 * - A job that was created before `job` failed ran beside it: between the two there is no order but that of completion.
 * - A dry run shows nothing.
 * - A repair job has old records, however late it comes: it says nothing about the age of a file either.
 * - A stream's jobs come all the time and say nothing about the age of a file that is merged beside them; a failed `replace`
 *   would drop the rows that they have merged since.
 * - So do the jobs of a replay: what they read is older than they are.
 * - A stream's own failed job is pointless by no other: its records come from nowhere else. So is one of a replay, whose order is
 *   its own, and one that others wait for (LN6).
 *
 * @param newer alias of the other job
 */
export function overtakes(newer: string): string {
  return `(${newer}.dataset = job.dataset AND NOT ${newer}.dry_run
    AND ${newer}.created_at > coalesce(job.first_failed_at, job.created_at)
     AND job.stream IS NULL AND job.replay IS NULL
     AND (${newer}.stream IS NULL AND ${newer}.replay IS NULL AND ${newer}.repair IS NULL OR job.mode = 'replace')
     AND NOT ${IS_WAITED_FOR})`;
}

/** FROM … WHERE of the jobs, as `newer`, that have made an older one of their dataset pointless. The query around it knows that one as `job`. */
export const NEWER_SUCCESS = `
  FROM sluice.job AS newer WHERE newer.dataset = job.dataset AND newer.state = 'succeeded' AND ${overtakes('newer')}`;
