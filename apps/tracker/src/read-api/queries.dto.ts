import { ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsUUID, Matches, Max, Min } from 'class-validator';
import { JOB_STATES, type JobState } from '#core/job/job-state.js';

/** What may be asked; anything else is refused (400). */

const MAX_ITEMS = 1000;
const UUID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const DATASET = { message: 'dataset must be the name of a dataset' };

/** For addresses that take no query parameters. */
export class NoQuery {}

class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MAX_ITEMS, default: 100 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_ITEMS)
  limit: number = 100;
}

export class JobsQuery extends PageQuery {
  @ApiPropertyOptional({ description: 'Only jobs of this dataset' })
  @IsOptional()
  @Matches(/^[a-z0-9-]{1,100}$/, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ enum: JOB_STATES, description: 'Only jobs in this state' })
  @IsOptional()
  @IsIn(JOB_STATES)
  state?: JobState;

  @ApiPropertyOptional({ description: '`next` of the page before' })
  @IsOptional()
  @IsUUID(undefined, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class BatchesQuery extends PageQuery {
  @ApiPropertyOptional({ description: '`next` of the page before' })
  @IsOptional()
  @Matches(/^\d{1,15}$/, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class DeadLettersQuery extends PageQuery {
  @ApiPropertyOptional({ format: 'uuid' })
  @IsOptional()
  @IsUUID()
  job?: string;

  @ApiPropertyOptional({ description: 'Only records refused for this reason' })
  @IsOptional()
  @Matches(/^[^\s\p{C}]{1,100}$/u, { message: 'code must be the code of a finding' })
  code?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @Matches(/^[a-z0-9-]{1,100}$/, DATASET)
  dataset?: string;

  @ApiPropertyOptional({ enum: ['validate', 'load'] })
  @IsOptional()
  @IsIn(['validate', 'load'])
  stage?: 'validate' | 'load';

  @ApiPropertyOptional({ description: '`next` of the page before' })
  @IsOptional()
  @Matches(new RegExp(`^${UUID}:\\d{1,15}$`), { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class ParkedMessagesQuery extends PageQuery {
  @ApiPropertyOptional({ description: '`next` of the page before' })
  @IsOptional()
  @Matches(/^[\w.-]{1,249}\/\d{1,9}\/\d{1,18}$/, { message: 'cursor must be the next of an earlier page' })
  cursor?: string;
}

export class JobPath {
  @IsUUID()
  id!: string;
}

export class DeadLetterPath {
  @IsUUID()
  job!: string;

  @Matches(/^\d{1,15}$/, { message: 'record must be the number of a record' })
  record!: string;
}
