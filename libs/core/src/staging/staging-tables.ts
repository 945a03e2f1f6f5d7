import type { WriteMode } from '../dataset/dataset.js';
import { checkTargets } from './checks/check-targets.js';
import { KnownTargets } from './known-targets.js';
import { parentLinks } from './parent-links.js';
import { countInStaging, ownSequences } from './own-sequences.js';
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
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { type TablePlan, mainTable, targetsOf } from './table-plan.js';
import type { IndexFacts, MergeFacts } from './target-facts.js';
import { refuseUnkeepable } from './unkeepable.js';

/**
 * A job's staging tables: what every batch is COPYed into, in every mode.
 *
 * - Made once, in the transaction that sets the job `running`; a second try in the same job is an error.
 * - LOGGED: a crash would empty UNLOGGED ones under a ledger that says they are full.
 * - No keys and no indexes: those are built after the last batch, side by side, in a third of the time.
 * - CHECK constraints, defaults, identity and generated columns are the target's, so that a row which the
 *   target would refuse is refused when it is COPYed, batch by batch.
 * - A column that draws from a sequence of the target's (`serial`) draws nothing here when the rows are merged, or in a
 *   dry run: the sequence would run on with every load.
 * - Identity columns, and with `replace` `serial` ones, count in a sequence of the staging table's own, from its start
 *   value: surrogate ids belong to the snapshot (as after TRUNCATE … RESTART IDENTITY), or a daily load would use
 *   up an `integer` within years. `append` and `upsert` draw their ids from the target's sequence when merging.
 * - Records that are deletes have a table of their own, in mode `upsert` alone: the key's columns and the version's, as in
 *   the target, and the record's number.
 * - A sequence that is not for one column alone (own-sequences.ts) is drawn from by each `replace`, a failed one, too.
 */
export interface StagedJob {
  readonly id: string;
  readonly mode: WriteMode;
  readonly dryRun?: boolean;
}

/**
 * @param client in the transaction that sets the job `running`
 * @param known what this process knows of the targets from earlier jobs
 * @param deletes what the dataset's deletes are written to; null when it has none
 * @throws SluiceError TARGET_MISSING, TARGET_CANNOT_BE_SWAPPED, TARGET_CANNOT_BE_MERGED, and those of `checkTargets`
 */
export async function createStaging(
  client: SqlClient,
  plan: readonly TablePlan[],
  job: StagedJob,
  known = new KnownTargets(),
  deletes: TablePlan | null = null,
): Promise<void> {
  const names = targetsOf(plan);
  const targets = await known.forMerge(client, names);
  if (job.mode === 'replace') await refuseUnkeepable(client, names);
  else requireMergeable(plan, targets, job.mode);
  requireColumns(plan, targets);
  const takesDeletes = deletes !== null && job.mode === 'upsert';
  await checkTargets(client, plan, { ...job, takesDeletes });
  for (const [index, target] of targets.entries()) {
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
    const drawn = target.serial.filter((column) => plan[index]?.columns.includes(column) === false);
    if (drawn.length === 0) continue;
    if (job.mode === 'replace' && job.dryRun !== true) {
      for (const sequence of await ownSequences(client, { ...names, tables: [table] })) {
        if (drawn.includes(sequence.column)) await countInStaging(client, sequence, job.id);
      }
    } else {
      const changes = drawn.map((column) => pg.escapeIdentifier(column));
      await client.query(
        `ALTER TABLE ${quotedStagingTable(table, job.id)}
         ${changes.map((column) => `ALTER ${column} DROP DEFAULT, ALTER ${column} DROP NOT NULL`).join(', ')}`,
      );
    }
  }
  if (takesDeletes) await createStagingOfDeletes(client, mainTable(plan), deletes, job.id);
}

/** LIKE takes all columns of a table or none; these are of its types and collations. */
async function createStagingOfDeletes(
  client: SqlClient,
  main: TablePlan,
  { table, columns, key }: TablePlan,
  jobId: string,
): Promise<void> {
  const name = quotedStagingTable(table, jobId);
  await client.query(`
    CREATE TABLE ${name} WITH (autovacuum_enabled=false) AS
      SELECT NULL::bigint AS ${RECORD_COLUMN}, ${columnList(columns)} FROM ${quotedTarget(main)} WITH NO DATA;
    ALTER TABLE ${name} ALTER ${RECORD_COLUMN} SET NOT NULL,
      ${key.map((column) => `ALTER ${columnList([column])} SET NOT NULL`).join(', ')},
      REPLICA IDENTITY FULL`);
}

function requireColumns(plan: readonly TablePlan[], targets: readonly MergeFacts[]): void {
  for (const each of plan) {
    const { table, columns } = each;
    const present = targets.find((target) => target.table === table)?.columns ?? [];
    const missing = columns.filter((column) => !present.includes(column));
    if (missing.length === 0) continue;
    throw new SluiceError(
      'TARGET_MISSING',
      `Table ${quotedTarget(each)} has no column ${missing.join(', ')}.`,
    );
  }
}

