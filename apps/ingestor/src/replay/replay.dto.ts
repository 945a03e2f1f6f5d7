import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsBoolean,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsOptional,
  IsUUID,
  Matches,
  Max,
  Min,
  Validate,
  ValidateNested,
  type ValidationArguments,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import { JOB_STATES, type JobState } from '#api/job-words.js';
import type { Page } from '#api/pages.js';
import {
  LEFT_OUT_REASONS,
  type LeftOutReason,
  REPLAY_PARTS,
  REPLAY_STATES,
  type ReplayAccepted,
  type ReplayCounts,
  type ReplayCover,
  type ReplayDeleted,
  type ReplayJobView,
  type ReplayLeftOut,
  type ReplayOffsets,
  type ReplayPart,
  type ReplayRequest,
  type ReplaySelection,
  type ReplayState,
  type ReplayView,
  type ReplayWait,
} from '#api/replays.js';
import { IsText, MAX_TEXT_BYTES } from '#common/http/is-text.js';
import { WRITE_MODES, type WriteMode } from '#core/dataset/dataset.js';

const MAX_PARTITIONS = 10_000;
const MAX_OFFSET = 999_999_999_999_999;
const MAX_AT_ONCE = 16;
const MAX_ITEMS = 1_000;
const DATASET_NAME = /^[a-z0-9-]{1,100}$/;
/** One line. */
const NAME = /^\P{C}{1,100}$/u;
const NAME_PATTERN = '^[^\\u0000-\\u001f\\u007f-\\u009f]{1,100}$';
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

const integer = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;
const offset = { ...integer, maximum: MAX_OFFSET } as const;
const moment = {
  type: 'string',
  format: 'date-time',
  pattern: MOMENT.source.replaceAll('\\d', '[0-9]'),
} as const;

/** A moment that exists: no 30 February, no hour 25. */
@ValidatorConstraint({ name: 'isMoment' })
class IsMoment implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    if (typeof value !== 'string' || !MOMENT.test(value)) return false;
    const day = new Date(`${value.slice(0, 10)}T00:00:00Z`);
    const isDay = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value.slice(0, 10));
    return isDay && !Number.isNaN(Date.parse(value));
  }

  defaultMessage(given?: ValidationArguments): string {
    return `${given?.property ?? 'it'} must be a moment as ISO 8601 with its zone, 2026-11-22T00:00:00Z`;
  }
}

class ReplayOffsetsDto implements ReplayOffsets {
  @ApiProperty({ ...integer, maximum: MAX_PARTITIONS })
  @IsInt()
  @Min(0)
  @Max(MAX_PARTITIONS)
  partition!: number;

  @ApiProperty(offset)
  @IsInt()
  @Min(0)
  @Max(MAX_OFFSET)
  from!: number;

  @ApiProperty({ ...offset, description: 'Excluded' })
  @IsInt()
  @Min(0)
  @Max(MAX_OFFSET)
  to!: number;
}

/** What was asked for. */
class ReplaySelectionDto implements ReplaySelection {
  @ApiPropertyOptional({ format: 'uuid', description: 'One job' })
  @IsOptional()
  @IsUUID()
  job?: string;

  @ApiPropertyOptional({ ...moment, description: 'Jobs that were created from this moment on' })
  @IsOptional()
  @Validate(IsMoment)
  from?: string;

  @ApiPropertyOptional({ ...moment, description: 'and before this one; that of the request when left out' })
  @IsOptional()
  @Validate(IsMoment)
  to?: string;

  @ApiPropertyOptional({
    type: [ReplayOffsetsDto],
    minItems: 1,
    maxItems: MAX_PARTITIONS,
    description: 'Ranges of offsets of the raw topic',
  })
  @IsOptional()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_PARTITIONS)
  @ValidateNested({ each: true })
  @Type(() => ReplayOffsetsDto)
  offsets?: ReplayOffsetsDto[];
}

