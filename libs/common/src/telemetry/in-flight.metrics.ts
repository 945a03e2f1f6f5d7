import type { Gauge, Registry } from 'prom-client';
import { gauge } from './metrics.js';

/** Batches that a stage has in hand, and what they hold in memory. */
export class InFlightMetrics {
  private readonly batches: Gauge;
  private readonly bytes: Gauge;

  constructor(registry: Registry) {
    this.batches = gauge(registry, 'sluice_in_flight_batches');
    this.bytes = gauge(registry, 'sluice_in_flight_bytes');
  }

  /** Takes batches in hand. @returns to be called once, when they are passed on or given up */
  begin(batches: number, bytes: number): () => void {
    this.batches.inc(batches);
    this.bytes.inc(bytes);
    return () => {
      this.batches.dec(batches);
      this.bytes.dec(bytes);
    };
  }
}
