import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import type { RawBatch } from '#core/record/raw-batch.js';

/** What the ingestor counts; by dataset, never by job. */
@Injectable()
export class IngestorMetrics {
  private readonly records: Counter<'dataset'>;
  private readonly bytes: Counter<'dataset'>;

  constructor(registry: Registry) {
    this.records = new Counter({
      name: 'sluice_published_records_total',
      help: 'Records in raw batches that the brokers have acknowledged',
      labelNames: ['dataset'],
      registers: [registry],
    });
    this.bytes = new Counter({
      name: 'sluice_published_bytes_total',
      help: 'Bytes of the source that those batches cover, uncompressed',
      labelNames: ['dataset'],
      registers: [registry],
    });
  }

  published(dataset: string, { records, byteStart, byteEnd }: RawBatch): void {
    this.records.inc({ dataset }, records);
    this.bytes.inc({ dataset }, byteEnd - byteStart);
  }
}
