import { setTimeout as sleep } from 'node:timers/promises';
import type { StepRunner } from './step-runner.js';

/**
 * The documented exception of G5: a transaction whose snapshot is older than the job's last rows, and that first
 * touches the table after the swap, finds the new table empty: its rows are from that snapshot's future.
 * So the swap waits until no such snapshot is left, up to a bound.
 *
 * Counted are client backends of this database that began their transaction before we looked and hold a snapshot
 * which excludes what was committed by then. One that touched the table already needs no waiting here: its lock
 * keeps the swap out. Sluice's own loaders read no target tables and hold snapshots all the time.
 */
const OLD_SNAPSHOTS = `
  SELECT pid, usename, application_name, state FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()
    AND NOT starts_with(application_name, 'sluice')
    AND xact_start < $1::timestamptz AND backend_xmin IS NOT NULL AND age(backend_xmin) > age($2::text::xid)
  ORDER BY xact_start`;

const POLL_MS = 250;

/** A row of pg_stat_activity, as far as it says who somebody is. */
export interface Session {
  pid: number;
  usename: string;
  application_name: string;
  state: string;
}

/**
 * @param boundMs after so long the swap goes on
 * @param onWait is told for whom we wait
 * @returns the sessions that were not waited for any longer
 * @throws SluiceError JOB_LOST when the job is cancelled meanwhile
 */
export async function waitForOldSnapshots(
  runner: StepRunner,
  boundMs: number,
  onWait: (whom: string) => void,
): Promise<string[]> {
  const { rows } = await runner.pool.query<{ now: string; horizon: string }>(
    `SELECT clock_timestamp()::text AS now, pg_snapshot_xmax(pg_current_snapshot())::text AS horizon`,
  );
  const horizon = rows[0];
  const deadline = performance.now() + boundMs;
  let told = '';
  for (;;) {
    const sessions = await runner.pool.query<Session>(OLD_SNAPSHOTS, [horizon?.now, horizon?.horizon]);
    const names = sessions.rows.map(nameSession);
    if (names.length === 0 || performance.now() >= deadline) return names;
    const whom = names.join(', ');
    if (whom !== told) onWait(whom);
    told = whom;
    await sleep(POLL_MS);
    await runner.assertStillHeld();
  }
}

/** `session 4711 (psql of bob, idle in transaction)` */
export function nameSession({ pid, usename, application_name, state }: Session): string {
  return `session ${pid} (${application_name || 'unnamed'} of ${usename}, ${state})`;
}
