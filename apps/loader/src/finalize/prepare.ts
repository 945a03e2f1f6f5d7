import pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { inspectForMerge, inspectTargets } from '#core/staging/inspect-targets.js';
import { STAGING_SCHEMA, quotedStagingTable, stagingTable } from '#core/staging/staging-names.js';
import { mainTable, targetsOf } from '#core/staging/table-plan.js';
import type { IndexFacts, MergeFacts, TargetFacts } from '#core/staging/target-facts.js';
import {
  UNIQUE_VIOLATION,
  type WantedIndex,
  addForeignKey,
  attachConstraints,
  buildIndexes,
  missingIndexes,
  referencedPlace,
  stagedTwin,
} from './build-indexes.js';
import type { FinalizeConfig } from './finalize.config.js';
import type { FinalizedDataset, OnStep } from './finalizing-job.js';
import { waitForDeadRows } from './old-snapshots.js';
import { settleDuplicates } from './settle-duplicates.js';
import { sideBySide } from './side-by-side.js';
import { settleUnindexable } from './settle-unindexable.js';
import { isOwn, settleForeignKeys } from './settle-foreign-keys.js';
import type { StepRunner } from './step-runner.js';

const FOREIGN_KEY_VIOLATION = '23503';

/**
 * Makes staging what the target is to become: settles duplicates and orphans, builds keys, indexes, constraints.
 *
 * - PR1: each part looks in the catalogs for what is done already, so it can be begun again after a kill at any point.
 * - PR2: only jobs that have something to settle pay for it: it comes after PostgreSQL has refused a key.
 * - PR3: parents are settled before children: a parent's losers take their children's duplicates with them.
 * - PR4: an index that is refused again, where no record is left to refuse, is refused by rows that are deleted: it is built
 *   once more when no snapshot sees them, its own included.
 */
export class Preparation {
  constructor(
    private readonly runner: StepRunner,
    private readonly dataset: FinalizedDataset,
    private readonly config: FinalizeConfig,
    private readonly onStep: OnStep,
  ) {}

  /** What the targets are made of now. @throws SluiceError TARGET_MISSING */
  async targets(): Promise<TargetFacts[]> {
    return this.runner.step((client) => inspectTargets(client, targetsOf(this.dataset.tables)));
  }

  /** What a merge, or a dry run, needs of them. @throws SluiceError TARGET_MISSING */
  async mergeFacts(): Promise<MergeFacts[]> {
    return this.runner.step((client) => inspectForMerge(client, targetsOf(this.dataset.tables)));
  }

  async staged(): Promise<TargetFacts[]> {
    const tables = this.tables().map((table) => stagingTable(table, this.runner.job.id));
    return this.runner.step((client) => inspectTargets(client, { schema: STAGING_SCHEMA, tables }));
  }

  /** Unique indexes that `wanted` picks are built; records that stand in their way are refused. */
  async settleUnique(
    targets: readonly TargetFacts[],
    wanted: (entry: WantedIndex) => boolean,
  ): Promise<void> {
    const missing = missingIndexes(targets, await this.staged(), this.runner.job.id);
    this.onStep('index');
    await this.build(
      missing.filter((entry) => entry.index.unique && wanted(entry)),
      targets,
    );
  }

  /**
   * The main table's unique indexes, before any other table's index is begun: a record that loses its place here takes
   * its rows in the others with it, which would stand in the way of theirs, and deleting rows waits for builds.
   * Connections that are left over build others of the same table meanwhile.
   */
  async settleMainKeys(targets: readonly TargetFacts[]): Promise<void> {
    const { table } = mainTable(this.dataset.tables);
    const missing = missingIndexes(targets, await this.staged(), this.runner.job.id).filter(
      ({ target }) => target.table === table,
    );
    const keys = missing.filter(({ index }) => index.unique);
    if (keys.length === 0) return;
    const others = missing.filter(({ index }) => !index.unique);
    this.onStep('index');
    await this.build(
      [...keys, ...others.slice(0, Math.max(0, this.config.indexConnections - keys.length))],
      targets,
    );
  }

