import { Agent, type Dispatcher, request } from 'undici';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type AddressClass, type AddressPolicy, classifyAddress, guardedConnector } from './address-guard.js';
import { networkTrouble } from './http-errors.js';
import { single } from './http-headers.js';
import type { Lifetime } from './lifetime.js';
import type { SourceConfig } from './source.config.js';
import type { HttpAddress } from './source-uri.js';

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** A server that does not take a connection within this is tried again rather than waited for. */
const CONNECT_TIMEOUT_MS = 10_000;

export type HttpResponse = Dispatcher.ResponseData;

/**
 * GET requests as sources need them: guarded addresses, idle time-outs, redirects followed by hand so that
 * credentials stay with the origin they were given for. Proxies are not used.
 */
export class HttpClient {
  readonly #agent: Agent;
  /** For hops behind one at a public address (G5 of address-guard.ts): its connections are its own. */
  readonly #agentBehindPublic: Agent;
  /** `host:port` of what was connected to at a public address. */
  readonly #public = new Set<string>();

  /**
   * @param policy of the first address of a chain
   * @param classify another one in tests alone
   */
  constructor(
    private readonly settings: SourceConfig,
    private readonly lifetime: Lifetime,
    policy: AddressPolicy,
    private readonly classify: (address: string) => AddressClass = classifyAddress,
  ) {
    this.#agent = this.#agentFor(policy);
    const isOpen = policy !== 'allow' || settings.redirectsToPrivate === 'allow';
    this.#agentBehindPublic = isOpen ? this.#agent : this.#agentFor('from-public');
  }

  #agentFor(policy: AddressPolicy): Agent {
    const { idleTimeoutMs } = this.settings;
    const agent = new Agent({
      connect: guardedConnector(policy, Math.min(CONNECT_TIMEOUT_MS, idleTimeoutMs), {
        classify: this.classify,
        onConnect: ({ hostname, port }, kind) => {
          if (kind === 'public') this.#public.add(`${hostname}:${port}`);
        },
      }),
      headersTimeout: idleTimeoutMs,
      bodyTimeout: idleTimeoutMs,
    });
    // Ends requests under way, too.
    this.lifetime.holds(() => agent.destroy());
    return agent;
  }

  /**
   * @param headers those of the resource, e.g. Range; identity and credentials are added here
   * @returns the first response that is no redirect, whatever its status; its body must be read or discarded
   * @throws Interruption, SluiceError; anything once the lifetime has ended
   */
  async get(address: HttpAddress, headers: Readonly<Record<string, string>>): Promise<HttpResponse> {
    let hop = address;
    let isBehindPublic = false;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const { hostname, port, origin } = hop.url();
      const response = await this.#send(
        hop,
        isBehindPublic ? this.#agentBehindPublic : this.#agent,
        origin === address.url().origin ? address : null,
        headers,
      );
      isBehindPublic ||= this.#public.has(`${hostname.replace(/^\[(.*)\]$/, '$1')}:${port}`);
      const location = REDIRECTS.has(response.statusCode) ? single(response.headers.location) : null;
      if (location === null) return response;
      discard(response);
      hop = hop.redirectedTo(location);
    }
    const text = `${address.display} redirects more than ${MAX_REDIRECTS} times.`;
    throw new SluiceError('SOURCE_SERVER_ERROR', text, { file: address.display });
  }

  async #send(
    hop: HttpAddress,
    agent: Agent,
    credentials: HttpAddress | null,
    headers: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> {
    const authorization = credentials?.authorization() ?? null;
    try {
      const response = await request(hop.url(), {
        dispatcher: agent,
        headers: {
          'user-agent': this.settings.userAgent,
          accept: '*/*',
          // Offsets of Range and the content's own packing count, not what a server packs on the way.
          'accept-encoding': 'identity',
          ...(authorization === null ? {} : { authorization }),
          ...headers,
        },
      });
      // A body that is destroyed while nobody reads it (abort, close) would otherwise end the process.
      response.body.on('error', () => undefined);
      return response;
    } catch (error) {
      throw networkTrouble(error, hop.display, '');
    }
  }
}

/** Gives up a body that is not wanted, and its connection. */
export function discard(response: HttpResponse): void {
  response.body.destroy();
}
