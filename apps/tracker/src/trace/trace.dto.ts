import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsISO8601,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  MaxLength,
  ValidateNested,
} from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import { DEAD_LETTER_STATES, type DeadLetterState } from '#api/dead-letters.js';
import { JOB_STATES, type JobState } from '#api/job-words.js';
import {
  MAX_TRACE_CHARACTERS,
  MAX_TRACE_VALUES,
  SUPERSEDED_WHYS,
  type SupersededWhy,
  TRACE_FATES,
  TRACE_VERDICTS,
  type TopicPlace,
  type TraceFate,
  type TraceHistory,
  type TraceProgress,
  type TraceRequest,
  type TraceSupersededBy,
  type TraceVerdict,
  type TraceView,
  type TracedDeadLetter,
  type TracedJob,
  type TracedRecord,
  type TracedRow,
} from '#api/trace.js';
import { WRITE_MODES, type WriteMode } from '#core/dataset/dataset.js';
import { DATASET, DATASET_NAME, textLike } from '../read-api/queries.dto.js';
import { FindingDto, integer, textOrNull, time, timeOrNull } from '../read-api/views.dto.js';

const TABLE_NAME = /^[^\p{C}]{1,63}$/u;
const texts = { type: 'object', additionalProperties: { type: 'string' } } as const;
const textsOrNull = { type: 'object', additionalProperties: { type: 'string', nullable: true } } as const;
const integerOrNull = { type: 'integer', nullable: true } as const;

export class TracedChildDto {
  @ApiProperty({ ...textLike(TABLE_NAME), description: 'Of a child table of the dataset' })
  @Matches(TABLE_NAME, { message: 'table must be the name of a child table' })
  readonly table!: string;

  @ApiProperty({ ...texts, description: 'Column → value, as a record has it' })
  @IsObject()
  readonly values!: Record<string, string>;
}

export class TraceRequestDto implements TraceRequest {
  @ApiProperty(textLike(DATASET_NAME))
  @Matches(DATASET_NAME, DATASET)
  readonly dataset!: string;

  @ApiProperty({
    type: [String],
    maxItems: MAX_TRACE_VALUES,
    description: 'Values of the key as a record has them, in the order of the contract’s key',
  })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_TRACE_VALUES)
  @IsString({ each: true })
  @MaxLength(MAX_TRACE_CHARACTERS, { each: true })
  readonly key!: string[];

  @ApiPropertyOptional({
    type: TracedChildDto,
    description: 'A row of a child table, in the records of the key',
  })
  @IsOptional()
  @ValidateNested()
  @Type(() => TracedChildDto)
  readonly row?: TracedChildDto;

  @ApiPropertyOptional({ format: 'uuid', description: 'Only what this job has read' })
  @IsOptional()
  @IsUUID()
  readonly job?: string;

  @ApiPropertyOptional({ format: 'date-time', description: 'Only what was published from this time on' })
  @IsOptional()
  @IsISO8601({ strict: true })
  readonly from?: string;

  @ApiPropertyOptional({ format: 'date-time', description: 'Only what was published before this time' })
  @IsOptional()
  @IsISO8601({ strict: true })
  readonly to?: string;
}

class TopicPlaceDto implements TopicPlace {
  @ApiProperty() readonly topic!: string;
  @ApiProperty(integer) readonly partition!: number;
  @ApiProperty() readonly offset!: string;
}

class TraceSupersededByDto implements TraceSupersededBy {
  @ApiProperty({ enum: SUPERSEDED_WHYS }) readonly why!: SupersededWhy;
  @ApiProperty({ format: 'uuid' }) readonly job!: string;
  @ApiProperty({ ...integerOrNull, description: 'Null: a snapshot without the key' }) readonly record!:
    number | null;
}

class TracedDeadLetterDto implements TracedDeadLetter {
  @ApiProperty() readonly id!: string;
  @ApiProperty({ enum: ['validate', 'load'] }) readonly stage!: 'validate' | 'load';
  @ApiProperty({ type: [String] }) readonly codes!: string[];
  @ApiProperty({ type: [FindingDto] }) readonly findings!: FindingDto[];
  @ApiProperty({ enum: DEAD_LETTER_STATES }) readonly state!: DeadLetterState;
}

