import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { ConnectionConfig } from '#common/config/connection.config.js';
import { Variable } from '#common/config/environment.js';

/** Settings of the validator. It has no database: judging is a pure function of the raw message. */
export class ValidatorConfig extends ConnectionConfig {
  @Variable('SLUICE_PORT', 'Port of health and metrics')
  @IsInt()
  @Min(0)
  @Max(65_535)
  port: number = 3002;

  @Variable(
    'SLUICE_VALIDATE_PARTITIONS',
    'Partitions validated side by side, so that validation overlaps publishing',
  )
  @IsInt()
  @Min(1)
  @Max(16)
  concurrentPartitions: number = 2;
}
