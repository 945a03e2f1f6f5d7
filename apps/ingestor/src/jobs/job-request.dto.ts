import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  IsBoolean,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  IsNumber,
} from 'class-validator';
import { EXISTING_KEYS, type ExistingKeys, WRITE_MODES, type WriteMode } from '#core/dataset/dataset.js';
import type { JobRequest } from '#core/job/job-view.js';
import { LimitsDto } from './limits.dto.js';

/** Body of `POST /jobs`. */
export class JobRequestDto extends LimitsDto implements JobRequest {
  @ApiProperty({ example: 'my-dataset', description: 'Name of a registered dataset' })
  @IsString()
  @IsNotEmpty()
  dataset!: string;

  @ApiPropertyOptional({
    description: 'http(s)://…, file:///… or an absolute path; the dataset’s own default when left out',
  })
  @IsOptional()
  @IsString()
  @Matches(/^(https?:\/\/|file:\/\/|\/)/i, {
    message: 'source must be a URL (http, https, file) or an absolute path',
  })
  source?: string;

  @ApiPropertyOptional({
    enum: WRITE_MODES,
    description: 'One of the dataset’s write modes; its default when left out',
  })
  @IsOptional()
  @IsIn([...WRITE_MODES])
  mode?: WriteMode;

  @ApiPropertyOptional({ description: 'Exactly the first so many records' })
  @IsOptional()
  @IsInt()
  @Min(1)
  limit?: number;

  @ApiPropertyOptional({ description: 'The whole way into staging, measured and dropped' })
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;

  @ApiPropertyOptional({
    enum: EXISTING_KEYS,
    description: 'Mode `append` only: what becomes of a record whose key is in the table already',
  })
  @IsOptional()
  @IsIn([...EXISTING_KEYS])
  existingKeys?: ExistingKeys;

  @ApiPropertyOptional({
    description:
      'Pause the job when a larger share (0 to 1) of the records loaded lately was refused; 1 never does',
  })
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(1)
  breakerShare?: number;

  @ApiPropertyOptional({ description: 'Pause the job when more than so many of them were refused' })
  @IsOptional()
  @IsInt()
  @Min(0)
  breakerCount?: number;

  @ApiPropertyOptional({ type: Object, description: 'Options of the dataset, e.g. {"checksum": "reject"}' })
  @IsOptional()
  @IsObject()
  options?: Record<string, string>;
}
