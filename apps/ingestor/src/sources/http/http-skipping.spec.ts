import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import {
  CONTENT,
  HALF,
  OLD,
  askedRanges,
  bytesOf,
  expectSame,
  open,
  server,
  start,
  startServing,
  withCode,
} from '#test/support/http-sources.js';
import { serve } from '#test/support/source-server.js';
import type { ByteSource } from '../byte-source.js';

/** Reading on from an offset, against real servers; HT6 is an invariant of http-download.ts. */

describe('skipping to an offset (HT6)', () => {
  const v1 = { headers: { etag: '"v1"' }, rangeValidator: '"v1"' };

  /** A source of which the first chunk has been read, as of a head. */
  async function begun(): Promise<ByteSource> {
    const source = await open();
    await source.chunks[Symbol.asyncIterator]().next();
    return source;
  }

  it.each([
    ['a strong ETag', v1, '"v1"'],
    ['a Last-Modified that is old enough', { headers: { 'last-modified': OLD }, rangeValidator: OLD }, OLD],
  ])('asks with %s for the rest only', async (_what, serving, validator) => {
    await startServing(serving);
    const source = await begun();
    expect(source.identity.validator).toBe(validator);
    expect(await source.skipTo(HALF)).toBe(true);
    expectSame(await bytesOf(source), CONTENT.subarray(HALF));
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`]);
    expect(server.requests[1]?.headers).toMatchObject({
      'if-range': validator,
      'accept-encoding': 'identity',
    });
  });

  it('asks for nothing at the very end, and never beyond it', async () => {
    await startServing(v1);
    const source = await begun();
    expect(await source.skipTo(CONTENT.length + 1)).toBe(false);
    expect(await source.skipTo(CONTENT.length)).toBe(true);
    expectSame(await bytesOf(source), Buffer.alloc(0));
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['a weak ETag', { headers: { etag: 'W/"v1"' } }, 1],
    ['no validator', {}, 1],
    ['no length', { headers: { etag: '"v1"' }, chunked: true }, 1],
    ['Accept-Ranges: none', { headers: { etag: '"v1"', 'accept-ranges': 'none' } }, 1],
    ['packed content', { ...v1, content: gzipSync(CONTENT, { level: 0 }) }, 1],
    ['an answer of 200', { headers: { etag: '"v1"' } }, 2],
  ])('is refused with %s, and reading continues as before', async (_what, serving, requests) => {
    await startServing(serving);
    const source = await open();
    const iterator = source.chunks[Symbol.asyncIterator]();
    const first = await iterator.next();
    expect(await source.skipTo(HALF)).toBe(false);
    expectSame(Buffer.concat([first.value as Buffer, await bytesOf(source)]), CONTENT);
    expect(server.requests).toHaveLength(requests);
  });

  it.each([
    ['another start', { 'content-range': `bytes ${HALF - 1}-${CONTENT.length - 1}/${CONTENT.length}` }],
    ['another total', { 'content-range': `bytes ${HALF}-${CONTENT.length}/${CONTENT.length + 1}` }],
    ['no Content-Range', {}],
    [
      'another ETag',
      { 'content-range': `bytes ${HALF}-${CONTENT.length - 1}/${CONTENT.length}`, etag: '"v2"' },
    ],
  ])('is refused after a 206 with %s', async (_what, headers) => {
    await start((request, response, number) => {
      if (number === 0) serve(request, response, { content: CONTENT, ...v1 });
      else response.writeHead(206, { etag: '"v1"', ...headers }).end(CONTENT.subarray(HALF));
    });
    expect(await (await begun()).skipTo(HALF)).toBe(false);
  });

  it('survives interruptions, by Range and by a whole body of the same validator', async () => {
    const later = HALF + 1000;
    await startServing(v1, { ...v1, cutAt: later }, { headers: v1.headers, cutAt: later + 1000 }, v1);
    const source = await begun();
    expect(await source.skipTo(HALF)).toBe(true);
    expectSame(await bytesOf(source), CONTENT.subarray(HALF));
    expect(askedRanges()).toStrictEqual([
      undefined,
      `bytes=${HALF}-`,
      `bytes=${later}-`,
      `bytes=${later + 1000}-`,
    ]);
  });

  it('waits for a server that is busy', async () => {
    await start((request, response, number) => {
      if (number === 1) response.writeHead(503).end();
      else serve(request, response, { content: CONTENT, ...v1 });
    });
    const source = await begun();
    expect(await source.skipTo(HALF)).toBe(true);
    expectSame(await bytesOf(source), CONTENT.subarray(HALF));
  });

  it('fails when the source changes afterwards, though the bytes behind the offset are the same', async () => {
    const changedBefore = Buffer.from(CONTENT);
    changedBefore.write('X', 10);
    await startServing(
      v1,
      { ...v1, cutAt: HALF + 1000 },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: changedBefore },
    );
    const source = await begun();
    expect(await source.skipTo(HALF)).toBe(true);
    await expect(bytesOf(source)).rejects.toEqual(withCode('SOURCE_CHANGED', /ETag/));
  });
});
