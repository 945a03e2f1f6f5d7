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

  @Variable('SLUICE_KEEP_AUDIT_DAYS', 'How long `sluice audit` remembers who gave which command')
  @IsInt()
  @Min(1)
  @Max(36_500)
  keepAuditDays: number = 400;
}
