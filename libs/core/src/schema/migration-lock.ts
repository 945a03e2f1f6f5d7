import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { pinWithin } from '#common/postgres/pool.js';
import { connectToMigrate } from './migration-client.js';

/** Any 64-bit number will do, as long as every `migrate` takes the same one. */
const MIGRATION_LOCK = 8_420_371_001;

const POLL_MS = 250;

/**
 * Runs `work` while no other migration runs.
 *
 * - ML1: the lock belongs to a transaction, which stays open around `work` on a connection that does nothing else. A
 *   session's lock would stay on the server's connection behind a pooler in transaction mode, without a holder.
 * - ML2: it is waited for within a limit, and its holder is named.
 * @throws SluiceError MIGRATION_LOCKED
 */
export async function withMigrationLock<T>(
  databaseUrl: string,
  waitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  // It is idle while `work` runs: an error then is met by the statement that ends the transaction.
  const client = await connectToMigrate(databaseUrl);
  try {
    await client.query('BEGIN');
    await pinWithin(client, { statement_timeout: '0', lock_timeout: '0' });
    const deadline = performance.now() + waitMs;
    while (!(await tryLock(client))) {
      if (performance.now() >= deadline) throw await locked(client, waitMs);
      await sleep(POLL_MS);
    }
    const result = await work();
    await client.query('COMMIT');
    return result;
  } finally {
    // Ends the transaction as well, if it is still open.
    await client.end();
  }
}

async function tryLock(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS taken', [
    MIGRATION_LOCK,
  ]);
  return rows[0]?.taken === true;
}

async function locked(client: pg.Client, waitMs: number): Promise<SluiceError> {
  const { rows } = await client.query<{ pid: number; who: string }>(
    `SELECT pid, concat_ws(' of ', nullif(application_name, ''), usename) AS who
     FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (classid::bigint << 32) + objid::bigint = $1`,
    [MIGRATION_LOCK],
  );
  const holders =
    rows.map(({ pid, who }) => `session ${pid} (${who})`).join(', ') || 'a session that has just ended';
  const pid = rows[0]?.pid;
  return new SluiceError(
    'MIGRATION_LOCKED',
    `Another migration holds the lock for more than ${Math.round(waitMs / 1_000)} s: ${holders}.` +
      (pid === undefined ? '' : ` If it is no migration any more: SELECT pg_terminate_backend(${pid}).`),
  );
}
