import type pg from 'pg';
import { pino } from 'pino';
import type { Announcer } from '../../apps/loader/src/announce/announcer.js';
import { FinalizeConfig } from '../../apps/loader/src/finalize/finalize.config.js';
import { FinalizeRepository } from '../../apps/loader/src/sweep/finalize.repository.js';
import { Sweep, type SweepParts } from '../../apps/loader/src/sweep/sweep.js';
import { Finalizer } from '../../apps/loader/src/finalize/finalizer.js';
import type {
  FinalizedDataset,
  FinalizeStep,
  FinalizingJob,
} from '../../apps/loader/src/finalize/finalizing-job.js';
import { eventually } from './eventually.js';
import { SHOP_PLAN, type StagedJobs } from './staged-job.js';

export const SHOPS: FinalizedDataset = {
  tables: SHOP_PLAN,
  keepOfDuplicates: 'first',
  contractVersion: 1,
};

/** Claims the one job that is due. */
export async function claimJob(jobs: StagedJobs): Promise<FinalizingJob> {
  const job = await new FinalizeRepository(jobs.pool, 'tester', 30).claimNext(['shops']);
  if (job === null) throw new RangeError('No job is due.');
  return job;
}

/** Claims the one job that is due again, as another loader does when the lease has run out. */
export async function takeOver(jobs: StagedJobs): Promise<FinalizingJob> {
  await jobs.pool.query(
    `UPDATE sluice.job SET lease_until = now() - interval '1 second' WHERE state = 'finalizing'`,
  );
  return claimJob(jobs);
}

export interface FinalizeParts {
  readonly config?: Partial<FinalizeConfig>;
  readonly dataset?: FinalizedDataset;
  readonly job?: FinalizingJob;
  readonly onStep?: (step: FinalizeStep, detail?: string) => void;
}

/** Claims and finalizes; whatever the finalizer throws is thrown. @returns the steps, in order */
export async function finalizeJob(jobs: StagedJobs, parts: FinalizeParts = {}): Promise<FinalizeStep[]> {
  const config = Object.assign(new FinalizeConfig(), parts.config);
  const job = parts.job ?? (await claimJob(jobs));
  const steps: FinalizeStep[] = [];
  await new Finalizer(jobs.pool, config).finalize(job, parts.dataset ?? SHOPS, (step, detail) => {
    steps.push(step);
    parts.onStep?.(step, detail);
  });
  return steps;
}

/** Sweeps of several loaders over the same database; Kafka's side of announcing has tests of its own. */
export class SweepHarness {
  /** What was announced, in order: `refusals`, or a job's state. */
  readonly announced: string[] = [];
  readonly announcer: Announcer;
  private readonly running: Sweep[] = [];

  constructor(private readonly jobs: StagedJobs) {
    this.announcer = {
      announceRefusals: async (job) => {
        this.announced.push('refusals');
        await jobs.pool.query('UPDATE sluice.ledger SET refusals_announced = true WHERE job = $1', [job]);
        return false;
      },
      announceJob: ({ state }) => {
        this.announced.push(state);
        return Promise.resolve();
      },
    };
  }

  /** Starts one more. */
  sweep(config: Partial<FinalizeConfig> = {}, parts: Partial<SweepParts> = {}): Sweep {
    const sweep = new Sweep({
      pool: this.jobs.pool,
      owner: `loader-${this.running.length}`,
      datasets: new Map([['shops', SHOPS]]),
      announcer: this.announcer,
      config: Object.assign(new FinalizeConfig(), { sweepIntervalMs: 20 }, config),
      logger: pino({ level: 'silent' }),
      onStep: () => undefined,
      firstPauseMs: 20,
      ...parts,
    });
    this.running.push(sweep);
    sweep.start();
    return sweep;
  }

  async stop(): Promise<void> {
    await Promise.all(this.running.splice(0).map((sweep) => sweep.stop()));
  }
}

/** Has a row while a merge waits for another session's lock. */
export const MERGE_WAITS = `SELECT FROM pg_stat_activity WHERE datname = current_database()
  AND application_name LIKE 'sluice-finalize:%' AND wait_event_type = 'Lock'`;

/** Waits until a question to the database is answered with at least one row. */
export async function untilRow(
  client: Pick<pg.Pool, 'query'>,
  sql: string,
  parameters: unknown[] = [],
): Promise<void> {
  await eventually(async () => (await client.query(sql, parameters)).rows.length > 0, `a row of ${sql}`);
}
