import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';

/**
 * One GET for a server that sends Content-Length and Transfer-Encoding together. RFC 9112 section 6.3 has the
 * recipient go by the encoding, as curl and browsers do; undici takes the length for the truth and gives up, without
 * a setting. node:http reads such answers by its lenient parser. What that is lenient about is dangerous only on a
 * connection with answers for others, and this one is closed after its answer.
 */
export interface LenientGet {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Makes the connection, and so judges the address. */
  readonly connect: buildConnector.connector;
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

export interface LenientResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: LenientBody;
}

/** @throws errors of node:net, node:tls and node:http, and undici's codes for a server that sends nothing */
export async function lenientGet(asked: LenientGet): Promise<LenientResponse> {
  const { url, headers, connect, idleTimeoutMs, signal } = asked;
  const socket = await connected(url, connect);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      {
        method: 'GET',
        path: `${url.pathname}${url.search}`,
        headers: { host: url.host, connection: 'close', ...headers },
        insecureHTTPParser: true,
        createConnection: () => socket,
        signal,
      },
      (answer) => {
        clearTimeout(timer);
        resolve(answer);
      },
    );
    const timer = setTimeout(() => sent.destroy(coded('UND_ERR_HEADERS_TIMEOUT')), idleTimeoutMs);
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.end();
  });
  const body = new LenientBody(response, idleTimeoutMs);
  return { statusCode: response.statusCode ?? 0, headers: response.headers, body };
}

/** A body whose server may be silent for the idle time while it is waited for, not while its reader is busy. */
class LenientBody {
  constructor(
    private readonly response: IncomingMessage,
    private readonly idleTimeoutMs: number,
  ) {}

  destroy(): void {
    this.response.destroy();
  }

  on(event: 'error', listener: () => void): void {
    this.response.on(event, listener);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const chunks = this.response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    try {
      for (;;) {
        const timer = setTimeout(
          () => this.response.destroy(coded('UND_ERR_BODY_TIMEOUT')),
          this.idleTimeoutMs,
        );
        const next = await chunks.next().finally(() => {
          clearTimeout(timer);
        });
        if (next.done) return;
        yield next.value;
      }
    } finally {
      this.response.destroy();
    }
  }
}

function connected(url: URL, connect: buildConnector.connector): Promise<Socket> {
  const { hostname, host, protocol, port } = url;
  const bare = hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve, reject) => {
    connect({ hostname: bare, host, protocol, port }, (...result) => {
      if (result[0] === null) resolve(result[1]);
      else reject(result[0]);
    });
  });
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
