import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A local HTTP server that a test makes behave as badly as it likes. */
export interface SourceServer {
  readonly port: number;
  /** What was asked, in order. */
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  url(path?: string): string;
  openConnections(): Promise<number>;
  close(): Promise<void>;
}

/** @param answer is given each request and its number, from 0 */
export async function startSourceServer(
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<SourceServer> {
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    const number = requests.push({ path: request.url ?? '', headers: request.headers }) - 1;
    answer(request, response, number);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests,
    url: (path = '/data.csv') => `http://127.0.0.1:${port}${path}`,
    openConnections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => {
          if (error) reject(error);
          else resolve(count);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** How a request for a resource is answered. */
export interface Serving {
  readonly content: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answer Range with 206 when If-Range holds this; undefined: ranges are ignored. */
  readonly rangeValidator?: string;
  /** Drop the connection when the content has been sent up to this position (of the whole content). */
  readonly cutAt?: number;
  /** Send nothing more, but stay connected, when the content has been sent up to this position. */
  readonly stallAt?: number;
  /** Without Content-Length. */
  readonly chunked?: boolean;
}

/** Answers as an ordinary file server does, apart from what is asked otherwise. */
export function serve(request: IncomingMessage, response: ServerResponse, serving: Serving): void {
  const { content, headers = {}, rangeValidator, cutAt, stallAt } = serving;
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const ranged =
    asked !== null && rangeValidator !== undefined && request.headers['if-range'] === rangeValidator;
  const start = ranged ? Number(asked[1]) : 0;
  const length = content.length - start;
  response.writeHead(ranged ? 206 : 200, {
    ...(serving.chunked ? {} : { 'content-length': String(length) }),
    ...(ranged ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    ...headers,
  });
  const end = cutAt ?? stallAt;
  if (end === undefined) {
    response.end(content.subarray(start));
    return;
  }
  response.write(content.subarray(start, Math.max(start, end)), () => {
    if (cutAt !== undefined) response.destroy();
  });
  response.flushHeaders();
}
