import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import type { TraceVerdict } from '#api/trace.js';

/** Traces that came to an answer, by dataset and answer; never by key. */
@Injectable()
export class TraceMetrics {
  private readonly traces: Counter<'dataset' | 'verdict'>;

  constructor(registry: Registry) {
    this.traces = new Counter({
      name: 'sluice_traces_total',
      help: 'Traces that came to an answer',
      labelNames: ['dataset', 'verdict'],
      registers: [registry],
    });
  }

  /** @param dataset a registered one */
  traced(dataset: string, verdict: TraceVerdict): void {
    this.traces.inc({ dataset, verdict });
  }
}
