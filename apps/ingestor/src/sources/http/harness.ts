import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, pipeline } from 'node:stream';
import { startSourceServer } from '#test/support/source-server.js';
import type { SourceHarness } from '../source-harness.js';

const PAIR = Buffer.from('canary-user:canary-word').toString('base64');
const PATH = '/data.csv?key=canary-query';
const PIECE_BYTES = 64 * 1024;

/** A file server with strong ETags, If-Range and Basic authorization. What it hands to its sockets counts as pulled. */
const harness: SourceHarness = {
  skips: true,

  async start(content) {
    let served: { readonly content: Buffer; readonly etag: string } | null = { content, etag: '"v1"' };
    let versions = 1;
    let pulled = 0;
    const count = (bytes: number): void => {
      pulled += bytes;
    };
    const server = await startSourceServer((request, response) => {
      if (request.headers.authorization !== `Basic ${PAIR}` || request.url !== PATH) {
        response.writeHead(401).end();
      } else if (served === null) response.writeHead(404).end();
      else serve(request, response, served.content, served.etag, count);
    });
    return {
      uri: `http://canary-user:canary-word@127.0.0.1:${server.port}${PATH}#canary-hash`,
      secrets: ['canary-user', 'canary-word', 'canary-query', 'canary-hash', PAIR],
      replace: (other) => {
        served = { content: other, etag: `"v${++versions}"` };
        return Promise.resolve();
      },
      remove: () => {
        served = null;
        return Promise.resolve();
      },
      pulledBytes: () => pulled,
      openHandles: () => server.openConnections(),
      stop: () => server.close(),
    };
  },
};

export default harness;

function serve(
  { headers }: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  etag: string,
  count: (bytes: number) => void,
): void {
  const asked = headers['if-range'] === etag ? /^bytes=(\d+)-$/.exec(headers.range ?? '') : null;
  const start = Number(asked?.[1] ?? 0);
  response.writeHead(asked ? 206 : 200, {
    etag,
    'content-length': content.length - start,
    ...(asked ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
  });
  // A client that goes away in the middle is what some tests are about.
  pipeline(Readable.from(piecesOf(content, start, count)), response, () => undefined);
}

/** Only as fast as they are taken. */
function* piecesOf(content: Buffer, start: number, count: (bytes: number) => void): Generator<Buffer> {
  for (let at = start; at < content.length; at += PIECE_BYTES) {
    const piece = content.subarray(at, at + PIECE_BYTES);
    count(piece.length);
    yield piece;
  }
}
