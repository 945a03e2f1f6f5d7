import { ApiProperty, ApiPropertyOptional } from '#common/http/api-decorators.js';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, Max, Min } from '#common/validation/class-validator.js';
import type { Agree, AllAgree } from '#api/agreement.js';
import type { StreamHour } from '#api/streams.js';

const MAX_HOURS = 8_760;

export class StreamHoursQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MAX_HOURS, default: 24 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_HOURS)
  last: number = 24;
}

/** What the jobs of a stream that succeeded add up to. */
export class StreamHourDto {
  @ApiProperty({ format: 'date-time', description: 'Its beginning' }) hour!: string;
  @ApiProperty({ type: 'integer' }) jobs!: number;
  @ApiProperty({ type: 'integer' }) read!: number;
  @ApiProperty({ type: 'integer' }) loaded!: number;
  @ApiProperty({ type: 'integer' }) refused!: number;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'integer' }, description: 'Code → how often' })
  findings!: Record<string, number>;
}

export type Checked = AllAgree<[Agree<StreamHourDto, StreamHour>]>;
