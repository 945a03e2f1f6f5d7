import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { type Session, nameSession } from './old-snapshots.js';

/** Looks this often while a lock is waited for, however long that may take. */
const LOOKS_PER_WAIT = 4;

/**
 * Sees who keeps a backend waiting, from another connection, while it waits: afterwards the same question would name
 * those who had waited behind it.
 */
export class BlockerWatch {
  private seen: readonly string[] = [];

  /** @param onSeen is told at once who is in the way, each time it is somebody else */
  constructor(
    private readonly pool: Pool,
    private readonly waitMs: number,
    private readonly onSeen?: (whom: string) => void,
  ) {}

  /** Runs `work`, which may wait for locks on `client`. */
  async during<T>(client: PoolClient, work: () => Promise<T>): Promise<T> {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const over = new AbortController();
    // Not waited for afterwards: the locks are ours then, and everybody else waits.
    void this.watch(rows[0]?.pid ?? 0, over.signal);
    try {
      return await work();
    } finally {
      over.abort();
    }
  }

  /** Whoever was in the way last. */
  names(): string {
    return this.seen.length === 0 ? 'somebody who was gone at once' : this.seen.join(', ');
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