/**
 * Merging finds rows by their key, and PostgreSQL wants a unique index for that. What could make two records of one, or
 * lose one, is refused before anything is loaded: a null meets no null, a deferrable constraint settles nothing, and
 * where 'ABC' equals 'abc' a row keeps one of them and its children have the other.
 * @throws SluiceError TARGET_MISSING, TARGET_CANNOT_BE_MERGED
 */
function requireMergeable(plan: readonly TablePlan[], targets: readonly MergeFacts[], mode: WriteMode): void {
  const main = mainTable(plan);
  const { table, key } = main;
  const name = quotedTarget(main);
  const target = targets.find((facts) => facts.table === table);
  const candidates = (target?.indexes ?? []).filter(
    ({ unique, columns, keys, predicate }) =>
      unique &&
      predicate === null &&
      keys.length === key.length &&
      columns.length === key.length &&
      key.every((column) => columns.includes(column)),
  );
  if (candidates.length === 0) {
    throw new SluiceError('TARGET_MISSING', `Table ${name} has no unique index on (${key.join(', ')}).`);
  }
  const problems = plan.flatMap((each) => {
    const facts = targets.find((found) => found.table === each.table);
    return each.columns
      .filter((column) => facts?.generated.includes(column))
      .map((column) => `column ${column} of ${quotedTarget(each)} is GENERATED ALWAYS`);
  });
  // ON CONFLICT is not for tables with rules. What one of a child table swallows is seen in the counts.
  problems.push(...(target?.rules ?? []).map((rule) => `${name} has the rule ${rule}`));
  const nullable = key.filter((column) => target?.nullable.includes(column));
  problems.push(...nullable.map((column) => `key column ${column} of ${name} may be null`));
  if (mode === 'upsert') problems.push(...unfindable(plan, targets));
  const reasons = candidates.map(problemOf);
  if (!reasons.includes(null)) {
    problems.push(
      ...reasons.map((reason, at) => `index ${candidates[at]?.name ?? ''} of ${name} ${reason ?? ''}`),
    );
  }
  if (problems.length === 0) return;
  throw new SluiceError(
    'TARGET_CANNOT_BE_MERGED',
    `A merge could lose or mistake records: ${problems.join('; ')}.`,
  );
}

/** Child tables of child tables whose rows cannot be assigned to a record: a merge would take away another's. */
function unfindable(plan: readonly TablePlan[], targets: readonly MergeFacts[]): string[] {
  return plan.flatMap((child) => {
    const { parent } = child;
    if (parent === null || parentLinks(plan, child, targets) !== null) return [];
    const above = plan.find(({ table }) => table === parent.table);
    const columns = Object.values(parent.columns).join(', ');
    return [
      `rows of ${quotedTarget(child)} hold neither the key of ${quotedTarget(mainTable(plan))} nor columns by which a unique ` +
        `index distinguishes the rows of ${above === undefined ? parent.table : quotedTarget(above)}: ` +
        `CREATE UNIQUE INDEX ON ${above === undefined ? parent.table : quotedTarget(above)} (${columns}), NOT NULL each, ` +
        `or hand the key down by @FromParent`,
    ];
  });
}

/** Why a merge cannot go by a unique index; null when it can. */
function problemOf({ valid, immediate, otherwise, lenient }: IndexFacts): string | null {
  if (!valid) return 'is invalid (CREATE INDEX CONCURRENTLY has failed)';
  if (!immediate) return 'is a DEFERRABLE constraint';
  if (otherwise.length > 0) return `compares ${otherwise.join(', ')} in another way than the column does`;
  if (lenient.length > 0) return `takes different values of ${lenient.join(', ')} for equal`;
  return null;
}

/** Takes a section's COPY text: the record number, then the contract's columns. */
export function copyIntoStaging(plan: TablePlan, jobId: string): string {
  return `COPY ${quotedStagingTable(plan.table, jobId)} (${columnList([RECORD_COLUMN, ...plan.columns])}) FROM STDIN`;
}

/**
 * Drops all staging tables of the job; none is fine.
 * Waits for load transactions that still write to them (the lock), so end the job first.
 */
export async function dropStaging(client: SqlClient, job: { readonly id: string }): Promise<void> {
  const { rows } = await prepared(client).query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND starts_with(c.relname, $2) AND c.relkind = 'r'`,
    [STAGING_SCHEMA, stagingPrefix(job.id)],
  );
  if (rows.length > 0) await client.query(`DROP TABLE ${rows.map(({ name }) => name).join(', ')}`);
}

/** Ids of jobs that cannot be continued or resumed, or are unknown, and still have staging tables. */
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
