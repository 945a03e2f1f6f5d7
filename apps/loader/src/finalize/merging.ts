import type { PoolClient } from 'pg';
import type { JobCounts } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { faultPoint } from '#common/faults/fault-point.js';
import { GENERAL_FINDING_CODES } from '#core/finding/finding.js';
import type { Outcome } from '#core/ledger/balance.js';
import type { KnownTargets } from '#core/staging/known-targets.js';
import { dropStaging } from '#core/staging/staging-tables.js';
import { mainTable, targetsOf } from '#core/staging/table-plan.js';
import type { MergeFacts } from '#core/staging/target-facts.js';
import { BlockerWatch } from './blocker-watch.js';
import { UNIQUE_VIOLATION } from './build-indexes.js';
import { checkLedger, succeed } from './conclude.js';
import {
  type FinalizedDataset,
  type FinalizingJob,
  type OnStep,
  fieldOf,
  stagedTables,
} from './finalizing-job.js';
import { type MergeResult, foresee, merge } from './merge.js';
import { MergeStopped, type Obstacle, type RefusedRecord } from './merge-faults.js';
import { type MergedTables, mergedTables } from './merge-sql.js';
import { countStaged } from './merge-staged.js';
import type { Preparation } from './prepare.js';
import { REFUSED, openRefusals, refuseListed } from './refuse-records.js';
import { advanceSequence } from './sequence-behind.js';
import { clashingIndexes, settleClashes } from './settle-clashes.js';
import { settleDuplicates } from './settle-duplicates.js';
import { isOwn } from './settle-foreign-keys.js';
import type { StepRunner } from './step-runner.js';
import { proveTables } from './table-sums.js';

/** A merge waits for other writers as long as they take; it asks four times in this period who they are. */
const MERGE_LOOKS_MS = 4_000;
const MAX_MET_IN_VAIN = 5;

/**
 * Ends a complete job of `append` or `upsert`.
 *
 * - MN1: where nothing has to be settled, one transaction does it all: the ledger is checked, the tables are inspected, the
 *   merge is done and proved, the job has succeeded, staging is gone. Most of a small job's time would go into more.
 * - MN2: what has to be settled is found by trying: the transaction is undone, the refusals are committed with the ledger
 *   (so that they are known even if the job fails), and the merge is retried without them.
 * - MN3: it ends: each further try has refused a record, moved a sequence, met an index in vain (five times at most), or
 *   begun to write record by record, and that one merges, refuses a record or fails.
 */
export class Merging {
  private readonly mode: 'append' | 'upsert';
  private outerOrphansAreSettled = false;
  /** How often records met a unique index while writing, and no row was found there. */
  private metInVain = 0;
  /** Indexes whose sequence was moved. */
  private readonly moved = new Set<string>();

  constructor(
    private readonly runner: StepRunner,
    private readonly preparation: Preparation,
    private readonly dataset: FinalizedDataset,
    private readonly onStep: OnStep,
    /** KT3: what stopped a try, or failed it, is judged by facts that are read for it. */
    private readonly known: KnownTargets,
  ) {
    this.mode = runner.job.mode === 'append' ? 'append' : 'upsert';
  }

  /** @throws SluiceError MERGE_RACED, TARGET_LOSES_ROWS, JOB_UNBALANCED, EXISTING_KEYS and what ends a job otherwise */
  async run(): Promise<JobCounts> {
    let carefully = false;
    for (;;) {
      const tried = await this.tryOnce(carefully);
      if ('read' in tried) return tried;
      const settled = await this.settle(tried.obstacle, tried.facts);
      if (settled === 0 && carefully) throw stopsAgain(tried.obstacle);
      carefully = settled === 0;
    }
  }

