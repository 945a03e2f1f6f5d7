import type { Pool, PoolClient } from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import type { Outcome } from '#core/ledger/balance.js';
import { quotedStagingTable, quotedTarget } from '#core/staging/staging-names.js';
import { dropStaging } from '#core/staging/staging-tables.js';
import { mainTable } from '#core/staging/table-plan.js';
import { BlockerWatch } from './blocker-watch.js';
import type { WantedIndex } from './build-indexes.js';
import { checkLedger, percent, succeed } from './conclude.js';
import type { FinalizeConfig } from './finalize.config.js';
import {
  type FinalizedDataset,
  type FinalizingJob,
  type OnStep,
  assertOwnVersion,
  fieldOf,
} from './finalizing-job.js';
import { APPEND } from './merge-append.js';
import { UPSERT } from './merge-upsert.js';
import { type MergeWay, countRows } from './merge.js';
import { waitForOldSnapshots } from './old-snapshots.js';
import { Preparation } from './prepare.js';
import { StepRunner, terminateBackends } from './step-runner.js';
import { swap } from './swap.js';

/**
 * Of each hash and sort of a merge, whatever indexes are built with: its statements have up to five at once, and 256 MB
 * each made a backend of 1.3 GB out of a merge of 1,760,000 records (`npm run bench -- --only upsert` measures it).
 */
export const MERGE_WORK_MEM = '64MB';
/** A merge waits for other writers as long as they take; who they are is looked at four times in this. */
const MERGE_LOOKS_MS = 4_000;

const MERGE_WAYS = { append: APPEND, upsert: UPSERT } as const satisfies Partial<Record<WriteMode, MergeWay>>;

/**
 * Makes a complete job visible, whole or not at all (docs/architecture.md, How a job becomes visible).
 *
 *     replace:  check → index ⇄ settle → vacuum → index ⇄ settle → constraints → analyze → check → snapshots → swap
 *     append:   check → index ⇄ settle → merge
 *     upsert:   check → settle → merge
 *     dry run:  check → index ⇄ settle → report
 *
 * Invariants
 * - F1: every step is a transaction that checks the epoch, or harmless when repeated (VACUUM); what is done is
 *   known from the catalogs alone. So whoever takes over begins at the top and finds the place.
 * - F2 (G5): the target is first touched by the transaction that ends the job as succeeded.
 * - F3: a decision against the job is a SluiceError that is not retryable; any other error says nothing about
 *   the job, and finalizing may simply be tried again.
 */
export class Finalizer {
  constructor(
    private readonly pool: Pool,
    private readonly config: FinalizeConfig,
  ) {}

  /**
   * @param job held in state `finalizing` with its epoch
   * @param over aborted when the job is to be left as it is; whoever aborts ends our backends too
   * @throws SluiceError JOB_LOST; JOB_UNBALANCED, JOB_REFUSED_SHARE, JOB_SHRINKS, EXISTING_KEYS, TARGET_MISSING,
   *   TARGET_CHANGED, TARGET_CANNOT_BE_SWAPPED, and the job has to be failed; database errors as they are
   */
  async finalize(
    job: FinalizingJob,
    dataset: FinalizedDataset,
    onStep: OnStep,
    over?: AbortSignal,
  ): Promise<void> {
    assertOwnVersion(job, dataset);
    // Backends of an earlier finalizer, or of our own earlier try, may still build, or hold locks for ever.
    await terminateBackends(this.pool, job.id, job.epoch);
    const runner = new StepRunner(this.pool, job, this.config, over);
    const preparation = new Preparation(runner, dataset, this.config, onStep);
    onStep('check');
    await runner.step((client) => checkLedger(client, job));
    if (job.mode === 'replace' && !job.dryRun) {
      await this.replace(runner, preparation, dataset, onStep);
      return;
    }
    const targets = await preparation.targets();
    await preparation.settleOuterOrphans(targets);
    const way = job.mode === 'replace' ? null : MERGE_WAYS[job.mode];
    if (way?.repeatsAreRefused !== false) {
      await preparation.settleUnique(targets, (entry) => isFilledBy(dataset, entry));
    }
    await preparation.settleAllOrphans(targets);
    const { tables } = dataset;
    if (way === null) {
      const inserted = await this.checkSize(runner, dataset);
      onStep('report');
      await this.end(runner, () => Promise.resolve({ inserted, updated: 0, unchanged: 0, superseded: 0 }));
    } else if (job.dryRun) {
      onStep('report');
      await this.end(runner, async (client) =>
        accepted(job, dataset, await way.foresee(await sparing(client), job.id, tables, targets)),
      );
    } else {
      onStep('merge');
      const watch = new BlockerWatch(this.pool, MERGE_LOOKS_MS, (whom) => {
        onStep('merge', `waiting for ${whom}`);
      });
      await this.end(runner, async (client) =>
        accepted(
          job,
          dataset,
          await watch.during(await sparing(client), () => way.merge(client, job.id, tables)),
        ),
      );
    }
  }

