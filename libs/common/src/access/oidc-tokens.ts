import type { JWTPayload, JWTVerifyGetKey, createRemoteJWKSet } from 'jose';
import { ProblemError } from '../errors/problem-error.js';
import type { Caller } from './access-tokens.js';
import { ROLES, type Role } from './role-names.js';

export interface OidcOptions {
  /** Exactly as the provider's tokens name it. */
  readonly issuer: string;
  readonly audience: string;
  /** Name of the claim with the roles; `a.b` is `b` in `a`, unless there is a claim `a.b`. */
  readonly roleClaim: string;
  /** What its values mean. */
  readonly roles: ReadonlyMap<string, Role>;
  /** Receives why the provider could not be asked; at most once in `cooldownMs`. Must not throw. */
  readonly onAway?: (error: unknown) => void;
  /** The shortest time between two questions for new keys; half a minute unless a test is in a hurry. */
  readonly cooldownMs?: number;
}

/** With a private key alone: a provider's public key, taken for a shared secret, must not make tokens. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const CLOCK_TOLERANCE_SECONDS = 60;
const ANSWER_TIMEOUT_MS = 5_000;
/** After a failure it is not asked again for this time. */
const COOLDOWN_MS = 30_000;
const KEYS_TRUSTED_MS = 3_600_000;
const MAX_TOKEN_CHARACTERS = 8_192;
type ProviderKeys = ReturnType<typeof createRemoteJWKSet>;

const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * Bearer tokens of an OIDC provider: JWTs that it has signed.
 *
 * - OI1: a token counts when the provider has signed it with an asymmetric key, it names the issuer and the audience, has a subject and an
 *   expiry, and its times hold by this machine's clock, give or take 60 s.
 * - OI2: keys are asked for once, and again for a key that is not known, at most every half a minute: forged tokens cost the provider nothing.
 * - OI3: while the provider does not answer, tokens signed by keys that it named within the last hour count as before, and all others are
 *   refused as not to be checked now (503). So a forged token that names an unknown key shuts no holder out.
 */
export class OidcTokens {
  private discovered: Promise<ProviderKeys> | undefined;
  /** Of the last discovery that succeeded. */
  private known: ProviderKeys | undefined;
  private failedAt = -Infinity;

  constructor(private readonly options: OidcOptions) {}

  /** Whether it can be one of the provider's at all. */
  static looksLike(token: string): boolean {
    return token.length <= MAX_TOKEN_CHARACTERS && JWT.test(token);
  }

  /**
   * @returns whose it is; null when it is no valid token (OI1)
   * @throws ProblemError OIDC_UNAVAILABLE (OI3); ROLE_MISSING when it is valid, and its claim names no role
   */
  async holderOf(token: string): Promise<Caller | null> {
    const { cooldownMs = COOLDOWN_MS } = this.options;
    const isAway = performance.now() - this.failedAt < cooldownMs;
    const claims = await (isAway ? this.checkedByKnown(token) : this.checked(token));
    return claims && { kind: 'oidc', name: claims.sub ?? '', role: this.roleIn(claims) };
  }

  /** OI2. @returns null when it is no valid token */
  private async checked(token: string): Promise<JWTPayload | null> {
    try {
      this.discovered ??= this.discover();
      this.known = await this.discovered;
      return await this.claimsIn(token, this.known);
    } catch (error) {
      if (await isOfToken(error)) return null;
      this.failedAt = performance.now();
      this.options.onAway?.(error);
      // Its list of keys may have moved.
      if (this.known?.fresh !== true) this.discovered = undefined;
      return this.checkedByKnown(token, error);
    }
  }

  /** OI3. @returns null when it is no valid token */
  private async checkedByKnown(token: string, cause?: unknown): Promise<JWTPayload | null> {
    const { createLocalJWKSet, errors } = await import('jose');
    const keys = this.known?.fresh === true ? this.known.jwks() : undefined;
    if (keys === undefined) throw this.unavailable(cause);
    try {
      return await this.claimsIn(token, createLocalJWKSet(keys));
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) throw this.unavailable(cause);
      if (await isOfToken(error)) return null;
      throw error;
    }
  }

  /** @throws what jose finds wrong with the token, or with the list of keys */
  private async claimsIn(token: string, keys: JWTVerifyGetKey): Promise<JWTPayload> {
    const { jwtVerify } = await import('jose');
    const { issuer, audience } = this.options;
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['sub', 'exp'],
    });
    return payload;
  }

  private async discover(): Promise<ProviderKeys> {
    const { createRemoteJWKSet } = await import('jose');
    const { issuer, cooldownMs = COOLDOWN_MS } = this.options;
    const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      redirect: 'error',
    });
    const found = (await response.json()) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
    if (!response.ok || found.issuer !== issuer)
      throw new TypeError(`it answered ${response.status}, and names ${String(found.issuer)} as issuer`);
    return createRemoteJWKSet(addressOfKeys(found.jwks_uri, issuer), {
      cooldownDuration: cooldownMs,
      cacheMaxAge: KEYS_TRUSTED_MS,
      timeoutDuration: ANSWER_TIMEOUT_MS,
    });
  }

  private roleIn(claims: JWTPayload): Role {
    const { roleClaim, roles } = this.options;
    const value = roleClaim in claims ? claims[roleClaim] : nested(claims, roleClaim.split('.'));
    const words = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
    const held = new Set(words.map((word) => roles.get(String(word))));
    const role = ROLES.findLast((each) => held.has(each));
    if (role !== undefined) return role;
    throw new ProblemError(
      'ROLE_MISSING',
      `The token is valid, and its claim ${roleClaim} names none of the roles of SLUICE_OIDC_ROLES.`,
      403,
    );
  }

  private unavailable(cause?: unknown): ProblemError {
    const { issuer } = this.options;
    return new ProblemError(
      'OIDC_UNAVAILABLE',
      `The OIDC provider ${issuer} does not answer, so its tokens cannot be checked; tokens of \`sluice token\` work.`,
      503,
      {},
      { cause },
    );
  }
}

/**
 * Where the keys are, by the provider's own words: who can change them on the way makes tokens.
 * @throws TypeError for what is no address, or is less protected than the issuer's
 */
export function addressOfKeys(named: unknown, issuer: string): URL {
  const { protocol } = new URL(issuer);
  const url = typeof named === 'string' && URL.canParse(named) ? new URL(named) : null;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && protocol === 'http:')) return url;
  throw new TypeError(`it names ${String(named)} as the address of its keys, which is no https address`);
}

/** What jose says of a token has a code of its own; JWKS* mostly of the list of keys. */
async function isOfToken(error: unknown): Promise<boolean> {
  const { errors } = await import('jose');
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  );
}

function nested(value: unknown, path: readonly string[]): unknown {
  let inner = value;
  for (const name of path) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, name)) return undefined;
    inner = (inner as Record<string, unknown>)[name];
  }
  return inner;
}