  /** A dry run: settles what can be foreseen, in staging alone, and counts. */
  async foresee(): Promise<void> {
    const { job } = this.runner;
    await this.runner.step((client) => checkLedger(client, job));
    const facts = await this.preparation.mergeFacts();
    const tables = mergedTables(this.dataset, facts, job.id);
    await this.preparation.settleOuterOrphans(facts);
    if (this.mode === 'append' && (await this.keysRepeat(tables)))
      await this.settle({ kind: 'repeats' }, facts);
    const indexes = clashingIndexes(tables);
    if (indexes.length > 0) {
      this.onStep('settle');
      await this.preparation.settle(facts, (client) =>
        settleClashes(client, job, this.dataset, tables, indexes),
      );
    }
    await this.preparation.settleAllOrphans(facts);
    this.onStep('report');
    await endJob(this.runner, async (client) =>
      acceptedOutcome(client, job, this.dataset, await foresee(client, tables, this.mode)),
    );
  }

  /** @returns its counts when the job has succeeded, or what stands in the way */
  private async tryOnce(
    carefully: boolean,
  ): Promise<{ obstacle: Obstacle; facts: MergeFacts[] } | JobCounts> {
    const { runner, dataset, mode } = this;
    const watch = new BlockerWatch(runner.pool, MERGE_LOOKS_MS, (whom) => {
      this.onStep('merge', `waiting for ${whom}`);
    });
    let facts: MergeFacts[] = [];
    try {
      return await endJob(runner, async (client) => {
        await checkLedger(client, runner.job);
        facts = await this.known.forMerge(client, targetsOf(dataset.tables));
        if (!this.outerOrphansAreSettled && hasOuterKeys(facts))
          throw new MergeStopped({ kind: 'outer orphans' });
        this.onStep('merge');
        const tables = mergedTables(dataset, facts, runner.job.id);
        const merged = await watch.during(client, () => merge(client, tables, { mode, carefully }));
        return acceptedOutcome(client, runner.job, dataset, merged);
      });
    } catch (error) {
      this.known.forget();
      if (error instanceof MergeStopped) return { obstacle: error.obstacle, facts };
      throw error;
    }
  }

  /** @returns how many records were refused, or what else was put right; 0 when the same would happen again */
  private async settle(obstacle: Obstacle, facts: MergeFacts[]): Promise<number> {
    const { runner, dataset, preparation } = this;
    const { job } = runner;
    this.onStep('settle');
    const tables = mergedTables(dataset, facts, job.id);
    switch (obstacle.kind) {
      case 'outer orphans':
        this.outerOrphansAreSettled = true;
        await preparation.settleOuterOrphans(facts);
        return 1;
      case 'orphans':
        return preparation.settleAllOrphans(facts);
      case 'repeats':
        return preparation.settle(facts, (client) =>
          settleDuplicates(client, job.id, dataset, tables.main.plan.table, keyTerms(tables)),
        );
      case 'unique':
        return this.settleUnique(obstacle, facts, tables);
      case 'refused':
        return this.settleRefused(obstacle.records, facts, tables);
    }
  }

  private async settleUnique(
    { table, index }: Extract<Obstacle, { kind: 'unique' }>,
    facts: MergeFacts[],
    tables: MergedTables,
  ): Promise<number> {
    const { job } = this.runner;
    const [clashing] = clashingIndexes(tables).filter(
      (entry) => entry.table.plan.table === table && entry.index.name === index,
    );
    if (clashing !== undefined) {
      return this.preparation.settle(facts, (client) =>
        settleClashes(client, job, this.dataset, tables, [clashing]),
      );
    }
    const place = facts.find((fact) => fact.table === table);
    const found = place?.indexes.find(({ name }) => name === index);
    if (place === undefined || found === undefined || this.moved.has(index)) return 0;
    this.moved.add(index);
    const sequence = await this.runner.step((client) => advanceSequence(client, place, found));
    if (sequence === null) return 0;
    this.onStep('settle', `${sequence} was behind the numbers in ${place.name}`);
    return 1;
  }

