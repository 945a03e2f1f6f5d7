import { IsInt, Max, Min } from 'class-validator';
import { Variable } from '#common/config/environment.js';

/** How a loader watches running jobs. */
export class WatchConfig {
  @Variable('SLUICE_WATCH_INTERVAL_MS', 'How often running jobs are looked at for their breaker')
  @IsInt()
  @Min(100)
  @Max(60_000)
  watchIntervalMs: number = 1_000;

  @Variable(
    'SLUICE_MISSING_AFTER_SECONDS',
    'A job that waits for batches and loads none for so long is looked into: are they still in the topics?',
  )
  @IsInt()
  @Min(1)
  @Max(86_400)
  missingAfterSeconds: number = 30;
}
