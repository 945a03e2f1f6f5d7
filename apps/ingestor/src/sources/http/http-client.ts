import { Agent, request } from 'undici';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Lifetime } from '../lifetime.js';
import { type AddressClass, type AddressPolicy, classifyAddress, guardedConnector } from './address-guard.js';
import { ChainCookies } from './chain-cookies.js';
import type { HttpAddress } from './http-address.js';
import { isFramedTwiceTrouble, networkTrouble } from './http-errors.js';
import { type ResponseHeaders, isFramedTwice, locationOf, valuesOf } from './http-headers.js';
import type { HttpConfig } from './http.config.js';
import { lenientGet } from './lenient-get.js';

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** A server that does not take a connection within this is tried again rather than waited for. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: ResponseHeaders;
  readonly body: AsyncIterable<Buffer> & {
    destroy(): unknown;
    on(event: 'error', listener: () => void): unknown;
  };
}

/** Where one kind of hops is sent through. */
interface Road {
  readonly agent: Agent;
  readonly connect: ReturnType<typeof guardedConnector>;
}

/**
 * GET requests as sources need them: guarded addresses, idle time-outs, redirects followed by hand so that
 * credentials stay with the origin they were given for. Proxies are not used.
 */
export class HttpClient {
  readonly #road: Road;
  /** For hops behind one at a public address (AG5): its connections are its own. */
  readonly #roadBehindPublic: Road;
  /** `host:port` of what was connected to at a public address. */
  readonly #public = new Set<string>();
  /** Origins whose answers undici cannot read (lenient-get.ts). */
  readonly #lenient = new Set<string>();

  /**
   * @param policy of the first address of a chain
   * @param classify another one in tests alone
   */
  constructor(
    private readonly settings: HttpConfig,
    private readonly lifetime: Lifetime,
    policy: AddressPolicy,
    private readonly classify: (address: string) => AddressClass = classifyAddress,
  ) {
    this.#road = this.#roadFor(policy);
    const isSame = policy !== 'allow' || settings.redirectsToPrivate === 'allow';
    this.#roadBehindPublic = isSame ? this.#road : this.#roadFor('from-public');
  }

  #roadFor(policy: AddressPolicy): Road {
    const { idleTimeoutMs } = this.settings;
    const connect = guardedConnector(policy, Math.min(CONNECT_TIMEOUT_MS, idleTimeoutMs), {
      classify: this.classify,
      onConnect: ({ hostname, port }, kind) => {
        if (kind === 'public') this.#public.add(`${hostname}:${port}`);
      },
    });
    const agent = new Agent({ connect, headersTimeout: idleTimeoutMs, bodyTimeout: idleTimeoutMs });
    // Ends requests under way, too.
    this.lifetime.holds(() => agent.destroy());
    return { agent, connect };
  }

  /**
   * @param headers those of the resource, e.g. Range; identity, credentials and cookies are added here
   * @returns the first response that is no redirect, whatever its status; its body must be read or discarded
   * @throws Interruption, SluiceError; anything once the lifetime has ended
   */
  async get(address: HttpAddress, headers: Readonly<Record<string, string>>): Promise<HttpResponse> {
    const cookies = new ChainCookies();
    let hop = address;
    let isBehindPublic = false;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const url = hop.url();
      const road = isBehindPublic ? this.#roadBehindPublic : this.#road;
      const authorization = url.origin === address.url().origin ? address.authorization() : null;
      const cookie = cookies.headerFor(url);
      const response = await this.#send(hop, road, {
        ...(authorization === null ? {} : { authorization }),
        ...(cookie === null ? {} : { cookie }),
        ...headers,
      });
      isBehindPublic ||= this.#public.has(`${url.hostname.replace(/^\[(.*)\]$/, '$1')}:${url.port}`);
      const location = REDIRECTS.has(response.statusCode) ? locationOf(response.headers) : null;
      if (location === null) return response;
      cookies.take(url, valuesOf(response.headers['set-cookie']));
      discard(response);
      hop = hop.redirectedTo(location);
    }
    const text = `${address.display} redirects more than ${MAX_REDIRECTS} times.`;
    throw new SluiceError('SOURCE_SERVER_ERROR', text, { file: address.display });
  }

  async #send(hop: HttpAddress, road: Road, own: Readonly<Record<string, string>>): Promise<HttpResponse> {
    const headers = {
      'user-agent': this.settings.userAgent,
      accept: '*/*',
      // Offsets of Range and the content's own packing count, not what a server packs on the way.
      'accept-encoding': 'identity',
      ...own,
    };
    try {
      const response = await this.#request(hop.url(), road, headers);
      // A body that is destroyed while nothing reads it (abort, close) would otherwise end the process.
      response.body.on('error', () => undefined);
      return response;
    } catch (error) {
      throw networkTrouble(error, hop.display, null);
    }
  }

  async #request(url: URL, { agent, connect }: Road, headers: Record<string, string>): Promise<HttpResponse> {
    if (!this.#lenient.has(url.origin)) {
      try {
        const response = await request(url, { dispatcher: agent, headers });
        if (!isFramedTwice(response.headers)) return response;
        response.body.on('error', () => undefined);
        discard(response);
      } catch (error) {
        if (!isFramedTwiceTrouble(error)) throw error;
      }
      this.#lenient.add(url.origin);
    }
    const { idleTimeoutMs } = this.settings;
    return lenientGet({ url, headers, connect, idleTimeoutMs, signal: this.lifetime.signal });
  }
}

/** Gives up a body that is not wanted, and its connection. */
export function discard(response: HttpResponse): void {
  response.body.destroy();
}
