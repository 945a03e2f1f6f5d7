import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import type { BatchVerdict } from '#core/record/verdict.js';

/** What the validator counts; by dataset, never by job. */
@Injectable()
export class ValidatorMetrics {
  private readonly records: Counter<'dataset' | 'verdict'>;
  private readonly findings: Counter<'dataset' | 'code'>;

  constructor(registry: Registry) {
    this.records = new Counter({
      name: 'sluice_validated_records_total',
      help: 'Records judged, by verdict. Repeats after a restart count again.',
      labelNames: ['dataset', 'verdict'],
      registers: [registry],
    });
    this.findings = new Counter({
      name: 'sluice_findings_total',
      help: 'Findings given, errors and warnings, by code',
      labelNames: ['dataset', 'code'],
      registers: [registry],
    });
  }

  judged(dataset: string, { counts, findings }: BatchVerdict): void {
    this.records.inc({ dataset, verdict: 'accepted' }, counts.accepted);
    this.records.inc({ dataset, verdict: 'refused' }, counts.refused);
    this.records.inc({ dataset, verdict: 'skipped' }, counts.skipped);
    for (const [code, count] of Object.entries(findings)) this.findings.inc({ dataset, code }, count);
  }
}
