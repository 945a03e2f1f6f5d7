import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import { messageOf } from '#common/errors/sluice-error.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';

/** Every loader's connections bear it, followed by the process's name. */
export const LOADER_APPLICATION = 'sluice loader';

const LOOK_INTERVAL_MS = 1_000;
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Ends the transactions of loaders that have stalled while `work` waits behind them.
 *
 * A stalled process keeps its transaction open, its ledger rows locked, and no time-out reaches a backend that waits
 * for COPY data; only `pg_terminate_backend` does. Ended are backends that block ours, are a loader's, and began
 * before a whole session time-out: a consumer that is silent for so long has lost its partitions to us.
 */
export async function endingStalledLoaders<T>(
  { pool, logger, sessionTimeoutMs }: { pool: pg.Pool; logger: Logger; sessionTimeoutMs: number },
  waitingPid: number,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const look = async (): Promise<void> => {
    for (;;) {
      await sleep(LOOK_INTERVAL_MS, undefined, { signal: over.signal });
      const { rows } = await pool.query<{ application: string }>(
        `SELECT application_name AS application, pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid = ANY(pg_blocking_pids($1)) AND starts_with(application_name, $2)
           AND xact_start < clock_timestamp() - $3 * interval '1 millisecond'`,
        [waitingPid, LOADER_APPLICATION, sessionTimeoutMs],
      );
      for (const { application } of rows)
        logger.warn({ application }, 'ended the transaction of a stalled loader');
    }
  };
  const denied: Error[] = [];
  const looking = look().catch((error: unknown) => {
    if (error instanceof Error && sqlstateOf(error) === INSUFFICIENT_PRIVILEGE) denied.push(error);
    if (!over.signal.aborted) logger.warn(`stalled loaders cannot be looked for: ${messageOf(error)}`);
  });
  try {
    return await work();
  } catch (error) {
    // It would be waited for again and again: that a right is missing is what has to be mended.
    throw denied[0] ?? error;
  } finally {
    over.abort();
    await looking;
  }
}
