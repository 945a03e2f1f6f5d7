import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { ConnectionConfig } from '#common/config/connection.config.js';
import { Variable } from '#common/config/environment.js';

/** Settings of the loader; those of finalization stand in finalize/. */
export class LoaderConfig extends ConnectionConfig {
  @Variable('SLUICE_PORT', 'Port of health and metrics')
  @IsInt()
  @Min(0)
  @Max(65_535)
  port: number = 3003;

  @Variable('SLUICE_LOAD_PARTITIONS', 'Partitions loaded side by side, each over its own connection')
  @IsInt()
  @Min(1)
  @Max(16)
  concurrentPartitions: number = 2;
}
