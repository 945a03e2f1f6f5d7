import { X509Certificate, createPrivateKey } from 'node:crypto';
import { IsIn, IsInt, IsString, Matches, Max, Min } from '../validation/class-validator.js';
import ipaddr from 'ipaddr.js';
import { ACCESS_MODES, type AccessMode } from '../access/access-modes.js';
import { isLoopbackHost, isSafeForSecrets } from '../access/loopback.js';
import { ROLES, type Role } from '../access/role-names.js';
import { IsListenAddress, IsReadableFile, itemsOf, works } from './checks.js';
import { Variable } from './environment.js';
import { MessageKeyConfig } from './message-key.config.js';

const ADDRESSES = /^(\s*[0-9A-Fa-f.:]+(\/\d{1,3})?\s*(,|$))*$/;
const ROLE_PAIRS = /^(\s*[^\s,=]{1,200}=(read|operate|admin)\s*(,|$))*$/;

/** Who reaches the HTTP port of a service, and how. */
export class AccessConfig extends MessageKeyConfig {
  @Variable(
    'SLUICE_HOST',
    'Address that the HTTP port listens on; 127.0.0.1 keeps it closed to other machines',
  )
  @IsListenAddress()
  host: string = '127.0.0.1';

  @Variable(
    'SLUICE_ACCESS',
    'local: only this machine reaches the port; token: every caller needs a token (`sluice token`); open: a proxy in front asks for a login',
  )
  @IsIn(ACCESS_MODES)
  access: AccessMode = 'local';

  @Variable('SLUICE_METRICS_OPEN', 'true: with SLUICE_ACCESS=token, /metrics needs no token')
  @Matches(/^(true|false)$/, { message: 'metricsOpen must be true or false' })
  metricsOpen: string = 'false';

  @Variable(
    'SLUICE_REQUESTS_PER_MINUTE',
    'With SLUICE_ACCESS=token: how many requests a service takes from one holder in a minute',
  )
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  requestsPerMinute: number = 6_000;

  @Variable(
    'SLUICE_LOCAL_TOKEN_FILE',
    'File with the token by which callers on this machine prove themselves',
  )
  @IsReadableFile()
  localTokenFile: string = '';

  @Variable(
    'SLUICE_ALLOWED_HOSTS',
    'Host names of a proxy or cluster that requests may use, separated by commas; .example.org for all names below it',
  )
  @Matches(/^(\s*\.?[A-Za-z0-9_.:[\]-]+\s*(,|$))*$/, {
    message: 'allowedHosts must be host names or addresses without ports, separated by commas',
  })
  allowedHosts: string = '';

  @Variable(
    'SLUICE_TLS_CERTIFICATE',
    'Certificate of the HTTP port, as PEM, with those between it and its authority; then the port speaks HTTPS alone',
    {
      reread: true,
    },
  )
  @IsString()
  tlsCertificate: string = '';

  @Variable('SLUICE_TLS_KEY', 'Private key of SLUICE_TLS_CERTIFICATE, as PEM, not encrypted', {
    secret: true,
    reread: true,
  })
  @IsString()
  tlsKey: string = '';

  @Variable(
    'SLUICE_TRUSTED_PROXY',
    'Addresses of proxies in front, like 10.0.0.7 or 10.0.0.0/24, separated by commas: their X-Forwarded-For counts',
  )
  @Matches(ADDRESSES, { message: 'trustedProxy must be addresses or networks, separated by commas' })
  trustedProxy: string = '';

  @Variable(
    'SLUICE_OIDC_ISSUER',
    'With SLUICE_ACCESS=token: the OIDC provider whose tokens count too, as its tokens name it',
  )
  @IsString()
  oidcIssuer: string = '';

  @Variable('SLUICE_OIDC_AUDIENCE', 'What a token of the OIDC provider must be for (`aud`)')
  @IsString()
  oidcAudience: string = '';

  @Variable(
    'SLUICE_OIDC_ROLE_CLAIM',
    'The claim of a token of the OIDC provider that has its roles; a.b is b in a',
  )
  @Matches(/^[\x21-\x7e]{1,200}$/, { message: 'oidcRoleClaim must be the name of a claim' })
  oidcRoleClaim: string = 'sluice_role';

