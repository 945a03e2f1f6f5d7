import { setTimeout as sleep } from 'node:timers/promises';
import pg, { type PoolClient } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { inspectTargets } from '#core/staging/inspect-targets.js';
import { STAGING_SCHEMA, stagingTable } from '#core/staging/staging-names.js';
import type { Targets } from '#core/staging/table-plan.js';
import type { TargetFacts } from '#core/staging/target-facts.js';
import { refuseUnkeepable } from '#core/staging/unkeepable.js';
import { BlockerWatch } from './blocker-watch.js';
import { missingIndexes, stagedTwin } from './build-indexes.js';
import { NOTHING, succeed } from './conclude.js';
import { countRows } from './count-rows.js';
import type { FinalizingJob } from './finalizing-job.js';
import type { StepRunner } from './step-runner.js';
import { putDefaultsBack, serialColumns, setBehindSnapshot, takeOverIdentities } from './swap-sequences.js';
import { exchangeTables } from './swap-statements.js';
import { cascadingKeys } from './table-sums.js';

/**
 * Puts the staging tables in the targets' place, in one short transaction that also ends the job.
 *
 *     views, then tables: ACCESS EXCLUSIVE, within one bounded wait
 *     inspect the targets again: they may have been altered since
 *     sequences continue after the snapshot's ids (swap-sequences.ts)
 *     exchange (swap-statements.ts) → prove G1 and G2, state succeeded → COMMIT
 *
 * Invariants
 * - SW1 (G5): readers see the old tables or the new ones, and the job as succeeded only with the new ones.
 * - SW2: no session waits behind us for longer than `swapLockTimeoutMs`: an attempt without its locks by then gives
 *   way, names the blocking sessions, and is repeated.
 * - SW3: views are locked before tables, as their readers do; and since the whole wait stays below the server's
 *   deadlock_timeout, we give way before the server would sacrifice a reader.
 */
export type SwapResult =
  { readonly kind: 'swapped' } | { readonly kind: 'prepare again'; readonly why: string };

const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Tries until the swap is done, or the tables turn out to be altered.
 * @param rows of each table, counted
 * @param onWait gets the names of the sessions that hold the tables
 * @throws SluiceError JOB_LOST when the job is cancelled meanwhile; TARGET_CHANGED; ROWS_CASCADED; TARGET_CANNOT_BE_SWAPPED
 */
export async function swap(
  runner: StepRunner,
  names: Targets,
  rows: readonly number[],
  lockTimeoutMs: number,
  onWait: (whom: string) => void,
): Promise<SwapResult> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const watch = new BlockerWatch(runner.pool, lockTimeoutMs);
    try {
      return await runner.lastStep((client) => trySwap(client, runner, names, rows, lockTimeoutMs, watch));
    } catch (error) {
      if (![LOCK_NOT_AVAILABLE, DEADLOCK].includes(sqlstateOf(error) ?? '')) throw error;
      onWait(watch.names());
    }
    await sleep(pauseMs);
    await runner.assertStillHeld();
  }
}

async function trySwap(
  client: PoolClient,
  runner: StepRunner,
  names: Targets,
  rows: readonly number[],
  lockTimeoutMs: number,
  watch: BlockerWatch,
): Promise<SwapResult> {
  const { job } = runner;
  const before = await inspectTargets(client, names);
  await watch.during(client, () => lockWithin(client, before, lockTimeoutMs));
  // Under the lock nothing changes any more: what is true now is what gets swapped.
  const targets = await inspectTargets(client, names);
  const twins = { schema: STAGING_SCHEMA, tables: names.tables.map((table) => stagingTable(table, job.id)) };
  let staged = await inspectTargets(client, twins);
  const serial = await serialColumns(client, targets, staged, job.id);
  if (serial.length > 0) {
    await putDefaultsBack(client, serial);
    staged = await inspectTargets(client, twins);
  }
  await refuseUnkeepable(client, names);
  refuseAltered(targets, staged, job.id);
  const why = notReady(before, targets, staged, job.id);
  if (why !== null) return { kind: 'prepare again', why };
  await setBehindSnapshot(client, serial, targets, staged, job.id);
  await takeOverIdentities(client, targets, staged, rows, job.id);
  await exchangeTables(client, targets, staged, job.id);
  await refuseCascaded(client, job, targets, rows);
  await succeed(client, job, { ...NOTHING, inserted: rows[0] ?? 0 });
  return { kind: 'swapped' };
}

