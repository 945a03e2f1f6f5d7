import type { Kafka } from 'kafkajs';
import type pg from 'pg';
import type { Logger } from 'pino';
import { BackgroundLoop } from '#common/lifecycle/background-loop.js';
import type { Dataset, OptionValues } from '#core/dataset/dataset.js';
import { declareProblem } from '#core/job/job-problem.js';
import { pauseLoading } from '#core/job/loader-transitions.js';
import { warningCodes } from '#core/record/compile-contract.js';
import { type JudgedJob, judge, readWindow } from './breaker.js';
import { MissingBatches, findWaiting } from './missing-batches.js';
import { StageWaits, findIdle } from './stage-waits.js';
import type { WatchConfig } from './watch.config.js';

/** What the watch needs to know of a dataset. */
export interface WatchedDataset {
  /** Codes that refuse no record under a job's options. */
  warningCodes(options: OptionValues): ReadonlySet<string>;
}

export function watchedDatasets(datasets: readonly Dataset[]): ReadonlyMap<string, WatchedDataset> {
  return new Map(
    datasets.map((dataset) => [dataset.name, { warningCodes: (options) => warningCodes(dataset, options) }]),
  );
}

export interface JobWatchParts {
  readonly pool: pg.Pool;
  readonly kafka: Kafka;
  /** By name: those that this process loads. */
  readonly datasets: ReadonlyMap<string, WatchedDataset>;
  readonly config: WatchConfig;
  readonly logger: Logger;
}

/**
 * In every loader, checks running jobs for what the path of a batch itself cannot see:
 *
 * - JW1: too much of what was loaded lately is refused: the job is paused (breaker).
 * - JW2: batches will never come: the job says so and names them.
 * - JW3: a stage has unhandled messages and makes no progress: the job shows that it waits, and for which consumer group,
 *   until the stage progresses.
 * - JW4: a job that cannot be checked (its topic is missing) does not end the check of the others.
 *
 * Several loaders may see the same at once; the first one writes it, by compare-and-set.
 */
export class JobWatch {
  private readonly loop: BackgroundLoop;
  private readonly waits: StageWaits;
  private readonly missing: MissingBatches;

  constructor(private readonly parts: JobWatchParts) {
    const { pool, kafka, config, logger } = parts;
    this.loop = new BackgroundLoop({
      duty: 'watch jobs',
      turn: () => this.look(),
      pauseMs: () => config.watchIntervalMs,
      logger,
    });
    this.missing = new MissingBatches(pool, kafka);
    this.waits = new StageWaits(pool, kafka, config.missingAfterSeconds * 1_000);
  }

  start(): void {
    this.loop.start();
  }

  async stop(): Promise<void> {
    await this.loop.stop();
  }

  private async look(): Promise<void> {
    const { pool, datasets, config, logger } = this.parts;
    const names = [...datasets.keys()];
    if (!(await this.isAnyRunning(names))) {
      this.missing.keepOnly([]);
      return;
    }
    for (const job of await this.judgedJobs()) {
      const detail = judge(job, await readWindow(pool, job));
      if (detail !== null && (await pauseLoading(pool, job.id, 'breaker', detail)))
        logger.error(
          { job: job.id, dataset: job.dataset, reasons: detail.reasons },
          `paused: ${detail.message}`,
        );
    }
    const idle = await findIdle(pool, names, config.missingAfterSeconds);
    await this.waits.clearOthers(names, idle);
    for (const job of idle) await this.survives(job, () => this.waits.declareFor(job));
    const waiting = await findWaiting(pool, names, config.missingAfterSeconds);
    this.missing.keepOnly(waiting);
    for (const job of waiting) {
      await this.survives(job, async () => {
        const problem = await this.missing.of(job);
        if (problem === null) return;
        if (await declareProblem(pool, job.id, problem))
          logger.error({ job: job.id, dataset: job.dataset, code: problem.code }, problem.message);
      });
    }
  }

  /** JW4. */
  private async survives(
    job: { readonly id: string; readonly dataset: string },
    look: () => Promise<void>,
  ): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.parts.logger.warn({ job: job.id, dataset: job.dataset, err: error }, 'cannot check a job now');
    }
  }

  /** An idle system is asked one question a turn. */
  private async isAnyRunning(names: readonly string[]): Promise<boolean> {
    const { rowCount } = await this.parts.pool.query(
      `SELECT FROM sluice.job WHERE state = 'running' AND dataset = ANY($1) LIMIT 1`,
      [names],
    );
    return rowCount === 1;
  }

  private async judgedJobs(): Promise<JudgedJob[]> {
    const { pool, datasets } = this.parts;
    const { rows } = await pool.query<JudgedRow>(
      `SELECT id, dataset, breaker, options, judged_batches AS judged FROM sluice.job
       WHERE state = 'running' AND breaker IS NOT NULL AND dataset = ANY($1)`,
      [[...datasets.keys()]],
    );
    return rows.map(({ judged, options, ...job }) => ({
      ...job,
      judgedBatches: judged,
      warningCodes: [...(datasets.get(job.dataset)?.warningCodes(options) ?? [])],
    }));
  }
}

interface JudgedRow extends Pick<JudgedJob, 'id' | 'dataset' | 'breaker'> {
  readonly options: OptionValues;
  readonly judged: string;
}
