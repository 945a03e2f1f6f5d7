import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** A file that others can fetch as long as it is served. */
export interface ServedFile {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves one file over HTTP on a free port of 127.0.0.1, the way a good publisher does: length, a strong
 * ETag, and Range with If-Range, so that a broken download continues where it was.
 */
export async function serveFile(file: string, path: string): Promise<ServedFile> {
  const { size, mtimeMs } = statSync(file);
  const etag = `"${size.toString(16)}-${Math.round(mtimeMs).toString(16)}"`;
  const server = createServer((request, response) => {
    answer(request, response, { file, path, size, etag }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${path}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Served {
  readonly file: string;
  readonly path: string;
  readonly size: number;
  readonly etag: string;
}

async function answer(request: IncomingMessage, response: ServerResponse, served: Served): Promise<void> {
  if (request.url !== served.path) {
    response.writeHead(404).end();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const { file, size, etag } = served;
  const start = wantedStart(request, served);
  if (start !== undefined && start >= size) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  response.writeHead(start === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': size - (start ?? 0),
    'accept-ranges': 'bytes',
    etag,
    ...(start === undefined ? {} : { 'content-range': `bytes ${start}-${size - 1}/${size}` }),
  });
  if (request.method === 'HEAD') response.end();
  else await pipeline(createReadStream(file, { start: start ?? 0 }), response);
}

/** `Range: bytes=N-`, which is all that resuming needs; any other range gets the whole file (RFC 9110, 14.2). */
function wantedStart(request: IncomingMessage, { etag }: Served): number | undefined {
  const ifRange = request.headers['if-range'];
  const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  return start === undefined || (ifRange !== undefined && ifRange !== etag) ? undefined : Number(start);
}
