import { IsIn, IsInt, Matches, Max, Min } from '#common/validation/class-validator.js';
import { Variable } from '#common/config/environment.js';
import type { AddressPolicy } from './address-guard.js';

/** How the ingestor reads http sources, and at which addresses they may be. */
export class HttpConfig {
  /** Link-local, metadata, unspecified and multicast addresses are refused whatever this says. */
  @Variable(
    'SLUICE_SOURCE_PRIVATE_ADDRESSES',
    'Whose http sources may be on loopback and private addresses: of callers with the token, of all (allow), of none (deny)',
  )
  @IsIn(['token', 'allow', 'deny'])
  privateAddresses: 'token' | 'allow' | 'deny' = 'token';

  /** A public server that leads to a private address is more often an attack than a mirror. */
  @Variable(
    'SLUICE_SOURCE_REDIRECTS_TO_PRIVATE',
    'allow or deny: may a public address redirect to a private one, where private ones may be read',
  )
  @IsIn(['allow', 'deny'])
  redirectsToPrivate: 'allow' | 'deny' = 'deny';

  /** Some servers answer 403 to the default names of HTTP libraries. */
  @Variable('SLUICE_SOURCE_USER_AGENT', 'User-Agent header sent to http sources')
  @Matches(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, { message: 'userAgent must be printable ASCII' })
  userAgent: string = 'Sluice/0.1';

  @Variable(
    'SLUICE_SOURCE_IDLE_TIMEOUT_MS',
    'How long an http source may send nothing, before and within the body',
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

  /** @param isTrusted the caller proved to be on this machine */
  addressPolicy(isTrusted: boolean): AddressPolicy {
    if (this.privateAddresses !== 'token') return this.privateAddresses;
    return isTrusted ? 'allow' : 'needs-token';
  }
}
