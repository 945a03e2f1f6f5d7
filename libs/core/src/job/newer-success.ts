/**
 * FROM … WHERE of the jobs, as `newer`, that have made an older one of their dataset pointless: they began later and
 * have succeeded. A dry run shows nothing, so it does not count. The query around it knows the older one as `job`.
 * Who may be resumed (J3) and who is given up must never go by different rules.
 */
export const NEWER_SUCCESS = `
  FROM sluice.job AS newer WHERE newer.dataset = job.dataset AND newer.state = 'succeeded' AND NOT newer.dry_run
    AND newer.created_at > job.created_at`;
