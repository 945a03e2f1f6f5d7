import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { type Session, nameSession } from './old-snapshots.js';

/** Interval of the checks while a statement waits for a lock. */
const LOOKS_PER_WAIT = 4;

/**
 * Finds out, on another connection, which sessions block a backend while it waits: afterwards PostgreSQL would name those
 * that waited behind it.
 */
export class BlockerWatch {
  private seen: readonly string[] = [];

  /** @param onSeen gets the names of the blocking sessions at once, each time they change */
  constructor(
    private readonly pool: Pool,
    private readonly waitMs: number,
    private readonly onSeen?: (whom: string) => void,
  ) {}

  /** Runs `work`, which may wait for locks on `client`. */
  async during<T>(client: PoolClient, work: () => Promise<T>): Promise<T> {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const over = new AbortController();
    // Not awaited afterwards: we hold the locks then, and all other sessions wait.
    void this.watch(rows[0]?.pid ?? 0, over.signal);
    try {
      return await work();
    } finally {
      over.abort();
    }
  }

  /** The sessions that blocked at the last check. */
  names(): string {
    return this.seen.length === 0 ? 'a session that ended at once' : this.seen.join(', ');
  }

  private async watch(pid: number, over: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await sleep(this.waitMs / LOOKS_PER_WAIT, undefined, { signal: over });
        const { rows } = await this.pool.query<Session>(
          `SELECT pid, usename, application_name, state FROM pg_stat_activity
           WHERE pid = ANY(pg_blocking_pids($1)) ORDER BY pid`,
          [pid],
        );
        const before = this.names();
        if (rows.length > 0) this.seen = rows.map(nameSession);
        if (this.names() !== before && !over.aborted) this.onSeen?.(this.names());
      }
    } catch {
      // The wait is over, or the database does not answer: the waiting statement says so itself.
    }
  }
}
