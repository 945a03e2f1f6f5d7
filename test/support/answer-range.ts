import type { ServerResponse } from 'node:http';
import { Readable, pipeline } from 'node:stream';

const PIECE_BYTES = 64 * 1024;

/**
 * Answers with a content, or with the rest of it that a header `Range` asks for (`bytes=N-`), only as fast as the client takes it.
 * @param range undefined: all of it
 * @param count called with the bytes of each piece that is taken
 */
export function answerRange(
  response: ServerResponse,
  { content, etag }: { readonly content: Buffer; readonly etag: string },
  range: string | undefined,
  count: (bytes: number) => void,
): void {
  const asked = /^bytes=(\d+)-$/.exec(range ?? '');
  const start = Number(asked?.[1] ?? 0);
  response.writeHead(asked ? 206 : 200, {
    etag,
    'content-length': content.length - start,
    ...(asked ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
  });
  // A client that goes away in the middle is what some tests are about.
  pipeline(Readable.from(piecesOf(content, start, count)), response, () => undefined);
}

function* piecesOf(content: Buffer, start: number, count: (bytes: number) => void): Generator<Buffer> {
  for (let at = start; at < content.length; at += PIECE_BYTES) {
    const piece = content.subarray(at, at + PIECE_BYTES);
    count(piece.length);
    yield piece;
  }
}
