import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { type Counter, type Gauge, Registry } from 'prom-client';
import { counter, gauge } from '#common/telemetry/metrics.js';
import { DataSource } from 'typeorm';
import { LOGGER } from '#common/providers/tokens.js';
import type { BatchEvent } from '#core/message/status-event.js';
import type { JobFact } from './fold-stages.js';
import { MetricLabels } from './metric-labels.js';
import type { StorableDeadLetter } from './storable-dead-letter.js';

/**
 * What the tracker reports to Prometheus, by dataset and never by job. Counters rise with facts that were new
 * to the read model, so a repeated delivery counts nothing twice, in any number of trackers. Labels are names that are
 * registered, or `other`.
 */
@Injectable()
export class TrackerMetrics {
  private readonly records: Counter<'dataset' | 'stage'>;
  private readonly refused: Counter<'dataset' | 'code'>;
  private readonly lag: Gauge<'dataset'>;

  constructor(
    registry: Registry,
    private readonly database: DataSource,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly labels: MetricLabels,
  ) {
    this.records = counter(registry, 'sluice_records_total');
    this.refused = counter(registry, 'sluice_refused_records_total');
    this.lag = gauge(registry, 'sluice_tracker_lag_seconds');
    gauge(registry, 'sluice_jobs', (jobs) => this.countJobs(jobs));
  }

  /** @param newEvents those that were not known before */
  folded(events: readonly JobFact[], newEvents: readonly BatchEvent[]): void {
    for (const { dataset, stage, records } of newEvents)
      this.records.inc({ dataset: this.labels.dataset(dataset), stage }, records);
    const newest = new Map<string, number>();
    for (const { dataset: name, at } of events) {
      const dataset = this.labels.dataset(name);
      newest.set(dataset, Math.max(newest.get(dataset) ?? 0, Date.parse(at)));
    }
    for (const [dataset, at] of newest) this.lag.set({ dataset }, Math.max(0, Date.now() - at) / 1000);
  }

  indexed(newLetters: readonly StorableDeadLetter[]): void {
    for (const { dataset: name, codes } of newLetters) {
      const dataset = this.labels.dataset(name);
      for (const code of codes) this.refused.inc({ dataset, code: this.labels.code(name, code) });
    }
  }

  /** While the database is unavailable this one metric is left out, not all of them. */
  private async countJobs(gauge: Gauge<'dataset' | 'state'>): Promise<void> {
    gauge.reset();
    try {
      const rows = await this.database.query<{ dataset: string; state: string; jobs: number }[]>(
        'SELECT dataset, state, count(*)::integer AS jobs FROM sluice.job GROUP BY dataset, state',
      );
      for (const { dataset, state, jobs } of rows) gauge.set({ dataset, state }, jobs);
    } catch (error) {
      this.logger.warn({ err: error }, 'jobs cannot be counted for the metrics');
    }
  }
}