class TracedRecordDto implements TracedRecord {
  @ApiProperty({ format: 'uuid' }) readonly job!: string;
  @ApiProperty(integer) readonly record!: number;
  @ApiProperty(integer) readonly line!: number;
  @ApiProperty({ enum: ['record', 'delete', 'mention'] }) readonly is!: 'record' | 'delete' | 'mention';
  @ApiProperty(textOrNull) readonly version!: string | null;
  @ApiProperty(integerOrNull) readonly rows!: number | null;
  @ApiProperty({ type: TopicPlaceDto, nullable: true }) readonly raw!: TopicPlaceDto | null;
  @ApiProperty({ type: TopicPlaceDto, nullable: true }) readonly message!: TopicPlaceDto | null;
  @ApiProperty({ enum: TRACE_FATES }) readonly fate!: TraceFate;
  @ApiProperty({ type: TraceSupersededByDto, nullable: true })
  readonly supersededBy!: TraceSupersededByDto | null;
  @ApiProperty({ type: TracedDeadLetterDto, nullable: true })
  readonly deadLetter!: TracedDeadLetterDto | null;
}

class TracedJobDto implements TracedJob {
  @ApiProperty({ format: 'uuid' }) readonly id!: string;
  @ApiProperty({ enum: JOB_STATES }) readonly state!: JobState;
  @ApiProperty({ enum: WRITE_MODES }) readonly mode!: WriteMode;
  @ApiProperty() readonly dryRun!: boolean;
  @ApiProperty({ description: 'Without credentials and query values' }) readonly source!: string;
  @ApiProperty(integer) readonly contractVersion!: number;
  @ApiProperty(time) readonly createdAt!: string;
  @ApiProperty(timeOrNull) readonly finishedAt!: string | null;
}

class TracedRowDto implements TracedRow {
  @ApiProperty() readonly table!: string;
  @ApiProperty({ type: Boolean, nullable: true, description: 'Null: the tracker may not read the table' })
  readonly isThere!: boolean | null;
  @ApiProperty(textOrNull) readonly version!: string | null;
  @ApiProperty(integerOrNull) readonly rows!: number | null;
  @ApiProperty(textsOrNull) readonly provenance!: Record<string, string | null>;
}

class DeletedHistoryDto {
  @ApiProperty(integer) readonly jobs!: number;
  @ApiProperty(integer) readonly batches!: number;
  @ApiProperty(integer) readonly records!: number;
}

class TraceHistoryDto implements TraceHistory {
  @ApiProperty() readonly isComplete!: boolean;
  @ApiProperty(integer) readonly batches!: number;
  @ApiProperty(integer) readonly unreadable!: number;
  @ApiProperty(integer) readonly withoutKey!: number;
  @ApiProperty(integer) readonly deadLettersWithoutKey!: number;
  @ApiProperty({ ...integer, description: 'Jobs with the key whose rows are gone' })
  readonly unknownJobs!: number;
  @ApiProperty(timeOrNull) readonly oldest!: string | null;
  @ApiProperty({ description: 'What retention has deleted of visible jobs' })
  readonly deleted!: DeletedHistoryDto;
  @ApiProperty(integer) readonly leftOut!: number;
}

class TraceViewDto implements TraceView {
  @ApiProperty() readonly dataset!: string;
  @ApiProperty(texts) readonly key!: Record<string, string>;
  @ApiProperty({ enum: TRACE_VERDICTS }) readonly verdict!: TraceVerdict;
  @ApiProperty() readonly row!: TracedRowDto;
  @ApiProperty({ type: [TracedRecordDto] }) readonly records!: TracedRecordDto[];
  @ApiProperty({ type: TraceSupersededByDto, nullable: true })
  readonly removedBy!: TraceSupersededByDto | null;
  @ApiProperty({ type: [TracedJobDto] }) readonly jobs!: TracedJobDto[];
  @ApiProperty() readonly history!: TraceHistoryDto;
}

class TraceProgressDto implements TraceProgress {
  @ApiProperty(integer) readonly searched!: number;
  @ApiProperty(integer) readonly of!: number;
  @ApiProperty(integer) readonly found!: number;
}

class TraceErrorDto {
  @ApiProperty() readonly code!: string;
  @ApiProperty() readonly message!: string;
}

/** One line: exactly one of its members. */
export class TraceLineDto {
  @ApiPropertyOptional() readonly progress?: TraceProgressDto;
  @ApiPropertyOptional() readonly trace?: TraceViewDto;
  @ApiPropertyOptional() readonly error?: TraceErrorDto;
}

export type Checked = AllAgree<
  [
    Agree<TraceRequestDto, TraceRequest>,
    Agree<TraceViewDto, TraceView>,
    Agree<TraceProgressDto, TraceProgress>,
  ]
>;
