import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import type { JobCounts } from '#api/job-facts.js';
import type { CleanMessage } from '#core/message/clean-message.js';

const OUTCOMES = ['inserted', 'updated', 'unchanged', 'deleted', 'superseded'] as const;

/** What the loader counts; by dataset, never by job. */
@Injectable()
export class LoaderMetrics {
  private readonly rows: Counter<'dataset' | 'table'>;
  private readonly batches: Counter<'dataset' | 'outcome'>;
  private readonly merged: Counter<'dataset' | 'outcome'>;
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
    this.merged = new Counter({
      name: 'sluice_merged_records_total',
      help: 'Records of visible merges, by what became of them: inserted, updated, unchanged, deleted, superseded',
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

  mergedRecords(dataset: string, counts: JobCounts): void {
    for (const outcome of OUTCOMES) this.merged.inc({ dataset, outcome }, counts[outcome]);
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

  dropped(dataset: string, batches: number): void {
    this.batches.inc({ dataset, outcome: 'dropped' }, batches);
  }
}