/** Body of `POST /replays`. */
export class ReplayRequestDto extends ReplaySelectionDto implements ReplayRequest {
  @ApiProperty({ minLength: 1, maxLength: MAX_TEXT_BYTES, description: 'Name of a registered dataset' })
  @IsText()
  @IsNotEmpty()
  dataset!: string;

  @ApiPropertyOptional({
    enum: REPLAY_PARTS,
    description:
      '`all` (default): records of jobs that succeeded; `refused`: open dead letters; `missing`: these, and all records of jobs that did not succeed',
  })
  @IsOptional()
  @IsIn(REPLAY_PARTS)
  only?: ReplayPart;

  @ApiPropertyOptional({ enum: WRITE_MODES, description: 'That of each job when left out' })
  @IsOptional()
  @IsIn(WRITE_MODES)
  mode?: WriteMode;

  @ApiPropertyOptional({
    ...{ type: 'integer', minimum: 1, maximum: MAX_AT_ONCE },
    description: 'Jobs under way at once, 4 when left out; one at a time where tables are replaced',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_AT_ONCE)
  atOnce?: number;

  @ApiPropertyOptional({ description: 'Only say what it would cover' })
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;

  @ApiPropertyOptional({
    maxLength: 100,
    pattern: NAME_PATTERN,
    description: 'Who asks, as far as the client knows',
  })
  @IsOptional()
  @Matches(NAME, { message: 'by must have 1 to 100 characters, in one line' })
  by?: string;
}

class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MAX_ITEMS, default: 100 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_ITEMS)
  limit: number = 100;
}

const CURSOR = { message: 'cursor must be the next of an earlier page' };

export class ReplaysQuery extends PageQuery {
  @ApiPropertyOptional({ pattern: DATASET_NAME.source, description: 'Only replays of this dataset' })
  @IsOptional()
  @Matches(DATASET_NAME, { message: 'dataset must be the name of a dataset' })
  dataset?: string;

  @ApiPropertyOptional({ format: 'uuid', description: '`next` of the page before' })
  @IsOptional()
  @IsUUID(undefined, CURSOR)
  cursor?: string;
}

export class ReplayJobsQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'integer', description: '`next` of the page before' })
  @IsOptional()
  @Type(() => Number)
  @IsInt(CURSOR)
  @Min(0, CURSOR)
  @Max(999_999_999, CURSOR)
  cursor?: number;
}

class ReplayCoverDto implements ReplayCover {
  @ApiProperty(integer) jobs!: number;
  @ApiProperty(integer) batches!: number;
  @ApiProperty(integer) records!: number;
}

class ReplayDeletedDto extends ReplayCoverDto implements ReplayDeleted {
  @ApiProperty({ ...integer, description: 'Of a selection by offsets' }) offsets!: number;
}

class ReplayLeftOutDto implements ReplayLeftOut {
  @ApiProperty({ enum: LEFT_OUT_REASONS }) reason!: LeftOutReason;
  @ApiProperty(integer) jobs!: number;
  @ApiProperty({ format: 'uuid', description: 'One of them' }) example!: string;
}

/** Answer of `POST /replays`. */
export class ReplayAcceptedDto implements ReplayAccepted {
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'Null: a dry run' })
  id!: string | null;
  @ApiProperty() dataset!: string;
  @ApiProperty({ type: ReplayCoverDto }) covers!: ReplayCoverDto;
  @ApiProperty({ type: ReplayDeletedDto, description: 'What the raw topic does not have any more' })
  deleted!: ReplayDeletedDto;
  @ApiProperty({ type: [ReplayLeftOutDto], description: 'Selected jobs that are not replayed' })
  leftOut!: ReplayLeftOutDto[];
}

class ReplayWaitDto implements ReplayWait {
  @ApiProperty() code!: string;
  @ApiProperty() message!: string;
  @ApiProperty({ format: 'date-time' }) since!: string;
  @ApiProperty({ type: String, format: 'uuid', nullable: true }) job!: string | null;
}

