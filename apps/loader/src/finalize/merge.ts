import type { PoolClient } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import type { Outcome } from '#core/ledger/balance.js';
import { MergeStopped, isRecordsFault } from './merge-faults.js';
import { type Judged, forget, judge } from './merge-judge.js';
import type { MergedTables } from './merge-sql.js';
import { type StagedRows, countStaged } from './merge-staged.js';
import { writeCarefully } from './merge-carefully.js';
import { type Shortfall, type Written, lockJudged, writeJudged } from './merge-write.js';
import { othersWereFirst } from './others-were-first.js';

/**
 * Merges a settled job's staging tables into the targets, in the caller's transaction (`append` and `upsert`).
 *
 *     count staging → judge ⇄ lock → write → compare what was written with what was judged
 *
 * Invariants
 * - ME1: every figure is counted where it arises (the fates of records, the rows that PostgreSQL says it has written), and
 *   compared with what staging holds. None is what is left over of others.
 * - ME2: rows that are written are locked, and have not changed since they were judged. Where no record changes children
 *   alone or is a delete, the UPDATE does both: it skips a row that has moved (MW4). Each statement has a snapshot of its own (READ
 *   COMMITTED): what has moved is judged again, and then all rows are locked before the first is written, so that no
 *   second writer can make the merge start over. Rows judged unchanged are neither locked nor written: that is as if we had
 *   come before the writer who changes them later.
 * - ME3: only columns that the contract fills are written; others get the target's defaults and its sequences' numbers.
 * - ME4: rows are written in the order of their keys, so that two writers cannot deadlock on them.
 * - ME5: what PostgreSQL refuses is the fault of single records: the merge is undone, they are refused, and it is done
 *   again without them.
 */

/** Rounds of judging before another writer who keeps changing the same rows is reported. */
const MAX_ROUNDS = 5;

export interface MergeResult {
  readonly outcome: Outcome;
  readonly staged: StagedRows;
}

export interface MergeOptions {
  readonly mode: Exclude<WriteMode, 'replace'>;
  /** Writes record by record what cannot be written at once, to find whose fault it is. */
  readonly carefully: boolean;
}

/**
 * @throws MergeStopped when something has to be settled first
 * @throws SluiceError MERGE_RACED, TARGET_LOSES_ROWS, JOB_UNBALANCED
 */
export async function merge(
  client: PoolClient,
  tables: MergedTables,
  { mode, carefully }: MergeOptions,
): Promise<MergeResult> {
  const staged = await countStaged(client, tables);
  if (mode === 'append' && staged.keys !== staged.rows[0]) throw new MergeStopped({ kind: 'repeats' });
  let alone = 0;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    if (round > 1) await forget(client, tables);
    const judged = await judge(client, mode, tables, staged);
    const repeated = judged.children.findIndex((child) => child.repeated);
    const child = tables.children[repeated];
    if (child !== undefined) {
      const index = child.index?.name ?? '';
      throw new MergeStopped({ kind: 'unique', table: child.plan.table, index });
    }
    const { u, c, x } = judged.fates;
    const locksFirst = round > 1 || c > 0 || x > 0;
    if (locksFirst && !(await lockJudged(client, tables, u + c + x))) continue;
    await client.query('SAVEPOINT unwritten');
    const written = await (carefully ? writeCarefully : write)(client, tables);
    const { shortfall } = written;
    if (shortfall === null) {
      await client.query('RELEASE unwritten');
      return { outcome: prove(tables, staged, judged, written), staged };
    }
    await client.query('ROLLBACK TO unwritten');
    // Other writers may be first in any round: judging again sees their rows. Twice short without them is a trigger's doing.
    alone = (await othersWereFirst(client, tables)) ? 0 : alone + 1;
    if (!shortfall.raced || alone > 1) throw losesRows(shortfall);
  }
  throw new SluiceError(
    'MERGE_RACED',
    `Rows of ${tables.main.target} changed each of the ${MAX_ROUNDS} times that they were judged.`,
  );
}

/** What {@link merge} would yield if nothing stands in its way; touches neither the targets nor their sequences. */
export async function foresee(
  client: PoolClient,
  tables: MergedTables,
  mode: Exclude<WriteMode, 'replace'>,
): Promise<MergeResult> {
  const staged = await countStaged(client, tables);
  const judged = await judge(client, mode, tables, staged);
  return { outcome: outcomeOf(judged), staged };
}

/** ME5: all at once; the refused records are found afterwards. */
async function write(client: PoolClient, tables: MergedTables): Promise<Written> {
  try {
    return await writeJudged(client, tables);
  } catch (error) {
    if (!isRecordsFault(error)) throw error;
    const at = error as { table?: string; constraint?: string };
    const table = [tables.main, ...tables.children].find(({ plan }) => plan.table === at.table);
    const sqlstate = sqlstateOf(error);
    if (sqlstate === '23505' && table?.facts.indexes.some(({ name }) => name === at.constraint) === true) {
      const { constraint: index = '' } = at;
      throw new MergeStopped({ kind: 'unique', table: table.plan.table, index });
    }
    if (sqlstate === '23503' && table !== undefined) throw new MergeStopped({ kind: 'orphans' });
    await client.query('ROLLBACK TO unwritten');
    return writeCarefully(client, tables);
  }
}

/** ME1. @throws SluiceError JOB_UNBALANCED */
function prove(tables: MergedTables, staged: StagedRows, judged: Judged, written: Written): Outcome {
  const { fates } = judged;
  const problems: string[] = [];
  const expect = (what: string, found: number, wanted: number): void => {
    if (found !== wanted) problems.push(`${what}: ${found} instead of ${wanted}`);
  };
  const { main } = tables;
  const outcome = outcomeOf(judged);
  expect(`records judged of ${main.plan.table}`, sum(Object.values(fates)), staged.records);
  expect(`rows inserted into ${main.target}`, written.inserted, fates.i);
  expect(`rows updated in ${main.target}`, written.updated, fates.u);
  expect(`rows deleted from ${main.target}`, written.deleted, fates.x);
  for (const [index, { plan, target }] of tables.children.entries()) {
    const child = judged.children[index];
    const rows = written.children[index];
    if (child === undefined || rows === undefined) continue;
    expect(`rows inserted into ${target}`, rows.inserted, child.fresh);
    expect(`rows deleted from ${target}`, rows.deleted, child.gone);
    expect(
      `rows of ${plan.table} inserted, there already and superseded`,
      rows.inserted + child.same + child.superseded,
      staged.rows[index + 1] ?? 0,
    );
  }
  if (problems.length > 0) {
    throw new SluiceError('JOB_UNBALANCED', `The merge does not add up: ${problems.join('; ')}.`);
  }
  return outcome;
}

function outcomeOf({ fates }: Judged): Outcome {
  return {
    inserted: fates.i,
    updated: fates.u + fates.c,
    unchanged: fates['='],
    deleted: fates.x,
    superseded: fates.s + fates.d,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function losesRows({ what }: Shortfall): SluiceError {
  return new SluiceError(
    'TARGET_LOSES_ROWS',
    `${what}. A trigger that returns NULL or writes another key does this, and so does a policy for rows.`,
  );
}