  private async replace(
    runner: StepRunner,
    preparation: Preparation,
    dataset: FinalizedDataset,
    onStep: OnStep,
  ): Promise<void> {
    const tables = dataset.tables.map(({ table }) => table);
    for (;;) {
      const targets = await preparation.targets();
      await preparation.settleOuterOrphans(targets);
      await preparation.settleMainKeys(targets);
      await preparation.vacuum();
      await preparation.buildRest(targets);
      await preparation.analyze(targets);
      onStep('check');
      const rows = await this.checkSize(runner, dataset);
      onStep('snapshots');
      const left = await waitForOldSnapshots(runner, this.config.snapshotWaitMs, (whom) => {
        onStep('snapshots', `waiting for ${whom}`);
      });
      if (left.length > 0) onStep('snapshots', `waiting no longer for ${left.join(', ')}`);
      onStep('swap');
      faultPoint('finalizer.before-swap');
      const result = await swap(runner, tables, rows, this.config.swapLockTimeoutMs, (whom) => {
        onStep('swap', `waiting for ${whom}`);
      });
      if (result.kind === 'swapped') {
        faultPoint('finalizer.visible');
        return;
      }
      onStep('index', result.why);
    }
  }

  /** The shrink limit, and early what {@link succeed} will prove. @returns rows of the main table, settled */
  private async checkSize(runner: StepRunner, dataset: FinalizedDataset): Promise<number> {
    const { job } = runner;
    const { table } = mainTable(dataset.tables);
    return runner.step(async (client) => {
      await checkLedger(client, job);
      const [before, now] = [
        await countRows(client, quotedTarget(table)),
        await countRows(client, quotedStagingTable(table, job.id)),
      ];
      if (job.maxShrinkShare !== null && now < before * (1 - job.maxShrinkShare)) {
        throw new SluiceError(
          'JOB_SHRINKS',
          `The new ${table} has ${now} rows and the present one ${before}: ${percent(1 - now / before)} fewer; ` +
            `${percent(job.maxShrinkShare)} are allowed.`,
          { dataset: job.dataset, job: job.id },
        );
      }
      return now;
    });
  }

  /** Everything that ends a job without a swap: its outcome, the proof, the state, and staging gone, at once. */
  private async end(runner: StepRunner, work: (client: PoolClient) => Promise<Outcome>): Promise<void> {
    await runner.lastStep(async (client) => {
      await succeed(client, runner.job, await work(client));
      await dropStaging(client, runner.job);
    });
    faultPoint('finalizer.visible');
  }
}

/** Gives the transaction the memory of a merge. */
async function sparing(client: PoolClient): Promise<PoolClient> {
  await client.query(
    `SELECT set_config('work_mem', $1, true), set_config('hash_mem_multiplier', '1', true)`,
    [MERGE_WORK_MEM],
  );
  return client;
}

/** @throws SluiceError EXISTING_KEYS when the job is to fail for keys that are there already, and some are */
function accepted(job: FinalizingJob, dataset: FinalizedDataset, outcome: Outcome): Outcome {
  if (job.mode !== 'append' || job.existingKeys !== 'fail' || outcome.superseded === 0) return outcome;
  const { table, key } = mainTable(dataset.tables);
  throw new SluiceError(
    'EXISTING_KEYS',
    `${outcome.superseded} of the job's records have a key (${fieldOf(dataset, table, key)}) that is in ${table} already.`,
    { dataset: job.dataset, job: job.id },
  );
}

/** Staging fills an identity or default column in its own way: its values say nothing about the target's. */
function isFilledBy(dataset: FinalizedDataset, { target, index }: WantedIndex): boolean {
  const filled = dataset.tables.find(({ table }) => table === target.table)?.columns ?? [];
  return index.columns.every((column) => filled.includes(column));
}
