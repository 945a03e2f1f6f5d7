import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';

/** What the ingestor counts of replays. */
@Injectable()
export class ReplayMetrics {
  private readonly openReplays: Gauge;
  private readonly begun: Counter;

  constructor(registry: Registry) {
    this.openReplays = new Gauge({
      name: 'sluice_replays_open',
      help: 'Replays that have not ended',
      registers: [registry],
    });
    this.begun = new Counter({
      name: 'sluice_replay_jobs_total',
      help: 'Jobs of replays that this ingestor has begun',
      registers: [registry],
    });
  }

  open(replays: number): void {
    this.openReplays.set(replays);
  }

  began(): void {
    this.begun.inc();
  }
}
