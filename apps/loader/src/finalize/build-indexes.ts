import pg, { type PoolClient } from 'pg';
import { faultPoint } from '#common/faults/fault-point.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { STAGING_SCHEMA, columnList, quotedStagingTable, stagingTable } from '#core/staging/staging-names.js';
import type { ForeignKeyFacts, IndexFacts, TargetFacts } from '#core/staging/target-facts.js';
import { isRecordsFault } from './merge-faults.js';
import { sideBySide } from './side-by-side.js';
import type { StepRunner } from './step-runner.js';

/**
 * Gives staging the indexes and constraints of the target, from the target's own catalog definitions.
 *
 * They bear staging names until the swap (index names are unique in a schema), constraints that are not indexes
 * their final ones. What is there already is known from the catalogs: nothing here remembers anything.
 */
export interface WantedIndex {
  readonly target: TargetFacts;
  readonly index: IndexFacts;
}

export const UNIQUE_VIOLATION = '23505';

/** An index that could not be built because of what rows hold, and PostgreSQL's SQLSTATE. */
export interface RefusedIndex extends WantedIndex {
  readonly sqlstate: string;
}

/** Indexes of the target that its staging table lacks, or has with another definition. */
export function missingIndexes(
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  jobId: string,
): WantedIndex[] {
  return targets.flatMap((target) =>
    target.indexes
      .filter((index) => {
        const built = stagedTwin(staged, target, jobId)?.indexes.find(
          ({ name }) => name === stagingTable(index.name, jobId),
        );
        return built?.body !== index.body || built.unique !== index.unique;
      })
      .map((index) => ({ target, index })),
  );
}

/** The staging table that belongs to a target. */
export function stagedTwin(
  staged: readonly TargetFacts[],
  { table }: Pick<TargetFacts, 'table'>,
  jobId: string,
): TargetFacts | undefined {
  return staged.find((twin) => twin.table === stagingTable(table, jobId));
}

/**
 * Builds side by side, each index in a transaction and on a connection of its own; none of them locks another out.
 * @returns those that rows kept from being built, in the order given
 */
export async function buildIndexes(
  runner: StepRunner,
  wanted: readonly WantedIndex[],
  connections: number,
): Promise<RefusedIndex[]> {
  const refused: RefusedIndex[] = [];
  await sideBySide(costliestFirst(wanted), connections, async (entry) => {
    const sqlstate = await whyNot(runner, entry);
    if (sqlstate !== null) refused[wanted.indexOf(entry)] = { ...entry, sqlstate };
  });
  // Leaves out the places of those that were built.
  return refused.flat();
}

/**
 * The more key columns, the longer sorting takes; a long one that is begun last leaves the other connections idle at
 * the end (of nine indexes over 1.6 million rows the longest takes a third of all the time).
 */
function costliestFirst(wanted: readonly WantedIndex[]): WantedIndex[] {
  return wanted.toSorted((a, b) => b.index.keys.length - a.index.keys.length);
}

/** Builds one index. @returns null, or the SQLSTATE when rows are at fault */
async function whyNot(runner: StepRunner, { target, index }: WantedIndex): Promise<string | null> {
  const { id } = runner.job;
  const name = pg.escapeIdentifier(stagingTable(index.name, id));
  try {
    await runner.step(async (client) => {
      await client.query(`SELECT set_config('default_tablespace', $1, true)`, [index.tablespace ?? '']);
      await client.query(`DROP INDEX IF EXISTS ${STAGING_SCHEMA}.${name}`);
      await client.query(
        `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${name} ON ${quotedStagingTable(target.table, id)} USING ${index.body}`,
      );
      faultPoint('finalizer.index-build');
    });
    return null;
  } catch (error) {
    const sqlstate = sqlstateOf(error);
    if (sqlstate === UNIQUE_VIOLATION || isRecordsFault(error)) return sqlstate;
    throw error;
  }
}

/** Makes constraints of the unique indexes that are constraints in the target: in the catalogs alone, no scan. */
export async function attachConstraints(
  client: PoolClient,
  targets: readonly TargetFacts[],
  staged: readonly TargetFacts[],
  jobId: string,
): Promise<void> {
  for (const target of targets) {
    const present = stagedTwin(staged, target, jobId)?.indexes ?? [];
    for (const { name, constraint } of target.indexes) {
      const stagedName = stagingTable(name, jobId);
      if (
        constraint === null ||
        present.some((index) => index.name === stagedName && index.constraint !== null)
      )
        continue;
      const quoted = pg.escapeIdentifier(stagedName);
      await client.query(
        `ALTER TABLE ${quotedStagingTable(target.table, jobId)}
         ADD CONSTRAINT ${quoted} ${constraint.kind} USING INDEX ${quoted}${constraint.deferral}`,
      );
    }
  }
}

/** What a foreign key of staging refers to: the staging table of the same job when it is one of the dataset's own. */
export function referencedPlace(
  key: ForeignKeyFacts,
  targets: readonly TargetFacts[],
  jobId: string,
): string {
  const own = targets.find(({ oid }) => oid === key.referencedOid);
  return own === undefined ? key.referenced : quotedStagingTable(own.table, jobId);
}

/**
 * Adds a foreign key without checking the rows: that needs a strong lock on both tables, but only for a moment,
 * and all sessions may be using the other one.
 */
export async function addForeignKey(
  client: PoolClient,
  target: TargetFacts,
  key: ForeignKeyFacts,
  place: string,
  jobId: string,
  lockTimeoutMs: number,
): Promise<void> {
  await client.query(`SELECT set_config('lock_timeout', $1, true)`, [String(lockTimeoutMs)]);
  await client.query(
    `ALTER TABLE ${quotedStagingTable(target.table, jobId)} ADD CONSTRAINT ${pg.escapeIdentifier(key.name)}
     FOREIGN KEY (${columnList(key.columns)}) REFERENCES ${place} (${columnList(key.referencedColumns)})${key.behind} NOT VALID`,
  );
}
