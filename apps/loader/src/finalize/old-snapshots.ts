import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { StepRunner } from './step-runner.js';

/**
 * The documented exception of G5: a transaction whose snapshot is older than the job's last rows, and that first
 * touches the table after the swap, finds the new table empty: its rows are from that snapshot's future.
 * So the swap waits until no such snapshot is left, up to a bound.
 *
 * Invariants
 * - OS1: a session counts when it holds a snapshot which excludes something that was committed when the wait began.
 *   `backend_xmin` says that, and every role may see it. What else PostgreSQL shows of other roles' sessions only to
 *   members of pg_read_all_stats (kind of backend, begin of the transaction) leaves sessions out where it is known,
 *   and counts them where it is not.
 * - OS2: only sessions that counted at the first look are waited for: a snapshot that is taken later holds every row of
 *   the job. Nor does one come back that was seen without its old snapshot.
 * - OS3: Sluice's own backends hold snapshots all the time and read no target tables. They are known by their role,
 *   which is ours, and by a name that only Sluice gives: exact, because a report may well be called `sluice-report`.
 * - OS4: transaction ids are compared in 64 bits: after 2^32 transactions the 32 bits of `backend_xmin` begin again.
 *
 * A session that touched the table already needs no waiting here: its lock keeps the swap out.
 */
const SNAPSHOTS = `
  SELECT pid, usename, application_name, state, backend_xmin::text AS xmin,
         pg_snapshot_xmax(pg_current_snapshot())::text AS "nextXid",
         usename = current_user AS "ofOurRole"
  FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
    AND CASE WHEN backend_type IS NULL THEN usesysid IS NOT NULL ELSE backend_type IN ('client backend', 'walsender') END
    AND (xact_start IS NULL OR xact_start < $1::timestamptz)
  ORDER BY xact_start, pid`;

const POLL_MS = 250;

/** What `sluice` calls its sessions: services by host and process, finalizations by job and epoch (OS3). */
const OWN_NAMES = [
  /^sluice (ingestor|loader|tracker) \S+:\d+$/,
  /^sluice-finalize:[0-9a-f-]{36}:\d+$/,
  /^sluice (migrate|tracker rebuild)$/,
];

/** A row of pg_stat_activity, as far as it says whose session it is; null is what the own role may not see. */
export interface Session {
  pid: number;
  usename: string | null;
  application_name: string;
  state: string | null;
}

interface Snapshot extends Session {
  xmin: string;
  nextXid: string;
  ofOurRole: boolean;
}

/** When the wait began. */
export interface Horizon {
  /** By the database's clock. */
  readonly at: string;
  /** The first transaction id, in 64 bits, that was not completed then. */
  readonly xid: bigint;
}

/**
 * @param boundMs after this many milliseconds the swap proceeds
 * @param onWait gets the names of the sessions that we wait for, each time they change
 * @returns the sessions that were not waited for any longer
 * @throws SluiceError JOB_LOST when the job is cancelled meanwhile
 */
export async function waitForOldSnapshots(
  runner: StepRunner,
  boundMs: number,
  onWait: (whom: string) => void,
): Promise<string[]> {
  const horizon = await presentHorizon(runner.pool);
  const deadline = performance.now() + boundMs;
  let reported = '';
  let waitedFor: ReadonlySet<number> | null = null;
  for (;;) {
    const old = await oldSnapshots(runner.pool, horizon);
    const sessions: Session[] = waitedFor === null ? old : old.filter(({ pid }) => waitedFor?.has(pid));
    waitedFor = new Set(sessions.map(({ pid }) => pid));
    const names = sessions.map(nameSession);
    if (names.length === 0 || performance.now() >= deadline) return names;
    const whom = names.join(', ');
    if (whom !== reported) onWait(whom);
    reported = whom;
    await sleep(POLL_MS);
    await runner.assertStillHeld();
  }
}

/**
 * Waits until PostgreSQL builds no index over rows that are deleted by now. It does so as long as one of these sees them:
 * a snapshot of this database's sessions, of any kind and role (ANALYZE of autovacuum holds one), of a replication
 * slot or a standby; or the snapshot of the build itself, which is as old as the oldest transaction that is under way
 * in any database of the server.
 * @param boundMs after this many milliseconds the wait ends
 * @param onWait gets how many sessions, slots and transactions there are, each time it changes
 * @returns how many are left
 * @throws SluiceError JOB_LOST when the job is cancelled meanwhile
 */
export async function waitForDeadRows(
  runner: StepRunner,
  boundMs: number,
  onWait: (holders: number) => void,
): Promise<number> {
  const horizon = await presentHorizon(runner.pool);
  const deadline = performance.now() + boundMs;
  let reported = 0;
  for (;;) {
    const old = await countHoldersOfDeadRows(runner.pool, horizon);
    if (old === 0 || performance.now() >= deadline) return old;
    if (old !== reported) onWait(old);
    reported = old;
    await sleep(POLL_MS);
    await runner.assertStillHeld();
  }
}

/** Sessions without a database are standbys' whose snapshots count here (`hot_standby_feedback`). */
const HOLDERS = `
  SELECT backend_xmin::text AS xmin FROM pg_stat_activity
  WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
  UNION ALL SELECT xmin::text FROM pg_replication_slots WHERE xmin IS NOT NULL`;

async function countHoldersOfDeadRows(pool: Pool, horizon: Horizon): Promise<number> {
  const { rows } = await pool.query<{ oldest: string; nextXid: string; holders: string[] }>(
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest,
            pg_snapshot_xmax(pg_current_snapshot())::text AS "nextXid", ARRAY(${HOLDERS}) AS holders`,
  );
  const [now] = rows;
  if (now === undefined) return 0;
  const old = now.holders.filter((xmin) => wideXid(BigInt(xmin), BigInt(now.nextXid)) < horizon.xid).length;
  // A transaction that writes and holds no snapshot at this moment is seen by its effect alone: it counts as one.
  return Math.max(old, BigInt(now.oldest) < horizon.xid ? 1 : 0);
}

export async function presentHorizon(pool: Pool): Promise<Horizon> {
  const { rows } = await pool.query<{ at: string; xid: string }>(
    `SELECT clock_timestamp()::text AS at, pg_snapshot_xmax(pg_current_snapshot())::text AS xid`,
  );
  return { at: rows[0]?.at ?? 'infinity', xid: BigInt(rows[0]?.xid ?? 0) };
}

/** Sessions whose snapshot excludes something that was committed at `horizon` (OS1). */
export async function oldSnapshots(pool: Pool, horizon: Horizon): Promise<Session[]> {
  const { rows } = await pool.query<Snapshot>(SNAPSHOTS, [horizon.at]);
  return rows.filter((row) => !isOwn(row) && wideXid(BigInt(row.xmin), BigInt(row.nextXid)) < horizon.xid);
}

function isOwn({ ofOurRole, application_name: name }: Snapshot): boolean {
  return ofOurRole && OWN_NAMES.some((pattern) => pattern.test(name));
}

/**
 * The 64 bits of a transaction id of which the low 32 are known (OS4): living ids are less than 2^31 apart.
 * @param near any 64-bit id of the present
 */
export function wideXid(low: bigint, near: bigint): bigint {
  return near - BigInt.asIntN(32, near - low);
}

/** `session 4711 (psql of bob, idle in transaction)` */
export function nameSession({ pid, usename, application_name, state }: Session): string {
  const who = `${application_name || 'unnamed'} of ${usename ?? 'another role'}`;
  return `session ${pid} (${state === null ? who : `${who}, ${state}`})`;
}
