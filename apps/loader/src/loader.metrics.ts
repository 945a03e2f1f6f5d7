import { Counter, type Registry } from 'prom-client';
import type { CleanMessage } from '#core/message/clean-message.js';
import type { BatchGroup } from './load/batch-group.js';

/** What the loader counts; by dataset, never by job. */
export class LoaderMetrics {
  private readonly rows: Counter<'dataset' | 'table'>;
  private readonly batches: Counter<'dataset' | 'outcome'>;
  private readonly faults: Counter<'dataset'>;
  private readonly announceFailures: Counter;

  constructor(registry: Registry) {
    this.rows = new Counter({
      name: 'sluice_staged_rows_total',
      help: 'Rows copied into staging tables',
      labelNames: ['dataset', 'table'],
      registers: [registry],
    });
    this.batches = new Counter({
      name: 'sluice_clean_batches_total',
      help: 'Clean batches taken: loaded into staging, or dropped because their job had ended',
      labelNames: ['dataset', 'outcome'],
      registers: [registry],
    });
    this.faults = new Counter({
      name: 'sluice_job_faults_total',
      help: 'Jobs paused because an error that is not known came again and again',
      labelNames: ['dataset'],
      registers: [registry],
    });
    this.announceFailures = new Counter({
      name: 'sluice_announce_failures_total',
      help: 'Attempts to announce the refusals or the end of a job that failed',
      registers: [registry],
    });
  }

  faulted(dataset: string): void {
    this.faults.inc({ dataset });
  }

  announceFailed(): void {
    this.announceFailures.inc();
  }

  loaded(dataset: string, batches: readonly CleanMessage[]): void {
    this.batches.inc({ dataset, outcome: 'loaded' }, batches.length);
    for (const { sections } of batches) {
      for (const { table, rows } of sections) this.rows.inc({ dataset, table }, rows);
    }
  }

  dropped({ dataset, batches }: BatchGroup): void {
    this.batches.inc({ dataset, outcome: 'dropped' }, batches.length);
  }
}
