import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { ConnectionConfig } from '#common/config/connection.config.js';
import { type CrossChecked, Variable } from '#common/config/environment.js';
import { DEFAULT_LEASE_SECONDS } from '#core/job/job.repository.js';
import { MAX_MESSAGE_BYTES } from '#core/message/topics.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';

/** Settings of the ingestor; those of its sources stand in `sources/source.config.ts` and in the kinds' folders. */
export class IngestorConfig extends ConnectionConfig implements CrossChecked {
  @Variable('SLUICE_PORT', 'Port of the HTTP API')
  @IsInt()
  @Min(0)
  @Max(65_535)
  port: number = 3001;

  @Variable('SLUICE_BATCH_BYTES', 'A raw batch ends with the record that brings it to this size')
  @IsInt()
  @Min(1024)
  @Max(4 * 1024 * 1024)
  maxBatchBytes: number = DEFAULT_CUTTING.maxBatchBytes;

  @Variable('SLUICE_BATCH_RECORDS', 'A raw batch has at most this number of records')
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  maxBatchRecords: number = DEFAULT_CUTTING.maxBatchRecords;

  @Variable('SLUICE_RECORD_BYTES', 'A longer record is refused as RECORD_TOO_LARGE')
  @IsInt()
  @Min(1024)
  @Max(1024 * 1024)
  maxRecordBytes: number = DEFAULT_CUTTING.maxRecordBytes;

  @Variable('SLUICE_PUBLISHES_IN_FLIGHT', 'Raw batches that may wait for their acknowledgement at once')
  @IsInt()
  @Min(1)
  @Max(64)
  publishesInFlight: number = 4;

  @Variable('SLUICE_JOBS_AT_ONCE', 'Jobs that one ingestor reads side by side')
  @IsInt()
  @Min(1)
  @Max(32)
  jobsAtOnce: number = 2;

  @Variable(
    'SLUICE_LEASE_SECONDS',
    'Time without a sign of life after which another ingestor takes over a job',
  )
  @IsInt()
  @Min(3)
  @Max(600)
  leaseSeconds: number = DEFAULT_LEASE_SECONDS;

  @Variable(
    'SLUICE_STREAM_JOB_HOURS',
    "Rows of a stream's finished jobs are kept for this time, and then added up by the hour",
  )
  @IsInt()
  @Min(1)
  @Max(8760)
  streamJobHours: number = 48;

  override crossCheck(): readonly string[] {
    // A batch is at most one record over its bound, and grows when it becomes COPY text.
    const largest = this.maxBatchBytes + this.maxRecordBytes;
    const sizes =
      largest * 1.5 <= MAX_MESSAGE_BYTES
        ? []
        : [
            `SLUICE_BATCH_BYTES plus SLUICE_RECORD_BYTES must stay below ${Math.floor(MAX_MESSAGE_BYTES / 1.5)}`,
          ];
    return [...super.crossCheck(), ...sizes];
  }
}
