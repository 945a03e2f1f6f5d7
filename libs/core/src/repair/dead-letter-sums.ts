import type { DeadLetterState } from '#api/dead-letters.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { BY_INDEX } from './by-index.js';
import { type DeadLetterGroup, MAX_SHAPES, OTHER_SHAPES } from './dead-letter-group.js';
import { COUNT_COLUMNS, countColumn, mayBecome } from './dead-letter-state.js';

/**
 * The counts of dead letters by state, of groups and of jobs: in the transaction that changes the dead letters, one
 * statement a table.
 *
 * - GC1: a count is the number of rows in `sluice.dead_letter`, at every commit: only rows that were really inserted,
 *   moved or deleted are counted, by what the statement returns.
 * - GC2: a reason (dataset, code, field) has at most MAX_SHAPES groups beside that of the rest, in any number of trackers: a
 *   new shape is made under a lock.
 * - GC3: order of locks, so that transactions wait but never deadlock: FOLD_LOCK, the lock on new shapes, dead letters in
 *   key order, stages, groups by id. A resubmission holds dead letters for as long as it takes to send them, so it takes no
 *   FOLD_LOCK, the lane of its job before stages and groups, and dead letters of jobs alone that never begin again.
 */

/** How many dead letters of one group come into being, go, or change their state. */
export interface CountChange {
  readonly group: string | null;
  /** Null: they were not there before, or their group had not counted them. */
  readonly from: DeadLetterState | null;
  /** Null: they are deleted. */
  readonly to: DeadLetterState | null;
  readonly count: number;
}

/** Any key that is ours alone. */
const NEW_SHAPES_LOCK_KEY = 0x51_1c_10;
const NEW_SHAPES_LOCK = `SELECT pg_advisory_xact_lock(${NEW_SHAPES_LOCK_KEY})`;

/**
 * Makes groups that are missing, with counts of zero.
 * @param othersOf names the group of the rest
 * @returns by the id of each, the group that its dead letters belong to: itself, or that of the rest (GC2)
 */
export async function settleGroups(
  client: SqlClient,
  groups: readonly DeadLetterGroup[],
  othersOf: (group: DeadLetterGroup) => DeadLetterGroup,
): Promise<ReadonlyMap<string, string>> {
  const settled = new Map<string, string>();
  const distinct = new Map(groups.map((group) => [group.id, group]));
  const missing = await missingOf(client, [...distinct.values()], settled);
  if (missing.length === 0) return settled;
  await client.query(NEW_SHAPES_LOCK);
  const stillMissing = await missingOf(client, missing, settled);
  if (stillMissing.length === 0) return settled;
  const { rows } = await client.query<{ reason: string; shapes: number }>(
    `SELECT jsonb_build_array(dataset, code, field)::text AS reason, count(*)::integer AS shapes
       FROM sluice.dead_letter_group
      WHERE (dataset, code) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND shape <> $3
      GROUP BY dataset, code, field`,
    [stillMissing.map(({ dataset }) => dataset), stillMissing.map(({ code }) => code), OTHER_SHAPES],
  );
  const shapes = new Map(rows.map((row) => [JSON.stringify(JSON.parse(row.reason)), row.shapes]));
  const made = new Map<string, DeadLetterGroup>();
  for (const group of stillMissing) {
    const reason = JSON.stringify([group.dataset, group.code, group.field]);
    const count = shapes.get(reason) ?? 0;
    const own = group.shape === OTHER_SHAPES || count < MAX_SHAPES ? group : othersOf(group);
    if (own.shape !== OTHER_SHAPES) shapes.set(reason, count + 1);
    settled.set(group.id, own.id);
    made.set(own.id, own);
  }
  await insertGroups(client, [...made.values()]);
  return settled;
}

async function missingOf(
  client: SqlClient,
  groups: readonly DeadLetterGroup[],
  settled: Map<string, string>,
): Promise<DeadLetterGroup[]> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT id FROM sluice.dead_letter_group WHERE id = ANY($1::uuid[])',
    [groups.map(({ id }) => id)],
  );
  for (const { id } of rows) settled.set(id, id);
  return groups.filter(({ id }) => !settled.has(id));
}

async function insertGroups(client: SqlClient, groups: readonly DeadLetterGroup[]): Promise<void> {
  await client.query(
    `INSERT INTO sluice.dead_letter_group (id, dataset, code, field, shape)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING`,
    [
      groups.map(({ id }) => id),
      groups.map(({ dataset }) => dataset),
      groups.map(({ code }) => code),
      groups.map(({ field }) => field),
      groups.map(({ shape }) => shape),
    ],
  );
}

