import type { WriteMode } from '../dataset/dataset.js';
import { checkTargets } from './checks/check-targets.js';
import { inspectTargets } from './inspect-targets.js';
import {
  RECORD_COLUMN,
  STAGING_SCHEMA,
  columnList,
  quotedStagingTable,
  quotedTarget,
  stagingPrefix,
} from './staging-names.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import pg from 'pg';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { type TablePlan, mainTable } from './table-plan.js';
import type { IndexFacts, TargetFacts } from './target-facts.js';
import { refuseUnkeepable } from './unkeepable.js';

/**
 * A job's staging tables: what every batch is COPYed into, in every mode.
 *
 * - Made once, in the transaction that sets the job `running`; a second try in the same job is an error.
 * - LOGGED: a crash would empty UNLOGGED ones under a ledger that says they are full.
 * - No keys and no indexes: those are built after the last batch, side by side, in a third of the time.
 * - CHECK constraints, defaults, identity and generated columns are the target's, so that a row which the
 *   target would refuse is refused when it is COPYed, batch by batch.
 * - Identity columns count in a sequence of the staging table's own, from its start value: with `replace`
 *   surrogate ids belong to the snapshot (as after TRUNCATE … RESTART IDENTITY), or a daily load would use
 *   up an `integer` within years. `append` and `upsert` draw their ids from the target's sequence when merging.
 */
export interface StagedJob {
  readonly id: string;
  readonly mode: WriteMode;
}

/**
 * @param client in the transaction that sets the job `running`
 * @throws SluiceError TARGET_MISSING, TARGET_CANNOT_BE_SWAPPED, and whatever `checkTargets` finds
 */
export async function createStaging(
  client: SqlClient,
  plan: readonly TablePlan[],
  job: StagedJob,
): Promise<void> {
  const tables = plan.map(({ table }) => table);
  const targets = await inspectTargets(client, tables);
  if (job.mode === 'replace') await refuseUnkeepable(client, tables);
  else requireKey(mainTable(plan), targets);
  requireColumns(plan, targets);
  await checkTargets(client, plan, job);
  for (const target of targets) {
    const { table } = target;
    const options = target.options.filter((option) => !option.includes('autovacuum_enabled='));
    const tablespace =
      target.tablespace === null ? '' : `TABLESPACE ${pg.escapeIdentifier(target.tablespace)}`;
    await client.query(`
      CREATE TABLE ${quotedStagingTable(table, job.id)}
        (LIKE ${target.name} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS, ${RECORD_COLUMN} bigint NOT NULL)
      WITH (${[...options, 'autovacuum_enabled=false', 'toast.autovacuum_enabled=false'].join(', ')}) ${tablespace};
      -- For a publication that comes while the job runs: rows without a key may be deleted nevertheless.
      ALTER TABLE ${quotedStagingTable(table, job.id)} REPLICA IDENTITY FULL`);
  }
}

function requireColumns(plan: readonly TablePlan[], targets: readonly TargetFacts[]): void {
  for (const { table, columns } of plan) {
    const present = targets.find((target) => target.table === table)?.columns ?? [];
    const missing = columns.filter((column) => !present.includes(column));
    if (missing.length === 0) continue;
    throw new SluiceError(
      'TARGET_MISSING',
      `Table ${quotedTarget(table)} has no column ${missing.join(', ')}.`,
    );
  }
}

/** Merging finds rows by their key, and PostgreSQL wants a unique index for that. */
function requireKey({ table, key }: TablePlan, targets: readonly TargetFacts[]): void {
  const indexes = targets.find((target) => target.table === table)?.indexes ?? [];
  const fits = ({ unique, columns, keys, predicate }: IndexFacts): boolean =>
    unique &&
    predicate === null &&
    keys.length === key.length &&
    key.every((column) => columns.includes(column));
  if (indexes.some(fits)) return;
  throw new SluiceError(
    'TARGET_MISSING',
    `Table ${quotedTarget(table)} has no unique index on (${key.join(', ')}).`,
  );
}

/** Takes a section's COPY text: the record number, then the contract's columns. */
export function copyIntoStaging(plan: TablePlan, jobId: string): string {
  return `COPY ${quotedStagingTable(plan.table, jobId)} (${columnList([RECORD_COLUMN, ...plan.columns])}) FROM STDIN`;
}

/**
 * Drops whatever staging tables the job has; none is fine.
 * Waits for load transactions that still write to them (the lock), so end the job first.
 */
export async function dropStaging(client: SqlClient, job: { readonly id: string }): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND starts_with(c.relname, $2) AND c.relkind = 'r'`,
    [STAGING_SCHEMA, stagingPrefix(job.id)],
  );
  if (rows.length > 0) await client.query(`DROP TABLE ${rows.map(({ name }) => name).join(', ')}`);
}

/** Ids of jobs that nobody can go on with, or that are not known at all, and still have staging tables. */
export async function findAbandonedStaging(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT DISTINCT staged.id::text AS id
     FROM (SELECT substr(c.relname, 1, 32)::uuid AS id
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname ~ '^[0-9a-f]{32}_') AS staged
     LEFT JOIN sluice.job ON job.id = staged.id
     WHERE job.id IS NULL OR job.state IN ('succeeded', 'cancelled') OR job.state = 'failed' AND NOT job.resumable`,
    [STAGING_SCHEMA],
  );
  return rows.map(({ id }) => id);
}
