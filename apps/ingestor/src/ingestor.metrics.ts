import { Injectable } from '@nestjs/common';
import { type Counter, type Gauge, Registry } from 'prom-client';
import type { ErrorCode } from '#common/errors/error-codes.js';
import { InFlightMetrics } from '#common/telemetry/in-flight.metrics.js';
import { LeaseMetrics } from '#common/telemetry/lease.metrics.js';
import { counter, gauge } from '#common/telemetry/metrics.js';
import type { RawBatch } from '#core/record/raw-batch.js';

/** What another request may overcome. */
const PASSING = [
  'SOURCE_TRUNCATED',
  'SOURCE_STALLED',
  'SOURCE_UNREACHABLE',
  'SOURCE_SERVER_ERROR',
] as const satisfies readonly ErrorCode[];

/** What the ingestor counts; by dataset, never by job. */
@Injectable()
export class IngestorMetrics {
  readonly inFlight: InFlightMetrics;
  readonly leases: LeaseMetrics;
  private readonly records: Counter<'dataset'>;
  private readonly bytes: Counter<'dataset'>;
  private readonly batches: Counter<'dataset'>;
  private readonly jobs: Gauge;
  private readonly retries: Counter<'reason'>;

  constructor(registry: Registry) {
    this.inFlight = new InFlightMetrics(registry);
    this.leases = new LeaseMetrics(registry, ['job', 'stream']);
    this.records = counter(registry, 'sluice_published_records_total');
    this.bytes = counter(registry, 'sluice_published_bytes_total');
    this.batches = counter(registry, 'sluice_published_batches_total');
    this.jobs = gauge(registry, 'sluice_ingesting_jobs');
    this.retries = counter(registry, 'sluice_source_retries_total');
    // From 0 on, so that the first one is an increase.
    for (const reason of PASSING) this.retries.inc({ reason }, 0);
  }

  published(dataset: string, { records, byteStart, byteEnd }: RawBatch): void {
    this.batches.inc({ dataset });
    this.records.inc({ dataset }, records);
    this.bytes.inc({ dataset }, byteEnd - byteStart);
  }

  /** A job is read until the returned function is called. */
  reading(): () => void {
    this.jobs.inc();
    return () => {
      this.jobs.dec();
    };
  }

  /** A source is asked once more. @param reason the code that the job fails with when that never helps */
  sourceRetried(reason: ErrorCode): void {
    this.retries.inc({ reason });
  }
}
