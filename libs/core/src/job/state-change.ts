import { ACTIVE_STATES, type TransitionName, originsOf, targetOf } from './job-state.js';

/**
 * The parts that the statements on `sluice.job` have in common. What a transition comes from and leads to is written
 * here, from TRANSITIONS, and nowhere else (JS1).
 */

/** For SET. */
export function entering(name: TransitionName): string {
  return `state = '${targetOf(name)}'`;
}

/** For WHERE. */
export function comingFrom(name: TransitionName): string {
  const states = originsOf(name).map((state) => `'${state}'`);
  return states.length === 0 ? 'false' : `state IN (${states.join(', ')})`;
}

/** For WHERE. In literals, so that the partial index `job_active` serves it. @param job its alias */
export function isActive(job: string): string {
  return `${job}.state IN (${ACTIVE_STATES.map((state) => `'${state}'`).join(', ')})`;
}

/**
 * For SET, of each transition to `paused`. The owner and its lease stay, unless the transition gives them up as well.
 * @param reason SQL: a literal or a parameter
 */
export function pausedFor(reason: string, detail: string): string {
  return `pause_reason = ${reason}, pause_detail = ${detail}, wait = NULL`;
}

/** For SET, of each transition that may come from `paused`. */
export const NO_PAUSE = 'pause_reason = NULL, pause_detail = NULL, wait = NULL';

export const NO_OWNER = 'owner = NULL, lease_until = NULL';

/** The next ingestor need not wait for the lease to run out. */
export const GIVEN_BACK = 'owner = NULL, lease_until = now()';

/** What is known once the source is read to its end. */
export const NO_TOTALS =
  'total_batches = NULL, total_records = NULL, total_bytes = NULL, completed_at = NULL';

/** What is known once the job has ended. */
export const NO_OUTCOME =
  'error = NULL, finished_at = NULL, counts = NULL, counted_batches = NULL, findings = NULL, wait = NULL, announced = true';

/** For SET, of each transition to `failed`. */
export const FIRST_FAILED = 'first_failed_at = coalesce(first_failed_at, now())';

/** Its work is given up for ever; the source's credentials go with it. */
export const NOT_RESUMABLE = `resumable = false, secret_uri = ''`;
