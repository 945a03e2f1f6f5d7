import { SluiceError } from '#common/errors/sluice-error.js';
import { displayOfUrl } from '../display.js';
import type { SourceAddress } from '../source-kind.js';

/** An http or https URL; SU1 and SU2 are those of `source-kind.ts`. */
export class HttpAddress implements SourceAddress {
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
