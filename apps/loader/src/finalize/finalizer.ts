import type { Pool } from 'pg';
import type { JobCounts } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { KnownTargets } from '#core/staging/known-targets.js';
import { quotedTarget } from '#core/staging/staging-names.js';
import { mainTable, targetsOf } from '#core/staging/table-plan.js';
import type { WantedIndex } from './build-indexes.js';
import { NOTHING, checkLedger, percent } from './conclude.js';
import { countRows } from './count-rows.js';
import type { FinalizeConfig } from './finalize.config.js';
import {
  type FinalizedDataset,
  type FinalizingJob,
  type OnStep,
  assertOwnVersion,
  datasetOfMode,
} from './finalizing-job.js';
import { Merging, endJob } from './merging.js';
import { waitForOldSnapshots } from './old-snapshots.js';
import { Preparation } from './prepare.js';
import { StepRunner, terminateBackends } from './step-runner.js';
import { swap } from './swap.js';
import { cascadingKeys, countStagedRows, proveTables } from './table-sums.js';

/**
 * Makes a complete job visible, whole or not at all (docs/architecture.md, How a job becomes visible).
 *
 *     replace:  check → index ⇄ settle → vacuum → index ⇄ settle → constraints → analyze → check → snapshots → swap
 *     append, upsert:       check → merge ⇄ settle (merging.ts)
 *     dry run of replace:   check → index ⇄ settle → report
 *     dry run of the others: check → settle → report
 *
 * Invariants
 * - FZ1: every step is a transaction that checks the epoch, or harmless when repeated (VACUUM); what is done is
 *   known from the catalogs alone. So a loader that takes over begins at the top and finds the place.
 * - FZ2 (G5): the target is first touched by the transaction that ends the job as succeeded.
 * - FZ3: a decision against the job is a SluiceError that is not retryable; any other error says nothing about
 *   the job, and finalizing may simply be tried again.
 */
export class Finalizer {
  private readonly known = new KnownTargets();

  constructor(
    private readonly pool: Pool,
    private readonly config: FinalizeConfig,
  ) {}

  /**
   * @param job held in state `finalizing` with its epoch
   * @param over aborted when the job is to be left as it is; the caller that aborts ends our backends too
   * @returns the counts of a merge; null where nothing was merged
   * @throws SluiceError JOB_LOST; JOB_UNBALANCED, JOB_REFUSED_SHARE, JOB_NOTHING_LOADED, JOB_SHRINKS, EXISTING_KEYS, TARGET_MISSING,
   *   ROWS_CASCADED, TARGET_CHANGED, TARGET_CANNOT_BE_SWAPPED, and the job has to be failed; database errors as they are
   */
  async finalize(
    job: FinalizingJob,
    given: FinalizedDataset,
    onStep: OnStep,
    over?: AbortSignal,
  ): Promise<JobCounts | null> {
    assertOwnVersion(job, given);
    const dataset = datasetOfMode(given, job.mode);
    // Backends of an earlier finalizer, or of our earlier attempt, may still build, or hold locks for ever.
    await terminateBackends(this.pool, job.id, job.epoch);
    const runner = new StepRunner(this.pool, job, this.config, over);
    const preparation = new Preparation(runner, dataset, this.config, onStep);
    onStep('check');
    if (job.mode !== 'replace') {
      const merging = new Merging(runner, preparation, dataset, onStep, this.known);
      if (!job.dryRun) return merging.run();
      await merging.foresee();
      return null;
    }
    await runner.step((client) => checkLedger(client, job));
    if (job.dryRun) await this.rehearse(runner, preparation, dataset, onStep);
    else await this.replace(runner, preparation, dataset, onStep);
    return null;
  }

  /** A dry run of `replace`. */
  private async rehearse(
    runner: StepRunner,
    preparation: Preparation,
    dataset: FinalizedDataset,
    onStep: OnStep,
  ): Promise<void> {
    const targets = await preparation.targets();
    await preparation.settleOuterOrphans(targets);
    await preparation.settleUnique(targets, (entry) => isFilledBy(dataset, entry));
    await preparation.settleAllOrphans(targets);
    const [inserted = 0] = await this.checkSize(runner, dataset, []);
    onStep('report');
    await endJob(runner, () => Promise.resolve({ ...NOTHING, inserted }));
  }

  private async replace(
    runner: StepRunner,
    preparation: Preparation,
    dataset: FinalizedDataset,
    onStep: OnStep,
  ): Promise<void> {
    const names = targetsOf(dataset.tables);
    for (;;) {
      const targets = await preparation.targets();
      await preparation.settleOuterOrphans(targets);
      await preparation.settleMainKeys(targets);
      await preparation.vacuum();
      await preparation.buildRest(targets);
      await preparation.analyze(targets);
      onStep('check');
      const rows = await this.checkSize(runner, dataset, cascadingKeys(targets));
      onStep('snapshots');
      const left = await waitForOldSnapshots(runner, this.config.snapshotWaitMs, (whom) => {
        onStep('snapshots', `waiting for ${whom}`);
      });
      if (left.length > 0) onStep('snapshots', `waiting no longer for ${left.join(', ')}`);
      onStep('swap');
      faultPoint('finalizer.before-swap');
      const result = await swap(runner, names, rows, this.config.swapLockTimeoutMs, (whom) => {
        onStep('swap', `waiting for ${whom}`);
      });
      if (result.kind === 'swapped') {
        faultPoint('finalizer.visible');
        return;
      }
      onStep('index', result.why);
    }
  }

  /** The shrink limit, and early what {@link succeed} will prove. @returns rows of each table, settled */
  private async checkSize(
    runner: StepRunner,
    dataset: FinalizedDataset,
    cascading: readonly string[],
  ): Promise<readonly number[]> {
    const { job } = runner;
    const main = mainTable(dataset.tables);
    return runner.step(async (client) => {
      await checkLedger(client, job);
      const before = await countRows(client, quotedTarget(main));
      const rows = await countStagedRows(client, job.id, dataset.tables);
      await proveTables(client, job, dataset.tables, rows, cascading);
      const now = rows[0] ?? 0;
      if (job.maxShrinkShare !== null && now < before * (1 - job.maxShrinkShare)) {
        throw new SluiceError(
          'JOB_SHRINKS',
          `The new ${main.table} has ${now} rows and the present one ${before}: ${percent(1 - now / before)} fewer; ` +
            `${percent(job.maxShrinkShare)} are allowed.`,
          { dataset: job.dataset, job: job.id },
        );
      }
      return rows;
    });
  }
}

/** Staging fills an identity or default column in its own way: its values say nothing about the target's. */
function isFilledBy(dataset: FinalizedDataset, { target, index }: WantedIndex): boolean {
  const filled = dataset.tables.find(({ table }) => table === target.table)?.columns ?? [];
  return index.columns.every((column) => filled.includes(column));
}
