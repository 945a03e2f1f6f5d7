import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { IsBoolean, IsInt, IsOptional, Max, Min } from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import type { JobCounts } from '#api/job-facts.js';
import { JOB_STATES, type JobState } from '#api/job-words.js';
import {
  STREAM_PAUSE_REASONS,
  STREAM_STATES,
  STREAM_WAIT_CODES,
  type StreamPauseReason,
  type StreamState,
  type StreamWaitCode,
} from '#api/stream-words.js';
import type {
  LostOffsets,
  StreamAccepted,
  StreamJob,
  StreamPartition,
  StreamPauseDetail,
  StreamResumeRequest,
  StreamSettings,
  StreamStartRequest,
  StreamView,
  StreamWait,
} from '#api/streams.js';

/** What a job of a stream may hold at most: its messages are in memory until they are published. */
const MAX_RANGE_RECORDS = 1_000_000;
const MAX_RANGE_BYTES = 16 * 1024 * 1024;
const MAX_RANGE_MS = 10 * 60 * 1_000;

/** Body of `POST /streams/:dataset/start`. */
export class StreamStartRequestDto implements StreamStartRequest {
  @ApiPropertyOptional({
    ...{ type: 'integer', minimum: 1, maximum: MAX_RANGE_RECORDS },
    description: 'A range of messages becomes a job when it has this number of records; 20,000 at first',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_RANGE_RECORDS)
  maxRecords?: number;

  @ApiPropertyOptional({
    ...{ type: 'integer', minimum: 1, maximum: MAX_RANGE_BYTES },
    description: 'or when its keys, values and headers have this number of bytes; 4 MiB at first',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_RANGE_BYTES)
  maxBytes?: number;

  @ApiPropertyOptional({
    ...{ type: 'integer', minimum: 1, maximum: MAX_RANGE_MS },
    description: 'or this number of milliseconds after its first message has come; 1,000 at first',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_RANGE_MS)
  maxMs?: number;
}

/** Body of `POST /streams/:dataset/resume`. */
export class StreamResumeRequestDto implements StreamResumeRequest {
  @ApiPropertyOptional({ description: 'Continue behind messages that are gone from the inbox' })
  @IsOptional()
  @IsBoolean()
  skipLost?: boolean;
}

/** The stream and the state that it has now. */
export class StreamAcceptedDto implements StreamAccepted {
  @ApiProperty()
  dataset!: string;

  @ApiProperty({ enum: STREAM_STATES })
  state!: StreamState;
}

class StreamSettingsDto implements StreamSettings {
  @ApiProperty()
  maxRecords!: number;

  @ApiProperty()
  maxBytes!: number;

  @ApiProperty()
  maxMs!: number;
}

class LostOffsetsDto implements LostOffsets {
  @ApiProperty()
  partition!: number;

  @ApiProperty()
  from!: number;

  @ApiProperty({ description: 'Exclusive' })
  to!: number;
}

class FindingCountDto {
  @ApiProperty()
  code!: string;

  @ApiProperty()
  count!: number;
}

class StreamPauseDetailDto implements StreamPauseDetail {
  @ApiProperty({ description: 'A code of docs/errors.md' })
  code!: string;

  @ApiProperty()
  message!: string;

  @ApiProperty({ description: 'What to do' })
  action!: string;

  @ApiPropertyOptional({ type: [FindingCountDto], description: 'The most frequent findings' })
  reasons?: FindingCountDto[];

  @ApiPropertyOptional({ description: 'Reason `job`: which' })
  job?: string;

  @ApiPropertyOptional({ type: [LostOffsetsDto], description: 'Reason `inbox`: what is gone' })
  lost?: LostOffsetsDto[];
}

class StreamWaitDto implements StreamWait {
  @ApiProperty({ enum: Object.keys(STREAM_WAIT_CODES) })
  code!: StreamWaitCode;

  @ApiProperty()
  message!: string;

  @ApiProperty({ format: 'date-time' })
  since!: string;
}

class StreamPartitionDto implements StreamPartition {
  @ApiProperty()
  partition!: number;

  @ApiProperty({ type: Number, nullable: true, description: 'The next offset that becomes part of a job' })
  position!: number | null;

  @ApiProperty({ type: Number, nullable: true, description: 'The first offset of the inbox' })
  low!: number | null;

  @ApiProperty({ type: Number, nullable: true, description: 'Behind the last offset of the inbox' })
  high!: number | null;
}

class StreamJobDto implements StreamJob {
  @ApiProperty()
  id!: string;

  @ApiProperty({ enum: JOB_STATES })
  state!: JobState;

  @ApiProperty({ format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: String, nullable: true, format: 'date-time' })
  finishedAt!: string | null;

  @ApiProperty({
    type: 'object',
    nullable: true,
    additionalProperties: { type: 'number' },
    description: 'As `counts` of the tracker’s `/jobs/:id`; null until the job has ended',
  })
  counts!: JobCounts | null;
}

/** Answer of `GET /streams/:dataset`. */
export class StreamViewDto implements StreamView {
  @ApiProperty()
  dataset!: string;

  @ApiProperty({ description: 'The inbox' })
  topic!: string;

  @ApiProperty({ enum: STREAM_STATES })
  state!: StreamState;

  @ApiProperty({ enum: STREAM_PAUSE_REASONS, nullable: true })
  reason!: StreamPauseReason | null;

  @ApiProperty({ type: StreamPauseDetailDto, nullable: true })
  detail!: StreamPauseDetailDto | null;

  @ApiProperty({
    type: StreamWaitDto,
    nullable: true,
    description: 'What a running stream waits for; it ends by itself',
  })
  wait!: StreamWaitDto | null;

  @ApiProperty({ type: String, nullable: true, format: 'date-time' })
  since!: string | null;

  @ApiProperty()
  settings!: StreamSettingsDto;

  @ApiProperty({ description: 'An ingestor holds the stream at the moment' })
  attended!: boolean;

  @ApiProperty({ type: [StreamPartitionDto] })
  partitions!: StreamPartitionDto[];

  @ApiProperty({
    type: Number,
    nullable: true,
    description: 'Messages that are in no job yet; null while Kafka does not answer',
  })
  lagRecords!: number | null;

  @ApiProperty({
    type: Number,
    nullable: true,
    description: 'Age of the oldest message that is not visible yet; null when it is not known',
  })
  lagSeconds!: number | null;

  @ApiProperty({ description: 'Of the jobs that succeeded in the last minute' })
  recordsPerSecond!: number;

  @ApiProperty({ description: 'Since the stream was created' })
  jobs!: number;

  @ApiProperty({ description: 'Since the stream was created' })
  records!: number;

  @ApiProperty()
  jobsInFlight!: number;

  @ApiProperty({ type: StreamJobDto, nullable: true })
  lastJob!: StreamJobDto | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'number' },
    description: 'Finding code → how often, in the jobs of the last hour',
  })
  findings!: Readonly<Record<string, number>>;
}

export type Checked = AllAgree<
  [
    Agree<StreamStartRequestDto, StreamStartRequest>,
    Agree<StreamResumeRequestDto, StreamResumeRequest>,
    Agree<StreamAcceptedDto, StreamAccepted>,
    Agree<StreamViewDto, StreamView>,
  ]
>;
