import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type pg from 'pg';
import { ProblemError } from './problem-details.filter.js';
import type { AccessMode } from '../access/access-modes.js';
import { type Caller, hashOfToken, holderOf } from '../access/access-tokens.js';
import { FailedAttempts } from '../access/failed-attempts.js';
import { RequestLimit } from '../access/request-limit.js';
import { type Network, callerAddress } from '../access/caller-address.js';
import { OidcTokens } from '../access/oidc-tokens.js';
import type { LocalToken } from '../access/local-token.js';

export interface AccessOptions {
  readonly mode: AccessMode;
  /** Whether metrics are shown without a token. */
  readonly isMetricsOpen: boolean;
  readonly localToken: LocalToken;
  /** Of one holder; the token of the machine has no limit. */
  readonly requestsPerMinute: number;
  /** Proxies whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly Network[];
  /** Null: tokens of Sluice alone. */
  readonly oidc: Pick<OidcTokens, 'holderOf'> | null;
  /** Where the hashes of tokens are; opens connections only when a token is to be looked up. */
  readonly database: Pick<pg.Pool, 'query'>;
  /** Milliseconds that only grow. */
  readonly now?: () => number;
}

/** A revoked or expired token works for this time more at most. */
const TRUSTED_MS = 10_000;
const MAX_REMEMBERED = 1_000;

const LOCAL: Caller = { kind: 'local', name: 'local', role: 'admin' };
const OPEN: Caller = { kind: 'open', name: 'open', role: 'admin' };
const PROBES = new Set(['/health/live', '/health/ready']);

/**
 * Says who sends a request, before its body is read.
 *
 * - AC1: with mode `token`, a request without a token that is known, not revoked and not expired is refused (401), whatever
 *   its address is; only the probes, and the metrics where they are open, need none.
 * - AC2: a token's holder is remembered for 10 s, so that a request costs no query; a refused token is not remembered.
 * - AC3: an address that has sent too many wrong tokens is refused (429) without a query. A token that was right before
 *   passes: who shares an address with an attacker is not shut out.
 * - AC4: the token of the machine (`SLUICE_LOCAL_TOKEN_FILE`) counts as one with the role `admin`.
 * - AC5: a holder of a token that has sent `requestsPerMinute` waits until it may send another request (429).
 */
export class AccessCheck {
  private readonly attempts: FailedAttempts;
  private readonly limit: RequestLimit;
  private readonly now: () => number;
  private readonly remembered = new Map<string, { caller: Caller; at: number }>();

  constructor(private readonly options: AccessOptions) {
    this.now = options.now ?? (() => performance.now());
    this.attempts = new FailedAttempts(this.now);
    this.limit = new RequestLimit(options.requestsPerMinute, this.now);
  }

  /**
   * @returns null for a request that needs no name of its caller
   * @throws ProblemError UNAUTHENTICATED, ACCESS_ATTEMPTS, REQUESTS_LIMITED
   * @throws the database's error when a token cannot be looked up
   */
  async callerOf(request: IncomingMessage): Promise<Caller | null> {
    if (this.options.mode !== 'token') return this.options.mode === 'open' ? OPEN : LOCAL;
    const [path = ''] = (request.url ?? '').split('?');
    const isReading = request.method === 'GET' || request.method === 'HEAD';
    if (isReading && PROBES.has(path)) return null;
    if (isReading && path === '/metrics' && this.options.isMetricsOpen)
      return { kind: 'open', name: 'metrics', role: 'read' };
    const caller = await this.holderOf(
      request.headers.authorization,
      callerAddress(request, this.options.trustedProxies),
    );
    this.count(caller);
    return caller;
  }

  private async lookedUp(token: string): Promise<Caller | null> {
    const { database, oidc } = this.options;
    const hash = hashOfToken(token);
    if (hash !== null) return holderOf(database, hash);
    return oidc !== null && OidcTokens.looksLike(token) ? oidc.holderOf(token) : null;
  }

  /** AC5. */
  private count({ kind, name }: Caller): void {
    const seconds = kind === 'local' ? 0 : this.limit.waitFor(`${kind} ${name}`);
    if (seconds === 0) return;
    throw new ProblemError(
      'REQUESTS_LIMITED',
      `${name} sends more than ${this.options.requestsPerMinute} requests a minute; it may send one in ${seconds} s.`,
      429,
      { retryAfterSeconds: seconds },
    );
  }

  private async holderOf(authorization: string | undefined, address: string): Promise<Caller> {
    if (authorization === undefined)
      throw new ProblemError(
        'UNAUTHENTICATED',
        'The request has no token; send one as Authorization: Bearer.',
        401,
      );
    if (this.options.localToken.isProvedBy(authorization)) return LOCAL;
    const token = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.remembered.get(key);
    if (known !== undefined && this.now() - known.at < TRUSTED_MS) return known.caller;
    const seconds = this.attempts.waitOf(address);
    if (seconds > 0 && known === undefined)
      throw new ProblemError(
        'ACCESS_ATTEMPTS',
        `Too many wrong tokens came from this address; it may try again in ${seconds} s.`,
        429,
        { retryAfterSeconds: seconds },
      );
    const caller = await this.lookedUp(token);
    this.remembered.delete(key);
    if (caller === null) {
      this.attempts.note(address);
      throw new ProblemError(
        'UNAUTHENTICATED',
        'The token is not known, is revoked or has expired, or is for another service.',
        401,
      );
    }
    const [oldest] = this.remembered.keys();
    if (this.remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.remembered.delete(oldest);
    this.remembered.set(key, { caller, at: this.now() });
    return caller;
  }
}
