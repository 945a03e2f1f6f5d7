import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import { isLoopbackHost } from '../access/loopback.js';
import type { ErrorCode } from '../errors/error-codes.js';

/**
 * Keeps web pages away from the services. There is no login, so a page that a browser on this machine shows must not act
 * through it. Every request is judged before its body is parsed.
 *
 * - GU1: a name that a page can point at this service (DNS rebinding) is refused: `Host` must be a loopback name, an
 *   address of the socket itself, the listening address or one of the allowed hosts.
 * - GU2: a request names one host. Two `Host` headers, and a request URI with another host, are refused.
 * - GU3: a request that came from another page, by what the browser says, is refused: `Origin` must be this very host and
 *   port, and `Sec-Fetch-Site` must not be another site, another port of this one, or unknown to us.
 * - GU4: a request that changes something is JSON and says so, with a body or without: a form of HTML cannot send that
 *   content type, and a script must ask first (CORS preflight), which nothing here allows.
 */
export interface GuardedRequest {
  readonly method: string;
  /** As it came: a path, or with a scheme and a host. */
  readonly target: string;
  /** Names and values in turn, as they came: node:http drops repeated ones from its own list. */
  readonly rawHeaders: readonly string[];
  /** The socket's own address; undefined once it is closed. */
  readonly localAddress: string | undefined;
}

export interface GuardSettings {
  /** The address or name that is listened on. */
  readonly listeningHost: string;
  /** Names and addresses besides; `.example.org` stands for every name below it. */
  readonly allowedHosts: readonly string[];
}

export interface GuardRefusal {
  readonly status: 400 | 403 | 415;
  readonly code: ErrorCode;
  readonly detail: string;
}

const READING_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
const JSON_TYPE = /^application\/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;
const AUTHORITY = /^(?<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?<port>:\d{0,5})?$/i;
const LONGEST_SHOWN = 100;

/** The facts of a request whose header node:http has read. */
export function guardedRequestOf(request: IncomingMessage): GuardedRequest {
  return {
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    rawHeaders: request.rawHeaders,
    localAddress: request.socket.localAddress,
  };
}

/** @returns why the request must not be processed any further; null when it may */
export function refusalOf(request: GuardedRequest, settings: GuardSettings): GuardRefusal | null {
  return hostRefusal(request, settings) ?? pageRefusal(request) ?? bodyRefusal(request);
}

/** GU1, GU2. */
function hostRefusal(request: GuardedRequest, settings: GuardSettings): GuardRefusal | null {
  const hosts = valuesOf(request, 'host');
  if (hosts.length > 1) return malformed('The request has more than one Host header.');
  const [given] = hosts;
  const named = authorityOfTarget(request.target);
  if (named === undefined) return malformed('The request URI is neither a path nor a URL of this service.');
  // HTTP/1.0 has no Host, and no browser speaks it.
  if (given === undefined) return named === null ? null : malformed('The request has no Host header.');
  const host = hostOf(given);
  if (host === null) return malformed('The Host header is not a host.');
  if (named !== null && named.toLowerCase() !== given.toLowerCase()) {
    return malformed('The request URI names another host than the Host header.');
  }
  if (isAllowed(host, request.localAddress, settings)) return null;
  return forbidden(
    `The host ${shown(given)} does not belong to this service; add the name of a proxy or a cluster to SLUICE_ALLOWED_HOSTS.`,
  );
}

/** GU3. */
function pageRefusal(request: GuardedRequest): GuardRefusal | null {
  const [host = ''] = valuesOf(request, 'host');
  const foreign = valuesOf(request, 'origin').find((origin) => !isSameOrigin(origin, host));
  if (foreign !== undefined) return forbidden(`Pages of ${shown(foreign)} may not send requests here.`);
  const sites = valuesOf(request, 'sec-fetch-site');
  if (sites.every((site) => site === 'same-origin' || site === 'none')) return null;
  return forbidden('Pages of other sites may not send requests here; open the address itself.');
}

/** GU4. */
function bodyRefusal(request: GuardedRequest): GuardRefusal | null {
  const types = valuesOf(request, 'content-type');
  const hasBody =
    valuesOf(request, 'transfer-encoding').length > 0 ||
    valuesOf(request, 'content-length').some((length) => length !== '0');
  if (READING_METHODS.has(request.method) && !hasBody) return null;
  if (types.length === 1 && JSON_TYPE.test(types[0] ?? '')) return null;
  return {
    status: 415,
    code: 'REQUEST_INVALID',
    detail: 'Requests other than GET need the header Content-Type: application/json, also without a body.',
  };
}

function valuesOf({ rawHeaders }: GuardedRequest, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) values.push((rawHeaders[at + 1] ?? '').trim());
  }
  return values;
}

/** @returns null for a path (or `*`), undefined for what is neither a path nor an http URL */
function authorityOfTarget(target: string): string | null | undefined {
  if (target.startsWith('/') || target === '*') return null;
  return /^https?:\/\/([^/?#]*)/i.exec(target)?.[1];
}

/** Lower case, without port, brackets and the last dot; null for what is no host. */
function hostOf(authority: string): string | null {
  const host = AUTHORITY.exec(authority)?.groups?.['host'];
  return host === undefined ? null : bareHost(host);
}

function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

function isAllowed(host: string, localAddress: string | undefined, settings: GuardSettings): boolean {
  if (isLoopbackHost(host)) return true;
  if (localAddress !== undefined && isSameAddress(host, localAddress)) return true;
  return [settings.listeningHost, ...settings.allowedHosts].some((entry) => isMeantBy(entry, host));
}

function isMeantBy(entry: string, host: string): boolean {
  const allowed = bareHost(entry);
  if (allowed.startsWith('.')) return host.endsWith(allowed) && host.length > allowed.length;
  return allowed === host || isSameAddress(allowed, host);
}

/** By value: `::1` is `0:0:0:0:0:0:0:1`, and `::ffff:10.0.0.5` is 10.0.0.5. */
function isSameAddress(a: string, b: string): boolean {
  if (!isAddress(a) || !isAddress(b)) return false;
  return ipaddr.process(a).toNormalizedString() === ipaddr.process(b).toNormalizedString();
}

/** Four decimal parts, or IPv6: `127.1` and `0x7f000001` are names here. */
function isAddress(host: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(host) || ipaddr.IPv6.isValid(host);
}

/** The scheme does not matter: a proxy may speak TLS to the browser. */
function isSameOrigin(origin: string, host: string): boolean {
  const parts = /^(https?):\/\/([^/?#@\s]+)$/i.exec(origin);
  const [, scheme, authority] = parts ?? [];
  if (scheme === undefined || authority === undefined || host === '') return false;
  const port = scheme.toLowerCase() === 'https' ? ':443' : ':80';
  const withPort = (text: string): string =>
    /:\d+$/.test(text.replace(/^\[[^\]]*\]/, '')) ? text.toLowerCase() : `${text.toLowerCase()}${port}`;
  return withPort(authority) === withPort(host);
}

function shown(text: string): string {
  const safe = text.replace(/[^\x21-\x7e]/g, '?');
  return safe.length > LONGEST_SHOWN ? `${safe.slice(0, LONGEST_SHOWN)}…` : safe;
}

function malformed(detail: string): GuardRefusal {
  return { status: 400, code: 'REQUEST_INVALID', detail };
}

function forbidden(detail: string): GuardRefusal {
  return { status: 403, code: 'REQUEST_FORBIDDEN', detail };
}
