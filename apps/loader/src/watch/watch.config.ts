import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { Variable } from '#common/config/environment.js';

/** How a loader watches running jobs. */
export class WatchConfig {
  @Variable('SLUICE_WATCH_INTERVAL_MS', 'Interval of the breaker check')
  @IsInt()
  @Min(100)
  @Max(60_000)
  watchIntervalMs: number = 1_000;

  @Variable(
    'SLUICE_MISSING_AFTER_SECONDS',
    'Time without a loaded batch after which a loader checks whether the batches that a job waits for are still in the topics',
  )
  @IsInt()
  @Min(1)
  @Max(86_400)
  missingAfterSeconds: number = 30;
}
