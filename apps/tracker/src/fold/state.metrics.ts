import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { type Gauge, Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { JOB_STATES, type JobState, WAIT_CODES, type WaitCode, type WaitStage } from '#api/job-words.js';
import { LOGGER } from '#common/providers/tokens.js';
import { gauge } from '#common/telemetry/metrics.js';
import { createdAtMs } from '#core/job/job-age.js';
import { isWaitOf } from '#core/job/job-wait.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import { MetricLabels } from './metric-labels.js';

/** How long a sample answers scrapes: two Prometheus servers and a person with curl cost one look. */
const SAMPLE_MS = 10_000;

/** Jobs of one dataset in one state that wait for the same. */
interface Wait {
  readonly dataset: string;
  readonly state: JobState;
  /** Null for queued jobs that say nothing. */
  readonly stage: WaitStage | null;
  readonly code: WaitCode | null;
  readonly jobs: number;
  /** Of the oldest, in seconds since 1970. */
  readonly since: number;
}

interface Sample {
  /** `endedAt`: the newest end, in seconds since 1970; null while none has ended. */
  readonly jobs: readonly {
    dataset: string;
    state: string;
    reason: string | null;
    jobs: number;
    endedAt: number | null;
  }[];
  readonly waits: readonly Wait[];
  readonly openDeadLetters: readonly { dataset: string; open: number }[];
  readonly oldestOpenJob: string | null;
  readonly parked: number;
}

/**
 * What the database says at the moment of a scrape: states, and ages that continue while nothing happens.
 *
 * - SM1: While the database is unavailable these series are left out, and no other metric is.
 * - SM2: The database is asked at most once in {@link SAMPLE_MS}, however often the metrics are read.
 * - SM3: Every registered dataset has a series for every state from the start on, so that a first failure is a rise.
 */
@Injectable()
export class StateMetrics {
  private sampled: { readonly atMs: number; readonly sample: Promise<Sample | null> } | undefined;

  constructor(
    registry: Registry,
    private readonly database: DataSource,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly labels: MetricLabels,
    private readonly datasets: DatasetRegistry,
  ) {
    gauge(registry, 'sluice_jobs', (jobs) =>
      this.refill(jobs, (sample) => {
        this.setJobs(jobs, sample);
      }),
    );
    gauge(registry, 'sluice_paused_jobs', (paused) =>
      this.refill(paused, ({ jobs }) => {
        for (const { reason, jobs: count } of jobs) if (reason !== null) paused.inc({ reason }, count);
      }),
    );
    gauge(registry, 'sluice_waiting_jobs', (waiting) =>
      this.refill(waiting, ({ waits }) => {
        for (const reason of Object.keys(WAIT_CODES)) waiting.set({ reason }, 0);
        for (const { code, jobs } of waits) if (code !== null) waiting.inc({ reason: code }, jobs);
      }),
    );
    gauge(registry, 'sluice_oldest_waiting_job_seconds', (age) =>
      this.refill(age, ({ waits }) => {
        const oldest = new Map(this.names().map((dataset) => [dataset, Infinity]));
        for (const { dataset: name, since } of waits) {
          const dataset = labels.dataset(name);
          oldest.set(dataset, Math.min(since, oldest.get(dataset) ?? Infinity));
        }
        for (const [dataset, since] of oldest) age.set({ dataset }, Math.max(0, Date.now() / 1_000 - since));
      }),
    );
    gauge(registry, 'sluice_last_success_timestamp_seconds', (success) =>
      this.refill(success, ({ jobs }) => {
        for (const { dataset, state, endedAt } of jobs)
          if (state === 'succeeded' && endedAt !== null)
            success.set({ dataset: labels.dataset(dataset) }, endedAt);
      }),
    );
    gauge(registry, 'sluice_open_dead_letters', (letters) =>
      this.refill(letters, ({ openDeadLetters }) => {
        for (const dataset of this.names()) letters.set({ dataset }, 0);
        for (const { dataset, open } of openDeadLetters)
          letters.inc({ dataset: labels.dataset(dataset) }, open);
      }),
    );
    gauge(registry, 'sluice_oldest_open_dead_letter_seconds', (age) =>
      this.refill(age, ({ oldestOpenJob }) => {
        age.set(oldestOpenJob === null ? 0 : Math.max(0, Date.now() - createdAtMs(oldestOpenJob)) / 1000);
      }),
    );
    gauge(registry, 'sluice_parked_messages', (parked) =>
      this.refill(parked, (sample) => {
        parked.set(sample.parked);
      }),
    );
  }

  private async refill<L extends string>(gauge: Gauge<L>, fill: (sample: Sample) => void): Promise<void> {
    const sample = await this.sample();
    // Without a wait from here on: two scrapes at once must not add up.
    gauge.reset();
    // A gauge without labels is 0 after a reset, which would be a statement.
    if (sample === null) gauge.remove({});
    else fill(sample);
  }

  private setJobs(gauge: Gauge<'dataset' | 'state'>, { jobs }: Sample): void {
    for (const dataset of this.names()) for (const state of JOB_STATES) gauge.set({ dataset, state }, 0);
    for (const { dataset, state, jobs: count } of jobs)
      gauge.inc({ dataset: this.labels.dataset(dataset), state }, count);
  }

  private names(): string[] {
    return this.datasets.all().map(({ name }) => name);
  }

  private sample(): Promise<Sample | null> {
    const now = performance.now();
    if (this.sampled === undefined || now - this.sampled.atMs >= SAMPLE_MS)
      this.sampled = { atMs: now, sample: this.ask() };
    return this.sampled.sample;
  }

  /** @returns null while the database is unavailable */
  private async ask(): Promise<Sample | null> {
    try {
      const jobs = await this.database.query<Sample['jobs'][number][]>(
        `SELECT dataset, state, pause_reason AS reason, count(*)::integer AS jobs,
           extract(epoch FROM max(finished_at))::float8 AS "endedAt"
         FROM sluice.job GROUP BY dataset, state, pause_reason`,
      );
      const waits = await this.database.query<Wait[]>(
        `SELECT dataset, state, wait->>'stage' AS stage, wait->>'code' AS code, count(*)::integer AS jobs,
           extract(epoch FROM min(coalesce((wait->>'since')::timestamptz, created_at)))::float8 AS since
         FROM sluice.job WHERE state = 'queued' OR wait IS NOT NULL GROUP BY 1, 2, 3, 4`,
      );
      const openDeadLetters = await this.database.query<Sample['openDeadLetters'][number][]>(
        `SELECT dataset, sum(open)::float8 AS open FROM sluice.dead_letter_group GROUP BY dataset`,
      );
      // The first of the index by state.
      const [oldest] = await this.database.query<{ job: string }[]>(
        `SELECT job FROM sluice.dead_letter WHERE state = 'open' ORDER BY job, record LIMIT 1`,
      );
      const [{ parked } = { parked: 0 }] = await this.database.query<{ parked: number }[]>(
        `SELECT count(*)::integer AS parked FROM sluice.parked_message`,
      );
      return {
        jobs,
        waits: waits.filter(({ state, stage }) => stage === null || isWaitOf(state, { stage })),
        openDeadLetters,
        oldestOpenJob: oldest?.job ?? null,
        parked,
      };
    } catch (error) {
      this.logger.warn({ err: error }, 'the database cannot be asked for the metrics');
      return null;
    }
  }
}
