import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { Variable } from '#common/config/environment.js';

/** How long, and how often, sources are waited for that come over a network: the settings class of each such kind extends this one. */
export class DownloadSettings {
  @Variable(
    'SLUICE_SOURCE_IDLE_TIMEOUT_MS',
    'How long the server of a source may send nothing, before and within the body',
  )
  @IsInt()
  @Min(10)
  @Max(3_600_000)
  idleTimeoutMs: number = 60_000;

  @Variable('SLUICE_SOURCE_RETRIES', 'How often a request is repeated after an interruption without progress')
  @IsInt()
  @Min(0)
  @Max(20)
  retries: number = 3;

  @Variable('SLUICE_SOURCE_RETRY_FACTOR_MS', 'Wait before the first repeat; doubled for each further one')
  @IsInt()
  @Min(0)
  @Max(60_000)
  retryFactorMs: number = 1000;

  @Variable(
    'SLUICE_SOURCE_MAX_RETRY_AFTER_MS',
    'Longest Retry-After that is waited for; a longer one ends the job',
  )
  @IsInt()
  @Min(0)
  @Max(3_600_000)
  maxRetryAfterMs: number = 300_000;

  /** A connection that drops every few minutes still gets through a large file, one that only drops does not. */
  @Variable('SLUICE_SOURCE_RETRY_RENEWAL_BYTES', 'Progress after which all repeats are available again')
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  retryRenewalBytes: number = 8 * 1024 * 1024;
}
