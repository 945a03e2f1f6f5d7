import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { counter } from '#common/telemetry/metrics.js';
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
    this.rows = counter(registry, 'sluice_staged_rows_total');
    this.batches = counter(registry, 'sluice_clean_batches_total');
    this.merged = counter(registry, 'sluice_merged_records_total');
    this.faults = counter(registry, 'sluice_job_faults_total');
    this.announceFailures = counter(registry, 'sluice_announce_failures_total');
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
