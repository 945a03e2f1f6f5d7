import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';

/** What resubmissions do; by dataset. */
@Injectable()
export class RepairMetrics {
  private readonly records: Counter<'dataset'>;

  constructor(registry: Registry) {
    this.records = new Counter({
      name: 'sluice_resubmitted_records_total',
      help: 'Dead letters that were sent again and have a repair job',
      labelNames: ['dataset'],
      registers: [registry],
    });
  }

  resubmitted(dataset: string, records: number): void {
    this.records.inc({ dataset }, records);
  }
}
