import { sqlstateOf } from '#common/postgres/sqlstate.js';

/**
 * For a transaction that holds FOLD_LOCK and then waits for dead letters: a resubmission holds them for minutes, and what needs
 * FOLD_LOCK alone stands behind the waiting transaction, and all folding behind that. So it waits for a second, ends, and
 * begins again.
 */
export const BRIEF_LOCKS = `SET LOCAL lock_timeout = '1s'`;

/** Whether a transaction ended because another one holds what it needs: lock_not_available, deadlock_detected. */
export function isHeldByAnother(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlstateOf(error) ?? '');
}
