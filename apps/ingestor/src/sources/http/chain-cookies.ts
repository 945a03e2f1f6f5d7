import { type Cookie, parseCookie } from 'undici';

/**
 * The cookies of one chain of redirects: some servers hand one out with a redirect and answer only those who bring it.
 *
 * A cookie goes back to the origin that set it (scheme, host and port) and to no other one, whatever its Domain says;
 * within the origin by its Path and Secure (RFC 6265 section 5.4). Nothing outlives the chain.
 */

/** What browsers take, at the least, of one host and in one cookie (RFC 6265 section 6.1). */
const MAX_COOKIES = 50;
const MAX_COOKIE_LENGTH = 4096;

interface Kept {
  readonly pair: string;
  readonly path: string;
  readonly secure: boolean;
}

export class ChainCookies {
  /** Origin → name and path → cookie. */
  readonly #byOrigin = new Map<string, Map<string, Kept>>();

  /** @param headers the values of Set-Cookie of an answer from `url` */
  take(url: URL, headers: readonly string[]): void {
    const kept = this.#byOrigin.get(url.origin) ?? new Map<string, Kept>();
    for (const header of headers) {
      const cookie = header.length > MAX_COOKIE_LENGTH ? null : parsed(header);
      if (cookie === null) continue;
      const path = cookie.path?.startsWith('/') ? cookie.path : defaultPath(url);
      const key = `${cookie.name}\n${path}`;
      if (isOver(cookie)) kept.delete(key);
      else if (kept.has(key) || kept.size < MAX_COOKIES) {
        kept.set(key, { pair: `${cookie.name}=${cookie.value}`, path, secure: cookie.secure === true });
      }
    }
    this.#byOrigin.set(url.origin, kept);
  }

  /** The Cookie header for a request of `url`; null without cookies. Not to be shown. */
  headerFor(url: URL): string | null {
    const pairs = [...(this.#byOrigin.get(url.origin)?.values() ?? [])]
      .filter(({ path, secure }) => isBelow(url.pathname, path) && (!secure || url.protocol === 'https:'))
      .sort((a, b) => b.path.length - a.path.length)
      .map(({ pair }) => pair);
    return pairs.length === 0 ? null : pairs.join('; ');
  }
}

function parsed(header: string): Cookie | null {
  const cookie = parseCookie(header);
  // Without a name its value would read as a name; other characters would end or forge the header.
  if (cookie === null || cookie.name === '') return null;
  return /^[\x21-\x7e\x80-\xff]*$/.test(cookie.name) && /^[\x20-\x7e\x80-\xff]*$/.test(cookie.value)
    ? cookie
    : null;
}

function isOver({ maxAge, expires }: Cookie): boolean {
  if (maxAge !== undefined) return maxAge <= 0;
  return expires !== undefined && new Date(expires).getTime() <= Date.now();
}

/** RFC 6265 section 5.1.4. */
function defaultPath({ pathname }: URL): string {
  const end = pathname.lastIndexOf('/');
  return end <= 0 ? '/' : pathname.slice(0, end);
}

function isBelow(pathname: string, path: string): boolean {
  if (pathname === path) return true;
  return pathname.startsWith(path) && (path.endsWith('/') || pathname[path.length] === '/');
}