  @Variable(
    'SLUICE_OIDC_ROLES',
    'What values of that claim mean, like ops=operate,sre=admin; read, operate and admin mean themselves',
  )
  @Matches(ROLE_PAIRS, {
    message: 'oidcRoles must be value=role, separated by commas; roles are read, operate and admin',
  })
  oidcRoles: string = '';

  override crossCheck(): readonly string[] {
    const problems = [...super.crossCheck(), ...this.portProblems(), ...this.oidcProblems()];
    if (this.access !== 'local' || isLoopbackHost(this.host)) return problems;
    return [
      ...problems,
      `SLUICE_HOST ${this.host} opens the port to other machines, and SLUICE_ACCESS is local: set SLUICE_ACCESS=token, and make tokens with \`sluice token create\`, or set SLUICE_ACCESS=open where a proxy in front asks for a login`,
    ];
  }

  /** Names and addresses that requests may come by, besides those of the socket (libs/common/src/http). */
  extraHosts(): string[] {
    return itemsOf(this.allowedHosts);
  }

  /** PEM texts as they are now; null where the port speaks plain HTTP. */
  tls(): { readonly cert: string; readonly key: string } | null {
    return this.tlsCertificate === '' ? null : { cert: this.tlsCertificate, key: this.tlsKey };
  }

  /** Networks as `SLUICE_TRUSTED_PROXY` has them, each with its length. */
  trustedProxies(): [ipaddr.IPv4 | ipaddr.IPv6, number][] {
    return itemsOf(this.trustedProxy).map((text) => {
      if (text.includes('/')) return ipaddr.parseCIDR(text);
      const address = ipaddr.parse(text);
      return [address, address.kind() === 'ipv4' ? 32 : 128];
    });
  }

  /** What values of the role claim mean. */
  rolesOfClaims(): ReadonlyMap<string, Role> {
    const pairs = itemsOf(this.oidcRoles).map((pair) => {
      const at = pair.lastIndexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1) as Role] as const;
    });
    return new Map([...ROLES.map((role) => [role, role] as const), ...pairs]);
  }

  /** Tokens travel to this port so that others can read them. */
  sendsTokensInTheClear(): boolean {
    return (
      this.access === 'token' && !isLoopbackHost(this.host) && this.tls() === null && this.trustedProxy === ''
    );
  }

  private portProblems(): readonly string[] {
    const { tlsCertificate: cert, tlsKey: key } = this;
    const proxies = works(() => this.trustedProxies()) ? [] : ['SLUICE_TRUSTED_PROXY has what is no address'];
    if ((cert === '') !== (key === ''))
      return [
        ...proxies,
        `${cert === '' ? 'SLUICE_TLS_KEY' : 'SLUICE_TLS_CERTIFICATE'} is set without the other one`,
      ];
    if (cert === '') return proxies;
    if (!works(() => new X509Certificate(cert)))
      return [...proxies, 'SLUICE_TLS_CERTIFICATE is no PEM certificate'];
    if (!works(() => createPrivateKey(key)))
      return [...proxies, 'SLUICE_TLS_KEY is no PEM key, or an encrypted one'];
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
      ? proxies
      : [...proxies, 'SLUICE_TLS_KEY is not the key of SLUICE_TLS_CERTIFICATE'];
  }

  private oidcProblems(): readonly string[] {
    const { oidcIssuer: issuer, oidcAudience: audience } = this;
    if (issuer === '')
      return audience === '' ? [] : ['SLUICE_OIDC_AUDIENCE is set without SLUICE_OIDC_ISSUER'];
    const problems: string[] = [];
    if (!isSafeForSecrets(issuer)) problems.push('SLUICE_OIDC_ISSUER must be an https address');
    if (audience === '')
      problems.push(
        'SLUICE_OIDC_ISSUER is set without SLUICE_OIDC_AUDIENCE: tokens for other services would count',
      );
    if (this.access !== 'token') problems.push('SLUICE_OIDC_ISSUER is set, and SLUICE_ACCESS is not token');
    return problems;
  }
}