  /** Builds indexes, refusing records that stand in their way, one index after the other (PR3). */
  private async build(missing: readonly WantedIndex[], targets: readonly TargetFacts[]): Promise<void> {
    const { id } = this.runner.job;
    let hasDeadRows = false;
    while (missing.length > 0) {
      const refused = await buildIndexes(this.runner, missing, this.config.indexConnections);
      const [first] = refused;
      if (first === undefined) return;
      const { target, index, sqlstate } = first;
      this.onStep('settle');
      const settled = await this.settle(targets, (client) =>
        sqlstate === UNIQUE_VIOLATION
          ? settleDuplicates(client, id, this.dataset, target.table, index)
          : settleUnindexable(client, id, this.dataset, target.table, index, sqlstate),
      );
      if (settled === 0) {
        if (!hasDeadRows) throw unsettled(target, index, sqlstate);
        const holders = await this.untilDeadRowsAreGone();
        if (holders > 0) throw overDeadRows(target, index, sqlstate, holders);
      }
      hasDeadRows = settled > 0;
      this.onStep('index');
      missing = refused;
    }
  }

  /** PR4. @returns how many still see them */
  private async untilDeadRowsAreGone(): Promise<number> {
    return waitForDeadRows(this.runner, this.config.snapshotWaitMs, (holders) => {
      this.onStep('settle', `waiting for ${holders} ${HOLDERS}`);
    });
  }

  /** Refuses records while staging has no foreign keys: ON DELETE CASCADE would take rows of others in silence. */
  async settle<T>(targets: readonly MergeFacts[], work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.runner.step(async (client) => {
      await this.dropForeignKeys(client, targets);
      const result = await work(client);
      faultPoint('finalizer.settling');
      return result;
    });
  }

  /** Everything else that the target has and readers go by: other indexes, constraints, statistics objects. */
  async buildRest(targets: readonly TargetFacts[]): Promise<void> {
    const { id } = this.runner.job;
    await this.dropSurplus(targets);
    this.onStep('index');
    await this.build(missingIndexes(targets, await this.staged(), id), targets);
    this.onStep('constraints');
    const staged = await this.staged();
    await this.runner.step(async (client) => {
      await attachConstraints(client, targets, staged, id);
      for (const target of targets) {
        for (const { name, body } of target.statistics) {
          const stagedName = stagingTable(name, id);
          if (stagedTwin(staged, target, id)?.statistics.some((object) => object.name === stagedName))
            continue;
          await client.query(
            `CREATE STATISTICS ${STAGING_SCHEMA}.${pg.escapeIdentifier(stagedName)} ${body}
             FROM ${quotedStagingTable(target.table, id)}`,
          );
        }
      }
    });
    for (let inVain = 0; !(await this.foreignKeysHold(targets));) {
      this.onStep('settle');
      const settled = await this.settle(targets, (client) =>
        settleForeignKeys(client, id, this.dataset, targets, { alsoInTarget: false, outerOnly: false }),
      );
      // A row of another table may have come back in between: then the next look finds the key valid.
      inVain = settled === 0 ? inVain + 1 : 0;
      if (inVain === MAX_LOOKS_IN_VAIN) throw new SluiceError('FINALIZE_REFUSED', NO_ORPHAN_FOUND);
      this.onStep('constraints');
    }
  }

  /**
   * References to tables of others are settled before duplicates: a record that refers to nothing keeps no other out (SD2).
   * Only datasets that have such keys pay for the search.
   */
  async settleOuterOrphans(targets: readonly MergeFacts[]): Promise<void> {
    await this.settleOrphans(targets, true);
  }

  /** Merging modes and dry runs add no foreign keys; records that the target would refuse are refused here. */
  async settleAllOrphans(targets: readonly MergeFacts[]): Promise<number> {
    return this.settleOrphans(targets, false);
  }

  private async settleOrphans(targets: readonly MergeFacts[], outerOnly: boolean): Promise<number> {
    const keys = targets.flatMap(({ foreignKeys }) => foreignKeys);
    if (!keys.some((key) => !outerOnly || !isOwn(key, targets))) return 0;
    this.onStep('settle');
    const { id, mode } = this.runner.job;
    const alsoInTarget = mode !== 'replace';
    return this.settle(targets, (client) =>
      settleForeignKeys(client, id, this.dataset, targets, { alsoInTarget, outerOnly }),
    );
  }

  /**
   * Takes away what was settled and marks the rest as visible to all, before most indexes are built: they need not hold
   * what is gone, and pages that COPY has just written are written once more, not twice.
   */
  async vacuum(): Promise<void> {
    this.onStep('vacuum');
    await this.onEachTable('VACUUM');
  }

