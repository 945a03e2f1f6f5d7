import { IsIn, Matches } from '#common/validation/class-validator.js';
import { Variable } from '#common/config/environment.js';
import { DownloadSettings } from '../download-settings.js';
import type { AddressPolicy } from './address-guard.js';

/** How the ingestor reads http sources, and at which addresses they may be. */
export class HttpConfig extends DownloadSettings {
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

  /** @param isTrusted the caller proved to be on this machine */
  addressPolicy(isTrusted: boolean): AddressPolicy {
    if (this.privateAddresses !== 'token') return this.privateAddresses;
    return isTrusted ? 'allow' : 'needs-token';
  }
}
