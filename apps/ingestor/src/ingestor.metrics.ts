import { Injectable } from '@nestjs/common';
import { type Counter, Registry } from 'prom-client';
import { counter } from '#common/telemetry/metrics.js';
import type { RawBatch } from '#core/record/raw-batch.js';

/** What the ingestor counts; by dataset, never by job. */
@Injectable()
export class IngestorMetrics {
  private readonly records: Counter<'dataset'>;
  private readonly bytes: Counter<'dataset'>;

  constructor(registry: Registry) {
    this.records = counter(registry, 'sluice_published_records_total');
    this.bytes = counter(registry, 'sluice_published_bytes_total');
  }

  published(dataset: string, { records, byteStart, byteEnd }: RawBatch): void {
    this.records.inc({ dataset }, records);
    this.bytes.inc({ dataset }, byteEnd - byteStart);
  }
}
