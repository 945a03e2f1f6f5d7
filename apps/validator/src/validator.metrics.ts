import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { InFlightMetrics } from '#common/telemetry/in-flight.metrics.js';
import { counter, gauge } from '#common/telemetry/metrics.js';
import { categoryOfGeneral } from '#core/finding/finding-category.js';
import { findingCategories } from '#core/record/finding-codes.js';
import type { BatchVerdict } from '#core/record/verdict.js';
import { DatasetRegistry } from '#core/registry/registry.js';
import type { InFlightLimit } from './in-flight-limit.js';

/** What the validator counts; by dataset, never by job. */
@Injectable()
export class ValidatorMetrics {
  readonly inFlight: InFlightMetrics;
  private readonly records: Counter<'dataset' | 'verdict'>;
  private readonly findings: Counter<'dataset' | 'code' | 'category'>;
  private readonly batches: Counter<'dataset' | 'outcome'>;
  private readonly bytes: Counter<'dataset' | 'outcome'>;

  constructor(
    private readonly registry: Registry,
    private readonly datasets: DatasetRegistry,
  ) {
    this.inFlight = new InFlightMetrics(registry);
    this.records = counter(registry, 'sluice_validated_records_total');
    this.findings = counter(registry, 'sluice_findings_total');
    this.batches = counter(registry, 'sluice_validated_batches_total');
    this.bytes = counter(registry, 'sluice_validated_bytes_total');
  }

  /** Shows a limit: what it allows, and who waits for it. */
  shows(limit: InFlightLimit): void {
    gauge(this.registry, 'sluice_in_flight_limit_bytes').set(limit.maxBytes);
    gauge(this.registry, 'sluice_waiting_deliveries', (waiting) => {
      waiting.set(limit.waitingCount);
    });
  }

  judged(dataset: string, bytes: number, { counts, findings }: BatchVerdict): void {
    this.taken(dataset, bytes, 'validated');
    this.records.inc({ dataset, verdict: 'accepted' }, counts.accepted);
    this.records.inc({ dataset, verdict: 'refused' }, counts.refused);
    this.records.inc({ dataset, verdict: 'skipped' }, counts.skipped);
    const categories = findingCategories(this.datasets.get(dataset));
    for (const [code, count] of Object.entries(findings)) {
      // A code about a header is no record's.
      const category = categories.get(code) ?? categoryOfGeneral(code) ?? 'structure';
      this.findings.inc({ dataset, code, category }, count);
    }
  }

  /** A batch cannot be validated, and goes to the loader with what is wrong. */
  faulted(dataset: string, bytes: number): void {
    this.taken(dataset, bytes, 'fault');
  }

  private taken(dataset: string, bytes: number, outcome: 'validated' | 'fault'): void {
    this.batches.inc({ dataset, outcome });
    this.bytes.inc({ dataset, outcome }, bytes);
  }
}
