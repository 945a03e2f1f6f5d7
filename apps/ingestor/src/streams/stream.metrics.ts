import { Injectable } from '@nestjs/common';
import { type Counter, type Gauge, type Histogram, Registry } from 'prom-client';
import { counter, gauge, histogram } from '#common/telemetry/metrics.js';
import { STREAM_STATES, type StreamState } from '#api/stream-words.js';

/** What the streams do; by dataset. Lag is exported by the ingestor that holds the stream. */
@Injectable()
export class StreamMetrics {
  private readonly records: Counter<'dataset'>;
  private readonly jobs: Counter<'dataset' | 'closed_by'>;
  private readonly lagRecords: Gauge<'dataset'>;
  private readonly lagSeconds: Gauge<'dataset'>;
  private readonly latency: Histogram<'dataset'>;
  private readonly state: Gauge<'dataset' | 'state'>;

  constructor(registry: Registry) {
    this.records = counter(registry, 'sluice_stream_records_total');
    this.jobs = counter(registry, 'sluice_stream_jobs_total');
    this.lagRecords = gauge(registry, 'sluice_stream_lag_records');
    this.lagSeconds = gauge(registry, 'sluice_stream_lag_seconds');
    this.latency = histogram(registry, 'sluice_stream_latency_seconds');
    this.state = gauge(registry, 'sluice_stream_state');
  }

  taken(dataset: string, records: number, closedBy: string): void {
    this.records.inc({ dataset }, records);
    this.jobs.inc({ dataset, closed_by: closedBy });
  }

  lag(dataset: string, records: number, seconds: number): void {
    this.lagRecords.set({ dataset }, records);
    this.lagSeconds.set({ dataset }, seconds);
  }

  /** A job has become visible. @param seconds since its oldest message; below 0 where clocks differ, and then 0 */
  visible(dataset: string, seconds: number): void {
    this.latency.observe({ dataset }, Math.max(0, seconds));
  }

  /** Another ingestor holds the stream now, or none. */
  forgetLag(dataset: string): void {
    this.lagRecords.remove({ dataset });
    this.lagSeconds.remove({ dataset });
  }

  states(streams: readonly { readonly dataset: string; readonly state: StreamState }[]): void {
    this.state.reset();
    for (const { dataset, state } of streams)
      for (const one of STREAM_STATES) this.state.set({ dataset, state: one }, one === state ? 1 : 0);
  }
}