  /**
   * A place in a unique index that a record had not may have been another session's, which came after everything was
   * judged: the same row, or one that is gone by now. So a record that met an index is judged again, and refused on
   * PostgreSQL's word alone only when that has found nothing several times: then a trigger changes what is written.
   */
  private async settleRefused(
    records: readonly RefusedRecord[],
    facts: MergeFacts[],
    tables: MergedTables,
  ): Promise<number> {
    const { preparation, dataset } = this;
    const { job } = this.runner;
    const met = clashingIndexes(tables).filter(({ index }) =>
      records.some(({ sqlstate, constraint }) => sqlstate === UNIQUE_VIOLATION && constraint === index.name),
    );
    if (met.length === 0 || this.metInVain === MAX_MET_IN_VAIN)
      return preparation.settle(facts, (client) => refuse(client, job, dataset, records));
    const others = records.filter(({ constraint }) => !met.some(({ index }) => index.name === constraint));
    if (others.length > 0) return preparation.settle(facts, (client) => refuse(client, job, dataset, others));
    const settled = await preparation.settle(facts, (client) =>
      settleClashes(client, job, dataset, tables, met),
    );
    if (settled === 0) this.metInVain += 1;
    return Math.max(1, settled);
  }

  private async keysRepeat(tables: MergedTables): Promise<boolean> {
    const { keys, rows } = await this.runner.step((client) => countStaged(client, tables));
    return keys !== rows[0];
  }
}

/** The proof of what was counted, by table. @throws SluiceError JOB_UNBALANCED, EXISTING_KEYS */
export async function acceptedOutcome(
  client: PoolClient,
  job: FinalizingJob,
  dataset: FinalizedDataset,
  { outcome, staged }: MergeResult,
): Promise<Outcome> {
  await proveTables(client, job, stagedTables(dataset), staged.rows);
  if (job.mode !== 'append' || job.existingKeys !== 'fail' || outcome.superseded === 0) return outcome;
  const { table, key } = mainTable(dataset.tables);
  throw new SluiceError(
    'EXISTING_KEYS',
    `${outcome.superseded} of the job's records have a key (${fieldOf(dataset, table, key)}) that is in ${table} already.`,
    { dataset: job.dataset, job: job.id },
  );
}

/** Everything that ends a job without a swap: its outcome, the proof, the state, and staging gone, at once. */
export async function endJob(
  runner: StepRunner,
  work: (client: PoolClient) => Promise<Outcome>,
): Promise<JobCounts> {
  const counts = await runner.lastStep(async (client) => {
    const proven = await succeed(client, runner.job, await work(client));
    await dropStaging(client, runner.job);
    return proven;
  });
  faultPoint('finalizer.visible');
  return counts;
}

export function hasOuterKeys(facts: readonly MergeFacts[]): boolean {
  return facts.some(({ foreignKeys }) => foreignKeys.some((key) => !isOwn(key, facts)));
}

/** The key as if it were an index of staging: a key is neither null nor compared in another way than its columns. */
function keyTerms({ main }: Pick<MergedTables, 'main'>): Parameters<typeof settleDuplicates>[4] {
  const terms = main.plan.key.map((column) => `"${column.replaceAll('"', '""')}"`);
  return { columns: main.plan.key, keys: terms, terms, predicate: null, nullsDistinct: true };
}

async function refuse(
  client: PoolClient,
  job: FinalizingJob,
  dataset: FinalizedDataset,
  records: readonly RefusedRecord[],
): Promise<number> {
  await openRefusals(client);
  await client.query(
    `INSERT INTO ${REFUSED} (record, code, message, sqlstate)
     SELECT record, $1, message, sqlstate FROM unnest($2::bigint[], $3::text[], $4::text[]) AS r (record, message, sqlstate)`,
    [
      GENERAL_FINDING_CODES.REFUSED_BY_DATABASE,
      records.map(({ record }) => record),
      records.map(({ message }) => message),
      records.map(({ sqlstate }) => sqlstate),
    ],
  );
  return refuseListed(client, job.id, stagedTables(dataset));
}

/** Settling has found nothing, and writing record by record has not shown which record is at fault. */
function stopsAgain({ kind }: Obstacle): SluiceError {
  return new SluiceError(
    'FINALIZE_REFUSED',
    `The merge stopped twice at the same obstacle (${kind}), and no record was found whose fault it is.`,
  );
}
