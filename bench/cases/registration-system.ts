import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { BaselineDatabase, DATASET } from '../baselines/baseline-database.js';
import { writeExtract } from '../baselines/extract.js';
import type { Bench } from '../bench-case.js';
import type { BenchSystem, MeasuredJob } from '../system/bench-system.js';
import { assertExplained } from './explained.js';
import { finalizeSteps, jobParts } from './job-parts.js';

/** Enough for many batches of each partition. */
const WARM_UP_ROWS = 50_000;

/** The system and the baselines' database on its server, for cases that load registrations. */
export class RegistrationSystem {
  readonly baselines: BaselineDatabase;

  constructor(readonly system: BenchSystem) {
    this.baselines = new BaselineDatabase(system.databaseUrl);
  }

  /**
   * Loads a small file: the first job of fresh processes takes seconds longer, whatever its size, and what is measured is
   * a running system. A trial loads no more than its own rows, and once for all cases of a system.
   * @param bench whose folder the file is written to
   */
  async warmUp(bench: Pick<Bench, 'folder' | 'rows' | 'isTrial'>): Promise<void> {
    if (!bench.isTrial || !this.system.hasRunJobs) await this.loadSmall(bench);
  }

  /** A file as small as that, once more. @returns its job */
  async loadSmall({
    folder,
    rows,
    isTrial,
  }: Pick<Bench, 'folder' | 'rows' | 'isTrial'>): Promise<MeasuredJob> {
    const file = join(folder, 'warm-up.csv');
    const read = isTrial ? Math.min(rows, WARM_UP_ROWS) : WARM_UP_ROWS;
    await writeExtract(file, { rows: read, seed: 1 });
    // The system may be the one of an earlier case, and hold its rows.
    return this.load(file, { read }, '--allow-shrink');
  }

  /**
   * Drops every row that was loaded, and waits until what was written is on the disk: what is measured next
   * finds empty tables, and pays for no pages but its own.
   */
  async clear(): Promise<void> {
    await this.baselines.remove();
    await this.system.database.query('TRUNCATE public.business_industry, public.tax_registration');
    // Kafka leaves writing its log to the kernel, which would do it in the middle of the next measurement.
    spawnSync('sync');
  }

  /**
   * Loads a file as a user would, its parts reported step by step.
   * @throws SluiceError INTERNAL unless the job succeeded and every record is accounted for
   */
  async load(
    file: string,
    expected: { readonly read: number; readonly businesses?: number },
    ...more: readonly string[]
  ): Promise<MeasuredJob> {
    const job = await this.system.run(DATASET, file, ...more);
    await assertExplained(this.system.database, job.report, expected);
    return { ...job, parts: jobParts(job.times, await finalizeSteps(this.system, job.report.job)) };
  }
}
