import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { counter } from '#common/telemetry/metrics.js';
import type { RepairActionKind } from '#api/dead-letters.js';
import { MetricLabels } from '../fold/metric-labels.js';

/** What people do about dead letters. */
@Injectable()
export class RepairMetrics {
  private readonly corrections: Counter<'dataset' | 'action'>;

  constructor(
    registry: Registry,
    private readonly labels: MetricLabels,
  ) {
    this.corrections = counter(registry, 'sluice_dead_letter_corrections_total');
  }

  corrected(action: RepairActionKind, letters: readonly { readonly dataset: string }[]): void {
    for (const { dataset } of letters)
      this.corrections.inc({ dataset: this.labels.dataset(dataset), action });
  }
}
