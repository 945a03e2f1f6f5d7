import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { counter } from '#common/telemetry/metrics.js';

/** What resubmissions do; by dataset. */
@Injectable()
export class RepairMetrics {
  private readonly records: Counter<'dataset'>;

  constructor(registry: Registry) {
    this.records = counter(registry, 'sluice_resubmitted_records_total');
  }

  resubmitted(dataset: string, records: number): void {
    this.records.inc({ dataset }, records);
  }
}
