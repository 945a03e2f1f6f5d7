import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import { type SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { type ForeignSession, mayNotEnd } from '../faults/foreign-session.js';

/** Every loader's connections bear it, followed by the process's name. */
export const LOADER_APPLICATION = 'sluice loader';

const LOOK_INTERVAL_MS = 1_000;

interface Blocker extends ForeignSession {
  /** Of a role over which ours has no right. */
  readonly foreign: boolean;
  readonly stalled: boolean | null;
}

/** PostgreSQL shows since when a session of another role works only to those with a right: null otherwise. */
const BLOCKERS = `
  SELECT *, CASE WHEN stalled AND NOT "foreign" THEN pg_terminate_backend(pid) END
  FROM (SELECT pid, usename AS role, application_name AS application, current_user AS us,
               xact_start < clock_timestamp() - $3 * interval '1 millisecond' AS stalled,
               xact_start IS NULL
                 OR NOT (pg_has_role(usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))
                 OR theirs.rolsuper AND NOT ours.rolsuper AS "foreign"
        FROM pg_stat_activity
        JOIN pg_roles AS theirs ON theirs.oid = usesysid
        JOIN pg_roles AS ours ON ours.rolname = current_user
        WHERE pid = ANY(pg_blocking_pids($1)) AND starts_with(application_name, $2)) AS blocker`;

/**
 * Ends the transactions of loaders that have stalled while `work` waits behind them.
 *
 * A stalled process keeps its transaction open, its ledger rows locked, and no time-out reaches a backend that waits
 * for COPY data; only `pg_terminate_backend` does. Ended are backends that block ours, are a loader's, and began
 * before a whole session time-out: a consumer that is silent for so long has lost its partitions to us.
 * @throws SluiceError JOB_SCHEMA when work has failed behind a loader of another role, and ours has no right over it
 */
export async function endingStalledLoaders<T>(
  { pool, logger, sessionTimeoutMs }: { pool: pg.Pool; logger: Logger; sessionTimeoutMs: number },
  waiting: { readonly pid: number; readonly job: string; readonly dataset: string },
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const look = async (): Promise<void> => {
    for (;;) {
      await sleep(LOOK_INTERVAL_MS, undefined, { signal: over.signal });
      const { rows } = await pool.query<Blocker>(BLOCKERS, [
        waiting.pid,
        LOADER_APPLICATION,
        sessionTimeoutMs,
      ]);
      for (const blocker of rows) {
        const { application, foreign, stalled } = blocker;
        if (foreign) denied = mayNotEnd(blocker, waiting);
        else if (stalled) logger.warn({ application }, 'ended the transaction of a stalled loader');
      }
    }
  };
  let denied: SluiceError | undefined;
  const looking = look().catch((error: unknown) => {
    if (!over.signal.aborted) logger.warn(`cannot look for stalled loaders: ${messageOf(error)}`);
  });
  try {
    return await work();
  } catch (error) {
    // It would be waited for again and again: the missing right has to be granted.
    throw denied ?? error;
  } finally {
    over.abort();
    await looking;
  }
}
