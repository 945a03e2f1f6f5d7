import { Injectable } from '@nestjs/common';
import { type Counter, type Gauge, Registry } from 'prom-client';
import { counter, gauge } from '#common/telemetry/metrics.js';

/** What the ingestor counts of replays. */
@Injectable()
export class ReplayMetrics {
  private readonly openReplays: Gauge;
  private readonly begun: Counter;

  constructor(registry: Registry) {
    this.openReplays = gauge(registry, 'sluice_replays_open');
    this.begun = counter(registry, 'sluice_replay_jobs_total');
  }

  open(replays: number): void {
    this.openReplays.set(replays);
  }

  began(): void {
    this.begun.inc();
  }
}