  /** Gives readers' plans figures to go by. */
  async analyze(targets: readonly TargetFacts[]): Promise<void> {
    this.onStep('analyze');
    const { id } = this.runner.job;
    await this.runner.step(async (client) => {
      for (const { table, columnSettings } of targets) {
        if (columnSettings.length === 0) continue;
        await client.query(`ALTER TABLE ${quotedStagingTable(table, id)} ${columnSettings.join(', ')}`);
      }
    });
    await this.onEachTable('ANALYZE');
  }

  private async onEachTable(command: 'VACUUM' | 'ANALYZE'): Promise<void> {
    const { id } = this.runner.job;
    await sideBySide(this.tables(), this.config.indexConnections, (table) =>
      this.runner.outside(`${command} ${quotedStagingTable(table, id)}`),
    );
  }

  /** Indexes that the target lost while the job ran, and those that were begun under another definition. */
  private async dropSurplus(targets: readonly TargetFacts[]): Promise<void> {
    const { id } = this.runner.job;
    const wanted = new Set(
      targets.flatMap(({ indexes }) => indexes.map(({ name }) => stagingTable(name, id))),
    );
    const surplus = (await this.staged())
      .flatMap(({ indexes }) => indexes)
      .filter(({ name, constraint }) => !wanted.has(name) && constraint === null);
    if (surplus.length === 0) return;
    const names = surplus.map(({ name }) => `${STAGING_SCHEMA}.${pg.escapeIdentifier(name)}`);
    await this.runner.step((client) => client.query(`DROP INDEX ${names.join(', ')}`));
  }

  private async foreignKeysHold(targets: readonly TargetFacts[]): Promise<boolean> {
    const { id } = this.runner.job;
    const staged = await this.staged();
    for (const target of targets) {
      for (const key of target.foreignKeys) {
        const present = stagedTwin(staged, target, id)?.foreignKeys.find(({ name }) => name === key.name);
        const place = referencedPlace(key, targets, id);
        if (present === undefined) {
          await this.runner.step((client) =>
            addForeignKey(client, target, key, place, id, this.config.swapLockTimeoutMs),
          );
        }
        if (!key.validated || present?.validated) continue;
        try {
          await this.runner.step((client) =>
            client.query(
              `ALTER TABLE ${quotedStagingTable(target.table, id)} VALIDATE CONSTRAINT ${pg.escapeIdentifier(key.name)}`,
            ),
          );
        } catch (error) {
          if (sqlstateOf(error) === FOREIGN_KEY_VIOLATION) return false;
          throw error;
        }
      }
    }
    return true;
  }

  private async dropForeignKeys(client: pg.PoolClient, targets: readonly MergeFacts[]): Promise<void> {
    for (const { table, foreignKeys } of targets) {
      for (const { name } of foreignKeys) {
        await client.query(
          `ALTER TABLE ${quotedStagingTable(table, this.runner.job.id)} DROP CONSTRAINT IF EXISTS ${pg.escapeIdentifier(name)}`,
        );
      }
    }
  }

  private tables(): string[] {
    return this.dataset.tables.map(({ table }) => table);
  }
}

/** In a row. Each costs a scan of the table. */
const MAX_LOOKS_IN_VAIN = 3;
const NO_ORPHAN_FOUND =
  'PostgreSQL refused a foreign key of the new tables (SQLSTATE 23503), and no record refers to a row that is missing.';

const HOLDERS = 'sessions or older transactions whose snapshots see rows that were refused';

function overDeadRows(
  target: TargetFacts,
  index: IndexFacts,
  sqlstate: string,
  holders: number,
): SluiceError {
  return new SluiceError(
    'FINALIZE_REFUSED',
    `PostgreSQL refused the index ${index.name} of ${target.name} (SQLSTATE ${sqlstate}) because of rows that Sluice has ` +
      `deleted: ${holders} ${HOLDERS} did not end in time. Run the job again when they have ended.`,
  );
}

/** PostgreSQL refuses the index, and no record can be found that it would be the fault of. */
function unsettled(target: TargetFacts, index: IndexFacts, sqlstate: string): SluiceError {
  return new SluiceError(
    'FINALIZE_REFUSED',
    `PostgreSQL refused the index ${index.name} of ${target.name} (SQLSTATE ${sqlstate}).`,
  );
}
