import { ApiPropertyOptional } from '#common/http/api-decorators.js';
import { IsBoolean, IsNumber, IsOptional, Max, Min } from '#common/validation/class-validator.js';

/** Limits of a job that may be set when it is started, and raised when it is resumed. */
export class LimitsDto {
  @ApiPropertyOptional({
    minimum: 0,
    maximum: 1,
    description: 'Share of refused records (0 to 1) over which the job fails',
  })
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(1)
  maxRefusedShare?: number;

  @ApiPropertyOptional({ description: 'Swap in a snapshot however much smaller than the table it is' })
  @IsOptional()
  @IsBoolean()
  allowShrink?: boolean;
}