class ReplayJobsDto {
  @ApiProperty(integer) waiting!: number;
  @ApiProperty(integer) active!: number;
  @ApiProperty(integer) succeeded!: number;
  @ApiProperty(integer) failed!: number;
  @ApiProperty(integer) cancelled!: number;
}

class ReplayCountsDto implements ReplayCounts {
  @ApiProperty(integer) read!: number;
  @ApiProperty(integer) refused!: number;
  @ApiProperty(integer) inserted!: number;
  @ApiProperty(integer) updated!: number;
  @ApiProperty(integer) unchanged!: number;
  @ApiProperty(integer) deleted!: number;
  @ApiProperty(integer) superseded!: number;
}

export class ReplayViewDto implements ReplayView {
  @ApiProperty({ format: 'uuid' }) id!: string;
  @ApiProperty() dataset!: string;
  @ApiProperty({ enum: REPLAY_STATES }) state!: ReplayState;
  @ApiProperty({ type: ReplaySelectionDto }) selection!: ReplaySelectionDto;
  @ApiProperty({ enum: REPLAY_PARTS }) only!: ReplayPart;
  @ApiProperty({ enum: WRITE_MODES, nullable: true, description: 'Null: that of each job' })
  mode!: WriteMode | null;
  @ApiProperty(integer) atOnce!: number;
  @ApiProperty({ type: ReplayCoverDto }) covers!: ReplayCoverDto;
  @ApiProperty({ type: ReplayDeletedDto }) deleted!: ReplayDeletedDto;
  @ApiProperty({ type: [ReplayLeftOutDto] }) leftOut!: ReplayLeftOutDto[];
  @ApiProperty({ type: ReplayWaitDto, nullable: true }) wait!: ReplayWaitDto | null;
  @ApiProperty({ type: String, nullable: true }) by!: string | null;
  @ApiProperty({ format: 'date-time' }) createdAt!: string;
  @ApiProperty({ type: String, format: 'date-time', nullable: true }) finishedAt!: string | null;
  @ApiProperty({ type: ReplayJobsDto, description: 'Its jobs by state; `waiting` have not begun' })
  jobs!: ReplayJobsDto;
  @ApiProperty({ type: ReplayCountsDto, description: 'Of the jobs that have succeeded' })
  counts!: ReplayCountsDto;
  @ApiProperty({
    type: Boolean,
    nullable: true,
    description: 'Whether a row was inserted, updated or deleted; null where tables were replaced',
  })
  changed!: boolean | null;
}

export class ReplayPageDto implements Page<ReplayView> {
  @ApiProperty({ type: [ReplayViewDto] }) items!: ReplayViewDto[];
  @ApiProperty({ type: String, nullable: true }) next!: string | null;
}

class ReplayJobDto implements ReplayJobView {
  @ApiProperty(integer) position!: number;
  @ApiProperty({ format: 'uuid' }) origin!: string;
  @ApiProperty(integer) batches!: number;
  @ApiProperty(integer) records!: number;
  @ApiProperty({ type: String, format: 'uuid', nullable: true, description: 'Null until it has begun' })
  job!: string | null;
  @ApiProperty({ enum: JOB_STATES, nullable: true }) state!: JobState | null;
  @ApiProperty({ type: Number, nullable: true, description: 'Of the contract that validates it' })
  contractVersion!: number | null;
}

export class ReplayJobPageDto implements Page<ReplayJobView> {
  @ApiProperty({ type: [ReplayJobDto] }) items!: ReplayJobDto[];
  @ApiProperty({ type: String, nullable: true }) next!: string | null;
}

export type Checked = AllAgree<
  [
    Agree<ReplayRequestDto, ReplayRequest>,
    Agree<ReplayAcceptedDto, ReplayAccepted>,
    Agree<ReplayPageDto, Page<ReplayView>>,
    Agree<ReplayJobPageDto, Page<ReplayJobView>>,
  ]
>;
