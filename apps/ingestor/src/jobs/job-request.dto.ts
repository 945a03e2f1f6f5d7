import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { Transform } from 'class-transformer';
import {
  IsBoolean,
  IsIn,
  IsInt,
  IsNotEmpty,
  IsOptional,
  Matches,
  Max,
  Min,
  IsNumber,
} from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import type { JobRequest } from '#api/jobs.js';
import { IsRecordOfTexts, IsText, MAX_TEXT_BYTES } from '#common/http/is-text.js';
import { EXISTING_KEYS, type ExistingKeys, WRITE_MODES, type WriteMode } from '#core/dataset/dataset.js';
import { SOURCE_KINDS } from '../sources/source-kinds.js';
import { LimitsDto } from './limits.dto.js';

/** What OpenAPI can say of `IsText`. */
function text(minLength: number): { minLength: number; maxLength: number; pattern: string } {
  return { minLength, maxLength: MAX_TEXT_BYTES, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$' };
}

/** What an address begins with, as a pattern, in upper, lower or mixed case: JSON Schema has no flag for that. */
const SOURCE_BEGINNING = `(${SOURCE_KINDS.beginnings()
  .map((text) => text.replace(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`))
  .join('|')})`;

/** Body of `POST /jobs`. */
export class JobRequestDto extends LimitsDto implements JobRequest {
  @ApiProperty({ example: 'my-dataset', description: 'Name of a registered dataset', ...text(1) })
  @IsText()
  @IsNotEmpty()
  dataset!: string;

  @ApiPropertyOptional({
    description: `${SOURCE_KINDS.forms()}; the dataset’s own default when left out`,
    maxLength: MAX_TEXT_BYTES,
    pattern: `^${SOURCE_BEGINNING}[^\\u0000-\\u001f\\u007f-\\u009f]*$`,
  })
  @IsOptional()
  @IsText()
  @Matches(new RegExp(`^${SOURCE_BEGINNING}`), { message: `source must be ${SOURCE_KINDS.addressNoun()}` })
  source?: string;

  @ApiPropertyOptional({
    enum: WRITE_MODES,
    description: 'One of the dataset’s write modes; its default when left out',
  })
  @IsOptional()
  @IsIn([...WRITE_MODES])
  mode?: WriteMode;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Exactly this many records, the first ones',
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  limit?: number;

  @ApiPropertyOptional({ description: 'The whole way into staging, measured and dropped' })
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;

  @ApiPropertyOptional({
    description: 'Fail the job when a single record is refused; the dataset’s own choice when left out',
  })
  @IsOptional()
  @IsBoolean()
  strict?: boolean;

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
    minimum: 0,
    maximum: 1,
  })
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(1)
  breakerShare?: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Pause the job when more of them than this were refused',
  })
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  breakerCount?: number;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string', maxLength: MAX_TEXT_BYTES },
    description: 'Options of the dataset, e.g. {"checksum": "reject"}',
  })
  @IsOptional()
  // As it came: class-transformer leaves out what it calls by the name of a method, and a typo would not be reported.
  @Transform(({ obj }) => (obj as { options?: unknown }).options)
  @IsRecordOfTexts()
  options?: Record<string, string>;
}

export type Checked = AllAgree<[Agree<JobRequestDto, JobRequest>]>;
