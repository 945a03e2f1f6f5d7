import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { ConnectionConfig } from '#common/config/connection.config.js';
import { Variable } from '#common/config/environment.js';

/** Settings of the tracker. */
export class TrackerConfig extends ConnectionConfig {
  @Variable('SLUICE_PORT', 'Port of the HTTP API')
  @IsInt()
  @Min(0)
  @Max(65_535)
  port: number = 3004;
}
