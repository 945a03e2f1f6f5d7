/** Keys, indexes and constraints of staging tables: the finalizer's way, and one after the other. */
import pg from 'pg';
import { inTransaction } from '#common/postgres/pool.js';
import { inspectTargets } from '#core/staging/inspect-targets.js';
import { columnList, quotedStagingTable, stagingTable } from '#core/staging/staging-names.js';
import { type TablePlan, targetsOf } from '#core/staging/table-plan.js';
import type { TargetFacts } from '#core/staging/target-facts.js';
import { referencedPlace } from '../../apps/loader/src/finalize/build-indexes.js';
import { FinalizeConfig } from '../../apps/loader/src/finalize/finalize.config.js';
import type { FinalizingJob, OnStep } from '../../apps/loader/src/finalize/finalizing-job.js';
import { Preparation } from '../../apps/loader/src/finalize/prepare.js';
import { StepRunner } from '../../apps/loader/src/finalize/step-runner.js';
import type { Psql } from '../baselines/psql.js';
import type { CleanText } from './clean-text.js';
import { BENCH_DATASET } from './judging.js';
import type { Amount } from './stage-run.js';

/**
 * The finalizer's way, with its default connections and memory, up to the validated foreign key; `parts` by its steps.
 * @param job whose staging tables are filled, and which no one else finalizes
 */
export async function indexAsFinalizer(pool: pg.Pool, text: CleanText, job: string): Promise<Amount> {
  const config = new FinalizeConfig();
  const runner = new StepRunner(pool, finalizingJob(job), config);
  const steps = new StepTimes();
  const dataset = { tables: text.plan, keepOfDuplicates: 'first', contractVersion: 1 } as const;
  const preparation = new Preparation(runner, dataset, config, steps.onStep);
  const targets = await preparation.targets();
  await preparation.settleUnique(targets, () => true);
  await preparation.buildRest(targets);
  return { rows: text.rows, bytes: text.bytes, parts: steps.end() };
}

/** Does some work while there is a job row that the finalizer's steps can check and lock. */
export async function withFinalizingJob<T>(pool: pg.Pool, job: string, work: () => Promise<T>): Promise<T> {
  await pool.query(
    `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
       contract_version, epoch)
     VALUES ($1, $2, 'replace', 'finalizing', '{}', '', false, 1, '{}', 1, $3)`,
    [job, BENCH_DATASET, EPOCH],
  );
  try {
    return await work();
  } finally {
    await pool.query('DELETE FROM sluice.job WHERE id = $1', [job]);
  }
}

/** psql's way: the same keys, indexes and constraints one after the other, with the server's own settings. */
export async function indexSerially(
  psql: Psql,
  text: CleanText,
  targets: readonly TargetFacts[],
  job: string,
): Promise<Amount> {
  const script = [...targets.flatMap((target) => indexStatements(target, job)), ...foreignKeys(targets, job)];
  await psql.run('stages-index', script.map((statement) => `${statement};\n`).join(''));
  return { rows: text.rows, bytes: text.bytes };
}

/** What the tables have in the schema that readers see. */
export function readTargets(pool: pg.Pool, plan: readonly TablePlan[]): Promise<TargetFacts[]> {
  return inTransaction(pool, (client) => inspectTargets(client, targetsOf(plan)));
}

function indexStatements({ table, indexes }: TargetFacts, job: string): string[] {
  const place = quotedStagingTable(table, job);
  return indexes.flatMap(({ name, unique, body, constraint }) => {
    const quoted = pg.escapeIdentifier(stagingTable(name, job));
    const create = `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${quoted} ON ${place} USING ${body}`;
    if (constraint === null) return [create];
    const { kind, deferral } = constraint;
    return [create, `ALTER TABLE ${place} ADD CONSTRAINT ${quoted} ${kind} USING INDEX ${quoted}${deferral}`];
  });
}

function foreignKeys(targets: readonly TargetFacts[], job: string): string[] {
  return targets.flatMap(({ table, foreignKeys: keys }) =>
    keys.map(
      (key) =>
        `ALTER TABLE ${quotedStagingTable(table, job)} ADD CONSTRAINT ${pg.escapeIdentifier(key.name)}
         FOREIGN KEY (${columnList(key.columns)})
         REFERENCES ${referencedPlace(key, targets, job)} (${columnList(key.referencedColumns)})${key.behind}`,
    ),
  );
}

const EPOCH = 1;

function finalizingJob(id: string): FinalizingJob {
  return {
    ...{ id, dataset: BENCH_DATASET, epoch: EPOCH, mode: 'replace', dryRun: false },
    ...{
      strict: false,
      mayBringNothing: false,
      maxRefusedShare: 1,
      maxShrinkShare: null,
      existingKeys: 'supersede',
      contractVersion: 1,
    },
    // Sums are the conclusion's matter, which is not measured here.
    source: { batches: 0, records: 0, dataStart: 0, bytes: 0, crc32cSum: null },
  };
}

/** Seconds by step. */
class StepTimes {
  private readonly seconds: Record<string, number> = {};
  private step = 'inspect';
  private since = performance.now();

  readonly onStep: OnStep = (step) => {
    this.enter(step);
  };

  end(): Readonly<Record<string, number>> {
    this.enter('');
    return this.seconds;
  }

  private enter(step: string): void {
    const now = performance.now();
    this.seconds[this.step] = (this.seconds[this.step] ?? 0) + (now - this.since) / 1e3;
    this.step = step;
    this.since = now;
  }
}