/**
 * GC1 for groups, which exist (`settleGroups`). One statement, whatever the number of changes.
 * @throws SluiceError INTERNAL when a group is not there
 */
export async function addToGroups(client: SqlClient, changes: readonly CountChange[]): Promise<void> {
  const sums = sumsOf(changes);
  if (sums.size === 0) return;
  const ids = [...sums.keys()].sort();
  const { rowCount } = await client.query(
    `WITH change AS (
       SELECT * FROM unnest($1::uuid[], ${COUNT_COLUMNS.map((_, at) => `$${at + 2}::bigint[]`).join(', ')})
         AS change (id, ${COUNT_COLUMNS.join(', ')})
     ), locked AS MATERIALIZED (
       SELECT id FROM sluice.dead_letter_group WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
     )
     UPDATE sluice.dead_letter_group AS known
        SET ${COUNT_COLUMNS.map((column) => `${column} = known.${column} + change.${column}`).join(', ')}
       FROM change JOIN locked USING (id) WHERE known.id = change.id`,
    [ids, ...COUNT_COLUMNS.map((column) => ids.map((id) => sums.get(id)?.get(column) ?? 0))],
  );
  if (rowCount !== ids.length)
    throw new SluiceError('INTERNAL', `Of ${ids.length} groups of dead letters ${rowCount ?? 0} are there.`);
}

/** By group, by column, what is added. */
function sumsOf(changes: readonly CountChange[]): Map<string, Map<string, number>> {
  const sums = new Map<string, Map<string, number>>();
  const add = (columns: Map<string, number>, state: DeadLetterState | null, count: number): void => {
    if (state === null) return;
    const column = countColumn(state);
    columns.set(column, (columns.get(column) ?? 0) + count);
  };
  for (const { group, from, to, count } of changes) {
    if (group === null) continue;
    const columns = sums.get(group) ?? new Map<string, number>();
    sums.set(group, columns);
    add(columns, from, -count);
    add(columns, to, count);
  }
  return sums;
}

/** Of each dead letter one of two states, by SQL over `letter`. */
export interface OneOfTwo {
  readonly where: string;
  readonly then: DeadLetterState;
  readonly otherwise: DeadLetterState;
}

/** Which dead letters move, and what is written about them. */
export interface DeadLetterMove {
  readonly from: DeadLetterState;
  readonly to: DeadLetterState | OneOfTwo;
  readonly reason: string | null;
  /** SQL over `letter`, with parameters from $1 on. */
  readonly where: string;
  readonly parameters: readonly unknown[];
  /** At most N of them, in the order of (job, record) … */
  readonly limit: number;
  /** … behind this one. */
  readonly after: DeadLetterKey | null;
}

export interface DeadLetterKey {
  readonly job: string;
  readonly record: number;
}

export interface MovedDeadLetters {
  readonly moved: number;
  /** By the state that they have now; those that none has are left out. */
  readonly states: ReadonlyMap<DeadLetterState, number>;
  /** The last one that was moved; null when none was. */
  readonly last: DeadLetterKey | null;
}

interface MovedRow {
  readonly job: string;
  readonly stage: string;
  readonly group_id: string | null;
  readonly state: DeadLetterState;
  readonly count: string;
  readonly last: string;
}

/**
 * Moves dead letters to another state, with the counts of their groups and jobs (DS2, GC1).
 * @param client in a transaction that holds FOLD_LOCK; it finds rows by indexes from now on (`BY_INDEX`)
 * @throws SluiceError INTERNAL for a change that `dead-letter-state.ts` does not allow
 */
