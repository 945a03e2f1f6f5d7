import { Injectable } from '@nestjs/common';
import { type Counter, type Gauge, Registry } from 'prom-client';
import { counter, gauge } from '#common/telemetry/metrics.js';
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
    private readonly labels: MetricLabels,
  ) {
    this.records = counter(registry, 'sluice_records_total');
    this.refused = counter(registry, 'sluice_refused_records_total');
    this.lag = gauge(registry, 'sluice_tracker_lag_seconds');
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
}
