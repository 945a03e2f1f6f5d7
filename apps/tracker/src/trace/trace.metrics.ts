import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { counter } from '#common/telemetry/metrics.js';
import type { TraceVerdict } from '#api/trace.js';

/** Traces that came to an answer, by dataset and answer; never by key. */
@Injectable()
export class TraceMetrics {
  private readonly traces: Counter<'dataset' | 'verdict'>;

  constructor(registry: Registry) {
    this.traces = counter(registry, 'sluice_traces_total');
  }

  /** @param dataset a registered one */
  traced(dataset: string, verdict: TraceVerdict): void {
    this.traces.inc({ dataset, verdict });
  }
}
