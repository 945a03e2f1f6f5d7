import { Injectable } from '@nestjs/common';
import { type Counter, type Gauge, type Histogram, Registry } from 'prom-client';
import { InFlightMetrics } from '#common/telemetry/in-flight.metrics.js';
import { LeaseMetrics } from '#common/telemetry/lease.metrics.js';
import { counter, gauge, histogram } from '#common/telemetry/metrics.js';
import type { JobCounts } from '#api/job-facts.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { JobState } from '#api/job-words.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import type { EndedJob } from './announce/announcer.js';
import type { FinalizeStep } from './finalize/finalizing-job.js';

const ENDS = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly JobState[];
const OUTCOMES = ['inserted', 'updated', 'unchanged', 'deleted', 'superseded'] as const;

/** How far a delivery has come. */
export interface GroupQueue {
  /** The next group is loaded now; the one before it is over. */
  readonly loads: (group: { readonly batches: readonly CleanMessage[] }) => void;
  /** All of it is over, or the rest is given up. */
  readonly ends: () => void;
}

/** What the loader counts; by dataset, never by job. */
@Injectable()
export class LoaderMetrics {
  readonly leases: LeaseMetrics;
  private readonly inFlight: InFlightMetrics;
  private readonly groups: Gauge<'state'>;
  private readonly rows: Counter<'dataset' | 'table'>;
  private readonly batches: Counter<'dataset' | 'outcome'>;
  private readonly merged: Counter<'dataset' | 'outcome'>;
  private readonly faults: Counter<'dataset'>;
  private readonly unbalancedJobs: Counter<'dataset'>;
  private readonly endedJobs: Counter<'dataset' | 'state'>;
  private readonly copySeconds: Histogram<'dataset'>;
  private readonly commitSeconds: Histogram<'dataset'>;
  private readonly stepSeconds: Histogram<'step'>;
  private readonly announceFailures: Counter;

  /** Counts of jobs begin at 0 for each of the datasets, so that the first one is an increase. */
  constructor(registry: Registry, datasets: DatasetRegistry) {
    this.leases = new LeaseMetrics(registry, ['finalization']);
    this.inFlight = new InFlightMetrics(registry);
    this.groups = gauge(registry, 'sluice_load_groups');
    for (const state of ['waiting', 'loading']) this.groups.set({ state }, 0);
    this.rows = counter(registry, 'sluice_staged_rows_total');
    this.batches = counter(registry, 'sluice_clean_batches_total');
    this.merged = counter(registry, 'sluice_merged_records_total');
    this.faults = counter(registry, 'sluice_job_faults_total');
    this.announceFailures = counter(registry, 'sluice_announce_failures_total');
    this.unbalancedJobs = counter(registry, 'sluice_balance_failures_total');
    this.endedJobs = counter(registry, 'sluice_jobs_ended_total');
    this.copySeconds = histogram(registry, 'sluice_copy_seconds');
    this.commitSeconds = histogram(registry, 'sluice_commit_seconds');
    this.stepSeconds = histogram(registry, 'sluice_finalize_step_seconds');
    for (const { name: dataset } of datasets.all()) {
      this.faults.inc({ dataset }, 0);
      this.unbalancedJobs.inc({ dataset }, 0);
      for (const state of ENDS) this.endedJobs.inc({ dataset, state }, 0);
    }
  }

  mergedRecords(dataset: string, counts: JobCounts): void {
    for (const outcome of OUTCOMES) this.merged.inc({ dataset, outcome }, counts[outcome]);
  }

  faulted(dataset: string): void {
    this.faults.inc({ dataset });
  }

  unbalanced(dataset: string): void {
    this.unbalancedJobs.inc({ dataset });
  }

  ended({ dataset, state }: Pick<EndedJob, 'dataset' | 'state'>): void {
    this.endedJobs.inc({ dataset, state });
  }

  copied(dataset: string, seconds: number): void {
    this.copySeconds.observe({ dataset }, seconds);
  }

  committed(dataset: string, seconds: number): void {
    this.commitSeconds.observe({ dataset }, seconds);
  }

  stepEnded(step: FinalizeStep, seconds: number): void {
    this.stepSeconds.observe({ step }, seconds);
  }

  /** Groups of one delivery, which are loaded one after the other. */
  queue(groups: number): GroupQueue {
    let waiting = groups;
    let loaded: (() => void) | undefined;
    this.groups.inc({ state: 'waiting' }, waiting);
    return {
      loads: ({ batches }) => {
        loaded?.();
        waiting -= 1;
        this.groups.dec({ state: 'waiting' });
        loaded = this.loading(batches);
      },
      ends: () => {
        loaded?.();
        this.groups.dec({ state: 'waiting' }, waiting);
      },
    };
  }

  private loading(batches: readonly CleanMessage[]): () => void {
    const bytes = batches.flatMap(({ sections }) => sections).reduce((sum, { text }) => sum + text.length, 0);
    const passed = this.inFlight.begin(batches.length, bytes);
    this.groups.inc({ state: 'loading' });
    return () => {
      this.groups.dec({ state: 'loading' });
      passed();
    };
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