export async function moveDeadLetters(client: SqlClient, move: DeadLetterMove): Promise<MovedDeadLetters> {
  const { from, to, reason, where, parameters, limit, after } = move;
  const targets = typeof to === 'string' ? [to] : [to.then, to.otherwise];
  for (const target of targets)
    if (!mayBecome(from, target))
      throw new SluiceError('INTERNAL', `A dead letter that is ${from} cannot be ${target}.`);
  const values = [...parameters];
  const next = (value: unknown): string => `$${values.push(value)}`;
  const behind =
    after === null
      ? ''
      : `AND (letter.job, letter.record) > (${next(after.job)}::uuid, ${next(after.record)}::bigint)`;
  const state =
    typeof to === 'string'
      ? next(to)
      : `CASE WHEN ${to.where} THEN ${next(to.then)} ELSE ${next(to.otherwise)} END`;
  const forgets = targets.includes('open') ? ', successor_job = NULL, successor_record = NULL' : '';
  await client.query(BY_INDEX);
  const { rows } = await client.query<MovedRow>(
    `WITH chosen AS MATERIALIZED (
       SELECT job, record FROM sluice.dead_letter AS letter
        WHERE letter.state = ${next(from)} AND (${where}) ${behind}
        ORDER BY letter.job, letter.record LIMIT ${next(limit)} FOR UPDATE
     ), moved AS (
       UPDATE sluice.dead_letter AS letter SET state = ${state}, reason = ${next(reason)}${forgets}
         FROM chosen WHERE letter.job = chosen.job AND letter.record = chosen.record
       RETURNING letter.job, letter.record, letter.stage, letter.group_id, letter.state
     )
     SELECT job, stage, group_id, state, count(*) AS count, max(record) AS last FROM moved GROUP BY job, stage, group_id, state`,
    values,
  );
  const moved = rows.map(({ job, stage, group_id: group, state: now, count }) => ({
    ...{ job, stage, group, to: now },
    count: Number(count),
  }));
  await countMoves(client, from, moved);
  const states = new Map<DeadLetterState, number>();
  for (const { to: now, count } of moved) states.set(now, (states.get(now) ?? 0) + count);
  return { moved: moved.reduce((sum, { count }) => sum + count, 0), states, last: lastOf(rows) };
}

/** How many dead letters of one stage of a job, in one group, have changed their state. */
export interface MovedCount {
  readonly job: string;
  readonly stage: string;
  readonly group: string | null;
  readonly to: DeadLetterState;
  readonly count: number;
}

/** GC1 for dead letters that a statement has moved. */
export async function countMoves(
  client: SqlClient,
  from: DeadLetterState,
  moved: readonly MovedCount[],
): Promise<void> {
  await addToStages(client, from, moved);
  await addToGroups(
    client,
    moved.map(({ group, to, count }) => ({ group, from, to, count })),
  );
}

/** By job the known dead letters are counted in `dead_letters`; what is in none of the other columns is open. */
const STAGE_COLUMNS = COUNT_COLUMNS.filter((column) => column !== countColumn('open'));

async function addToStages(
  client: SqlClient,
  from: DeadLetterState,
  moved: readonly MovedCount[],
): Promise<void> {
  if (moved.length === 0) return;
  const added = (column: string): number[] =>
    moved.map(({ to, count }) => {
      if (column === countColumn(to)) return count;
      return column === countColumn(from) ? -count : 0;
    });
  const sums = STAGE_COLUMNS.map((column) => `sum(${column}) AS ${column}`);
  await client.query(
    `WITH moved AS (
       SELECT job, stage, ${sums.join(', ')}
         FROM unnest($1::uuid[], $2::text[], ${STAGE_COLUMNS.map((_, at) => `$${at + 3}::bigint[]`).join(', ')})
           AS moved (job, stage, ${STAGE_COLUMNS.join(', ')})
        GROUP BY job, stage
     ), locked AS MATERIALIZED (
       SELECT job, stage FROM sluice.job_stage JOIN moved USING (job, stage) ORDER BY job, stage FOR UPDATE OF job_stage
     )
     UPDATE sluice.job_stage AS known SET ${STAGE_COLUMNS.map((column) => `${column} = known.${column} + moved.${column}`).join(', ')}
       FROM moved JOIN locked USING (job, stage) WHERE known.job = moved.job AND known.stage = moved.stage`,
    [moved.map(({ job }) => job), moved.map(({ stage }) => stage), ...STAGE_COLUMNS.map(added)],
  );
}

function lastOf(rows: readonly MovedRow[]): DeadLetterKey | null {
  return rows
    .map(({ job, last }) => ({ job, record: Number(last) }))
    .reduce<DeadLetterKey | null>(
      (last, key) =>
        last === null || key.job > last.job || (key.job === last.job && key.record > last.record)
          ? key
          : last,
      null,
    );
}

/**
 * Deletes what is known of a job's dead letters and their corrections, whatever was decided about them: the job begins again.
 * @param client in a transaction that holds the lock that folds share alone
 */
export async function forgetDeadLetters(client: SqlClient, job: string): Promise<void> {
  const { rows } = await client.query<{ group: string | null; from: DeadLetterState; count: string }>(
    `WITH gone AS (DELETE FROM sluice.dead_letter WHERE job = $1 RETURNING group_id, state)
     SELECT group_id AS group, state AS from, count(*) AS count FROM gone GROUP BY group_id, state`,
    [job],
  );
  await client.query('DELETE FROM sluice.dead_letter_edit WHERE job = $1', [job]);
  await addToGroups(
    client,
    rows.map(({ group, from, count }) => ({ group, from, to: null, count: Number(count) })),
  );
}
