import type { PoolClient } from 'pg';
import { faultPoint } from '#common/faults/fault-point.js';
import type { Outcome } from '#core/ledger/balance.js';
import { RECORD_COLUMN, columnList, quotedStagingTable, quotedTarget } from '#core/staging/staging-names.js';
import { type TablePlan, mainTable } from '#core/staging/table-plan.js';
import type { TargetFacts } from '#core/staging/target-facts.js';
import { type MergeWay, countRows } from './merge.js';

/**
 * Merges a settled job's staging tables into the targets, in the caller's transaction: `append` adds records whose
 * key is new, whole with their children, and counts the others as superseded.
 *
 * - M1: children follow their parent: rows of a record that was not inserted are not inserted either.
 * - M2: only columns that the contract fills are inserted; others get the target's defaults and its sequences' numbers.
 * - M3: rows are inserted in the order of their keys, so that two writers cannot deadlock on them.
 */
async function merge(client: PoolClient, jobId: string, tables: readonly TablePlan[]): Promise<Outcome> {
  const main = mainTable(tables);
  const staging = quotedStagingTable(main.table, jobId);
  const key = columnList(main.key);
  await client.query('CREATE TEMP TABLE arrived (record bigint PRIMARY KEY) ON COMMIT DROP');
  const { rowCount } = await client.query(`
    WITH inserted AS (
      INSERT INTO ${quotedTarget(main.table)} (${columnList(main.columns)})
      SELECT ${columnList(main.columns)} FROM ${staging} ORDER BY ${key}
      ON CONFLICT DO NOTHING RETURNING ${key}
    )
    INSERT INTO pg_temp.arrived (record)
    SELECT staged.${RECORD_COLUMN} FROM ${staging} AS staged
    JOIN inserted ON (${columnList(main.key, 'inserted.')}) = (${columnList(main.key, 'staged.')})`);
  faultPoint('finalizer.in-merge');
  await client.query('ANALYZE pg_temp.arrived');
  for (const { table, columns } of tables.slice(1)) {
    await client.query(`
      INSERT INTO ${quotedTarget(table)} (${columnList(columns)})
      SELECT ${columnList(columns, 'staged.')} FROM ${quotedStagingTable(table, jobId)} AS staged
      JOIN pg_temp.arrived ON arrived.record = staged.${RECORD_COLUMN} ORDER BY staged.${RECORD_COLUMN}`);
  }
  const inserted = rowCount ?? 0;
  return { inserted, updated: 0, unchanged: 0, superseded: (await countRows(client, staging)) - inserted };
}

/** What {@link merge} would yield, without touching the target or its sequences. */
async function foresee(
  client: PoolClient,
  jobId: string,
  tables: readonly TablePlan[],
  targets: readonly TargetFacts[],
): Promise<Outcome> {
  const main = mainTable(tables);
  const staging = quotedStagingTable(main.table, jobId);
  // ON CONFLICT without a target minds every unique index; those on columns that staging does not fill cannot conflict.
  const meets = (targets.find(({ table }) => table === main.table)?.indexes ?? [])
    .filter(
      ({ unique, columns, keys }) =>
        unique && columns.length === keys.length && columns.every((c) => main.columns.includes(c)),
    )
    .map(({ columns, predicate }) => {
      const there = `SELECT FROM ${quotedTarget(main.table)} AS present
        WHERE (${columnList(columns, 'present.')}) = (${columnList(columns, 'staged.')})`;
      return predicate === null ? `EXISTS (${there})` : `EXISTS (${there} AND ${predicate})`;
    });
  const { rows } = await client.query<{ superseded: string; all: string }>(
    `SELECT count(*) AS all, count(*) FILTER (WHERE ${meets.join(' OR ') || 'false'}) AS superseded FROM ${staging} AS staged`,
  );
  const superseded = Number(rows[0]?.superseded ?? 0);
  return { inserted: Number(rows[0]?.all ?? 0) - superseded, updated: 0, unchanged: 0, superseded };
}

export const APPEND: MergeWay = { repeatsAreRefused: true, merge, foresee };
