import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { counter } from '#common/telemetry/metrics.js';
import type { BatchVerdict } from '#core/record/verdict.js';

/** What the validator counts; by dataset, never by job. */
@Injectable()
export class ValidatorMetrics {
  private readonly records: Counter<'dataset' | 'verdict'>;
  private readonly findings: Counter<'dataset' | 'code'>;

  constructor(registry: Registry) {
    this.records = counter(registry, 'sluice_validated_records_total');
    this.findings = counter(registry, 'sluice_findings_total');
  }

  judged(dataset: string, { counts, findings }: BatchVerdict): void {
    this.records.inc({ dataset, verdict: 'accepted' }, counts.accepted);
    this.records.inc({ dataset, verdict: 'refused' }, counts.refused);
    this.records.inc({ dataset, verdict: 'skipped' }, counts.skipped);
    for (const [code, count] of Object.entries(findings)) this.findings.inc({ dataset, code }, count);
  }
}
