import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';
import { STREAM_STATES, type StreamState } from '#api/stream-words.js';

/** What the streams do; by dataset. Lag is exported by the ingestor that holds the stream. */
@Injectable()
export class StreamMetrics {
  private readonly records: Counter<'dataset'>;
  private readonly jobs: Counter<'dataset' | 'closed_by'>;
  private readonly lagRecords: Gauge<'dataset'>;
  private readonly lagSeconds: Gauge<'dataset'>;
  private readonly state: Gauge<'dataset' | 'state'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.records = new Counter({
      name: 'sluice_stream_records_total',
      help: 'Messages of the inbox that became part of a job',
      labelNames: ['dataset'],
      registers,
    });
    this.jobs = new Counter({
      name: 'sluice_stream_jobs_total',
      help: 'Jobs of the stream, by the bound that closed their range: records, bytes or time',
      labelNames: ['dataset', 'closed_by'],
      registers,
    });
    this.lagRecords = new Gauge({
      name: 'sluice_stream_lag_records',
      help: 'Messages of the inbox that are in no job yet',
      labelNames: ['dataset'],
      registers,
    });
    this.lagSeconds = new Gauge({
      name: 'sluice_stream_lag_seconds',
      help: 'Age of the oldest message that is not visible yet, in seconds',
      labelNames: ['dataset'],
      registers,
    });
    this.state = new Gauge({
      name: 'sluice_stream_state',
      help: '1 for the state that the stream is in, else 0',
      labelNames: ['dataset', 'state'],
      registers,
    });
  }

  taken(dataset: string, records: number, closedBy: string): void {
    this.records.inc({ dataset }, records);
    this.jobs.inc({ dataset, closed_by: closedBy });
  }

  lag(dataset: string, records: number, seconds: number): void {
    this.lagRecords.set({ dataset }, records);
    this.lagSeconds.set({ dataset }, seconds);
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
