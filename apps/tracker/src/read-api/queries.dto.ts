import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '#common/http/api-decorators.js';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsUUID, Matches, Max, Min } from '#common/validation/class-validator.js';
import { DEAD_LETTER_STATES, type DeadLetterState } from '#api/dead-letters.js';
import { JOB_STATES, type JobState } from '#api/job-words.js';

/** The parameters of queries; any other is refused (400). */

const MAX_ITEMS = 1000;
export const UUID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
export const DATASET_NAME = /^[a-z0-9-]{1,100}$/;
export const DATASET = { message: 'dataset must be the name of a dataset' };
export const FINDING_CODE = /^[^\s\p{C}]{1,100}$/u;
const BATCH_CURSOR = /^\d{1,15}$/;
export const LETTER_ID = new RegExp(`^${UUID}:\\d{1,15}$`);
const GROUP_ID = new RegExp(`^${UUID}$`);
const PARKED_CURSOR = /^[\w.-]{1,249}\/\d{1,9}\/\d{1,18}$/;
const RECORD = /^\d{1,15}$/;

/** What OpenAPI says of a text that `Matches` judges. Its patterns have no flag `u`, so classes are left out. */
export function textLike(pattern: RegExp): ApiPropertyOptions {
  return { type: 'string', pattern: pattern.source.replaceAll('\\p{C}', '\\u0000-\\u001f\\u007f-\\u009f') };
}

/** For addresses that take no query parameters. */
export class NoQuery {}

export class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MAX_ITEMS, default: 100 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_ITEMS)
  limit: number = 100;
}

const STREAM_JOBS = ['shown', 'hidden'] as const;

export class JobsQuery extends PageQuery {
  @ApiPropertyOptional({ ...textLike(DATASET_NAME), description: 'Only jobs of this dataset' })
  @IsOptional()
  @Matches(DATASET_NAME, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ enum: JOB_STATES, description: 'Only jobs in this state' })
  @IsOptional()
  @IsIn(JOB_STATES)
  state?: JobState;

  @ApiPropertyOptional({ ...textLike(DATASET_NAME), description: 'Only jobs of the stream of this dataset' })
  @IsOptional()
  @Matches(DATASET_NAME, { message: 'stream must be the name of a dataset' })
  stream?: string;

  @ApiPropertyOptional({
    enum: STREAM_JOBS,
    default: 'shown',
    description: '`hidden`: of the jobs of streams only those that are paused or have failed',
  })
  @IsOptional()
  @IsIn(STREAM_JOBS)
  streams?: (typeof STREAM_JOBS)[number];

  @ApiPropertyOptional({ format: 'uuid', description: '`next` of the page before' })
  @IsOptional()
  @IsUUID(undefined, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class BatchesQuery extends PageQuery {
  @ApiPropertyOptional({ ...textLike(BATCH_CURSOR), description: '`next` of the page before' })
  @IsOptional()
  @Matches(BATCH_CURSOR, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class DeadLettersQuery extends PageQuery {
  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @IsUUID()
  job?: string;

  @ApiPropertyOptional({ ...textLike(FINDING_CODE), description: 'Only records refused for this reason' })
  @IsOptional()
  @Matches(FINDING_CODE, { message: 'code must be the code of a finding' })
  code?: string;

  @ApiPropertyOptional(textLike(DATASET_NAME))
  @IsOptional()
  @Matches(DATASET_NAME, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ enum: ['validate', 'load'] })
  @IsOptional()
  @IsIn(['validate', 'load'])
  stage?: 'validate' | 'load';

  @ApiPropertyOptional({ format: 'uuid', description: 'Only of this group' })
  @IsOptional()
  @Matches(GROUP_ID, { message: 'group must be the id of a group' })
  group?: string;

  @ApiPropertyOptional({ enum: DEAD_LETTER_STATES, description: 'Only in this state' })
  @IsOptional()
  @IsIn(DEAD_LETTER_STATES)
  state?: DeadLetterState;

  @ApiPropertyOptional({ ...textLike(LETTER_ID), description: '`next` of the page before' })
  @IsOptional()
  @Matches(LETTER_ID, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class ParkedMessagesQuery extends PageQuery {
  @ApiPropertyOptional({ ...textLike(PARKED_CURSOR), description: '`next` of the page before' })
  @IsOptional()
  @Matches(PARKED_CURSOR, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

const TOPIC = /^[\w.-]{1,249}$/;
const OFFSET = /^\d{1,18}$/;

export class ParkedMessagePath {
  @ApiProperty(textLike(TOPIC))
  @Matches(TOPIC, { message: 'topic must be the name of a topic' })
  topic!: string;

  @ApiProperty({ type: 'integer' })
  @Matches(/^\d{1,9}$/, { message: 'partition must be the number of a partition' })
  partition!: string;

  @ApiProperty(textLike(OFFSET))
  @Matches(OFFSET, { message: 'offset must be an offset' })
  offset!: string;
}

export class SkipRequest {
  @ApiProperty({ description: 'Why nothing is lost, for later readers', maxLength: 200 })
  @Matches(/^\P{C}{1,200}$/u, { message: 'reason must have 1 to 200 characters, in one line' })
  reason!: string;
}

export class JobPath {
  @ApiProperty({ format: 'uuid' })
  @IsUUID()
  id!: string;
}

export class DeadLetterPath {
  @ApiProperty({ format: 'uuid' })
  @IsUUID()
  job!: string;

  @ApiProperty(textLike(RECORD))
  @Matches(RECORD, { message: 'record must be the number of a record' })
  record!: string;
}