/**
 * Between counting and the locks a row of another table may have been deleted, and rows of ours with it. Counted again
 * only where a foreign key can do that: it is done while all others wait for the tables.
 * @throws SluiceError ROWS_CASCADED
 */
async function refuseCascaded(
  client: PoolClient,
  { id, dataset }: FinalizingJob,
  targets: readonly TargetFacts[],
  rows: readonly number[],
): Promise<void> {
  const cascading = cascadingKeys(targets);
  if (cascading.length === 0) return;
  for (const [index, { name }] of targets.entries()) {
    const found = await countRows(client, name);
    if (found === rows[index]) continue;
    throw new SluiceError(
      'ROWS_CASCADED',
      `Rows of the new tables were deleted (foreign key ${cascading.join(', ')}): ` +
        `rows of ${name}: ${found} of ${rows[index] ?? 0}.`,
      { dataset, job: id },
    );
  }
}

/** SW2, SW3: one budget for all locks together. */
async function lockWithin(
  client: PoolClient,
  targets: readonly TargetFacts[],
  budgetMs: number,
): Promise<void> {
  const { rows } = await client.query<{ ms: number }>(
    `SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval)::float8 * 1000 AS ms`,
  );
  const deadline = performance.now() + Math.min(budgetMs, 0.9 * (rows[0]?.ms ?? budgetMs));
  const views = new Map(targets.flatMap(({ views }) => views).map((view) => [view.name, view]));
  const statements = [
    // LOCK TABLE on a view would lock every table under it; a change of nothing locks the view alone.
    ...[...views.values()].map(
      ({ name, owner }) => `ALTER VIEW ${name} OWNER TO ${pg.escapeIdentifier(owner)}`,
    ),
    ...targets.map(({ name }) => `LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`),
  ];
  for (const statement of statements) {
    const leftMs = Math.max(1, Math.floor(deadline - performance.now()));
    await client.query(`SELECT set_config('lock_timeout', $1, true)`, [String(leftMs)]);
    await client.query(statement);
  }
  await client.query(`SELECT set_config('lock_timeout', $1, true)`, [String(budgetMs)]);
}

/** @throws SluiceError TARGET_CHANGED when rows of staging no longer fit the targets */
function refuseAltered(targets: readonly TargetFacts[], staged: readonly TargetFacts[], jobId: string): void {
  for (const target of targets) {
    const twin =
      stagedTwin(staged, target, jobId)?.shape.filter((line) => !line.startsWith('_sluice_record ')) ?? [];
    const lost = twin.filter((line) => !target.shape.includes(line));
    const gained = target.shape.filter((line) => !twin.includes(line));
    if (lost.length + gained.length === 0) continue;
    throw new SluiceError(
      'TARGET_CHANGED',
      `${target.name} was altered while the job was running: ` +
        [...gained.map((line) => `new: ${line}`), ...lost.map((line) => `gone: ${line}`)].join('; '),
      { job: jobId },
    );
  }
}

/** What was created or dropped between preparing and locking, and only costs another round. */
function notReady(
  before: readonly TargetFacts[],
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  jobId: string,
): string | null {
  const views = (facts: readonly TargetFacts[]): string =>
    facts.flatMap((f) => f.views.map(({ name }) => name)).join();
  if (views(before) !== views(targets)) return 'a view was created or dropped';
  const [missing] = missingIndexes(targets, staged, jobId);
  if (missing !== undefined) return `index ${missing.index.name} came or changed`;
  for (const target of targets) {
    const twin = stagedTwin(staged, target, jobId);
    const names = (list: readonly { readonly name: string }[] | undefined, staging: boolean): string =>
      (list ?? [])
        .map(({ name }) => (staging ? stagingTable(name, jobId) : name))
        .sort()
        .join();
    if (names(target.indexes, true) !== names(twin?.indexes, false)) return `an index of ${target.name} went`;
    if (names(target.statistics, true) !== names(twin?.statistics, false))
      return `statistics of ${target.name} changed`;
    if (names(target.foreignKeys, false) !== names(twin?.foreignKeys, false))
      return `a foreign key of ${target.name} changed`;
    const constraints = (facts: TargetFacts | undefined): number =>
      facts?.indexes.filter(({ constraint }) => constraint !== null).length ?? 0;
    if (constraints(target) !== constraints(twin)) return `a key of ${target.name} changed`;
  }
  return null;
}
