import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { JobSource } from '#core/job/job.entity.js';

/**
 * Source addresses: what they mean, and how they are shown.
 *
 * U1 Credentials (userinfo, query values, fragments) are kept in private fields only: neither printing, inspecting
 *    nor serializing an address shows them. Everything shown, logged or put into an error is `display`.
 * U2 What has no host is not shown, because nobody knows where its secrets are: in `user:password@host`, with the
 *    scheme forgotten, the user is the scheme.
 */
export type SourceAddress = HttpAddress | FileAddress;

/** An http or https URL. */
export class HttpAddress {
  readonly kind = 'http';
  readonly display: string;
  readonly #url: URL;
  readonly #authorization: string | null;

  constructor(url: URL) {
    this.display = displayOfUrl(url);
    this.#authorization = basicAuthorization(url);
    this.#url = withoutUserinfo(url);
  }

  /** What is requested: without userinfo, with the query. A copy; not to be shown. */
  url(): URL {
    return new URL(this.#url);
  }

  /** The Authorization header that the URL's userinfo stands for (RFC 7617); null without one. Not to be shown. */
  authorization(): string | null {
    return this.#authorization;
  }

  /** Where a redirect from here leads. Userinfo in a Location is dropped: a server does not choose our credentials. */
  redirectedTo(location: string): HttpAddress {
    let url: URL;
    try {
      url = new URL(location, this.#url);
    } catch {
      throw this.#refusal('SOURCE_SERVER_ERROR', 'redirects to something that is no URL');
    }
    if (!isHttp(url))
      throw this.#refusal('SOURCE_NOT_ALLOWED', 'redirects to something other than http and https');
    if (this.#url.protocol === 'https:' && url.protocol === 'http:') {
      throw this.#refusal('SOURCE_NOT_ALLOWED', 'redirects from https to http');
    }
    return new HttpAddress(withoutUserinfo(url));
  }

  #refusal(code: 'SOURCE_SERVER_ERROR' | 'SOURCE_NOT_ALLOWED', what: string): SluiceError {
    return new SluiceError(code, `${this.display} ${what}.`, { file: this.display });
  }
}

/** An absolute path of the machine that the ingestor runs on. */
export interface FileAddress {
  readonly kind: 'file';
  readonly display: string;
  readonly path: string;
}

/**
 * Understands `http(s)://…`, `file:///…` and absolute paths.
 * @throws SluiceError SOURCE_UNSUPPORTED for anything else
 */
export function parseSourceUri(uri: string): SourceAddress {
  if (isAbsolute(uri)) return fileAddress(uri);
  const url = parseUrl(uri);
  if (url === null) {
    throw unsupported('The source is neither a URL (http, https, file) nor an absolute path.');
  }
  if (isHttp(url)) return new HttpAddress(url);
  if (url.protocol !== 'file:') {
    throw unsupported(`${displayOfUrl(url)} has a scheme that is not supported; http, https and file are.`);
  }
  // The parser makes `/y.csv` of `file:y.csv`.
  if (!/^\s*file:\//i.test(uri)) {
    throw unsupported('The source is a file URL with a relative path; use file:///absolute/path.');
  }
  let path: string;
  try {
    path = fileURLToPath(url);
  } catch {
    throw unsupported(
      'The source is a file URL with another host or an encoded slash; use file:///absolute/path.',
    );
  }
  return fileAddress(path);
}

/** The kind and display of a source, for the job row. @throws SluiceError SOURCE_UNSUPPORTED */
export function describeSource(uri: string): Pick<JobSource, 'kind' | 'display'> {
  const { kind, display } = parseSourceUri(uri);
  return { kind, display };
}

/** Scheme, host and path; `?…` stands for a query; never userinfo or fragment. Any text is safe to pass. */
export function displayOf(uri: string): string {
  if (isAbsolute(uri)) return printable(uri);
  const url = parseUrl(uri);
  return url === null ? NOT_SHOWN : displayOfUrl(url);
}

const NOT_SHOWN = '(not a URL)';

function displayOfUrl(url: URL): string {
  if (url.protocol === 'file:') return printable(`file://${url.pathname}`);
  return `${url.protocol}//${url.host}${url.pathname}${url.search === '' ? '' : '?…'}`;
}

function fileAddress(path: string): FileAddress {
  if (path.includes('\0')) throw unsupported('The path of the source contains a NUL character.');
  return { kind: 'file', display: printable(path), path };
}

/** A URL with a host, or of a file; null for anything else (U2). */
function parseUrl(uri: string): URL | null {
  if (!URL.canParse(uri)) return null;
  const url = new URL(uri);
  return url.host === '' && url.protocol !== 'file:' ? null : url;
}

function isHttp(url: URL): boolean {
  return url.protocol === 'http:' || url.protocol === 'https:';
}

function withoutUserinfo(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.hash = '';
  return bare;
}

function basicAuthorization(url: URL): string | null {
  if (url.username === '' && url.password === '') return null;
  const pair = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

/** A lone `%` in a password is meant as such. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A path with a line break must not forge lines of a log. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{FFFD}');
}

function unsupported(message: string): SluiceError {
  return new SluiceError('SOURCE_UNSUPPORTED', message);
}
