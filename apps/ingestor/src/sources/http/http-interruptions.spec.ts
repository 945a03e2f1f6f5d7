import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import {
  CONTENT,
  HALF,
  OLD,
  askedRanges,
  expectSame,
  open,
  read,
  retries,
  server,
  start,
  startServing,
  withCode,
} from '#test/support/http-sources.js';
import { serve } from '#test/support/source-server.js';

/** Against real servers that misbehave; HT1 to HT5 are the invariants of http-download.ts. */

describe('interruptions', () => {
  it('resume by Range with a strong ETag (HT2)', async () => {
    await startServing(
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"', cutAt: HALF },
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"' },
    );
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`]);
    expect(server.requests[1]?.headers['if-range']).toBe('"v1"');
  });

  it('resume by Range with a Last-Modified that is old enough', async () => {
    await startServing(
      { headers: { 'last-modified': OLD }, rangeValidator: OLD, cutAt: HALF },
      { headers: { 'last-modified': OLD }, rangeValidator: OLD },
    );
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`]);
  });

  it.each([
    ['a weak ETag', { etag: 'W/"v1"' }],
    ['no validator', {}],
    ['Accept-Ranges: none', { etag: '"v1"', 'accept-ranges': 'none' }],
    ['no Content-Length', { etag: '"v1"', 'transfer-encoding': 'chunked' }],
  ])('start over with %s, without doubling', async (_what, headers) => {
    const serving = {
      headers: { ...headers },
      chunked: 'transfer-encoding' in headers,
      rangeValidator: '"v1"',
    };
    await startServing({ ...serving, cutAt: HALF }, serving);
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, undefined]);
  });

  it('start over when the server ignores Range', async () => {
    await startServing({ headers: { etag: '"v1"' }, cutAt: HALF }, { headers: { etag: '"v1"' } });
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`]);
  });

  it('take a body that ends before its Content-Length as cut (HT3)', async () => {
    await startServing({ cutAt: CONTENT.length - 1 }, {});
    expectSame(await read(), CONTENT);
    expect(server.requests).toHaveLength(2);
  });

  it('take a chunked body without its end as cut', async () => {
    await startServing({ chunked: true, cutAt: HALF }, { chunked: true });
    expectSame(await read(), CONTENT);
  });

  it('before the first byte are interruptions too', async () => {
    await start((request, response, number) => {
      if (number === 0) request.socket.destroy();
      else serve(request, response, { content: CONTENT, ...(number === 1 ? { cutAt: 0 } : {}) });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests).toHaveLength(3);
    expect(retries).toEqual(['SOURCE_UNREACHABLE', 'SOURCE_TRUNCATED']);
  });

  it('end the source when the retries are spent', async () => {
    await startServing({ cutAt: HALF });
    const text = new RegExp(`after ${HALF} of ${CONTENT.length} bytes.*Given up after 3 retries`);
    await expect(read()).rejects.toEqual(withCode('SOURCE_TRUNCATED', text));
    expect(server.requests).toHaveLength(4);
  });

  it('do not count against each other when there is progress between them', async () => {
    const step = Math.ceil(CONTENT.length / 10);
    await start((request, response, number) => {
      serve(request, response, { content: CONTENT, cutAt: step * (number + 1) });
    });
    expectSame(await read(server.url(), { retryRenewalBytes: step }), CONTENT);
    expect(server.requests).toHaveLength(10);
  });

  it('keep the delivered part of what was cut while it was compared', async () => {
    await startServing({ cutAt: HALF }, { cutAt: 10 }, {});
    expectSame(await read(), CONTENT);
  });

  it('in a compressed body are repaired below the decompression', async () => {
    const packed = gzipSync(CONTENT, { level: 1 });
    const headers = { etag: '"v1"' };
    await startServing(
      { content: packed, headers, rangeValidator: '"v1"', cutAt: 1000 },
      { content: packed, headers, rangeValidator: '"v1"' },
    );
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, 'bytes=1000-']);
  });
});

describe('a source that changes', () => {
  const other = Buffer.from(CONTENT);
  other.write('X', 10);

  it('behind a new ETag fails when the delivered part is another one (HT2)', async () => {
    await startServing(
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"', cutAt: HALF },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: other },
    );
    await expect(read()).rejects.toEqual(withCode('SOURCE_CHANGED', /same bytes/));
  });

  it('behind a new ETag continues when the delivered part is the same', async () => {
    const changedLater = Buffer.from(CONTENT);
    changedLater.write('X', CONTENT.length - 10);
    await startServing(
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"', cutAt: HALF },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: changedLater, cutAt: HALF + 1000 },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: changedLater },
    );
    expectSame(await read(), changedLater);
    expect(server.requests.map(({ headers }) => headers['if-range'])).toStrictEqual([
      undefined,
      '"v1"',
      '"v2"',
    ]);
  });

  it('is not continued by a Range of a version that was never compared', async () => {
    // The second version is cut before the comparison is done; its validator must not be used for the rest.
    await startServing(
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"', cutAt: HALF },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: other, cutAt: HALF - 10 },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: other },
    );
    await expect(read()).rejects.toEqual(withCode('SOURCE_CHANGED'));
  });

  it.each([
    ['shorter', CONTENT.subarray(0, HALF + 100)],
    ['longer', Buffer.concat([CONTENT, Buffer.from('more')])],
  ])('to a %s one fails', async (_how, content) => {
    await startServing({ cutAt: HALF }, { content });
    await expect(read()).rejects.toEqual(withCode('SOURCE_CHANGED', /size went from/));
  });

  it('to less than was delivered fails without Content-Length too', async () => {
    await startServing({ chunked: true, cutAt: HALF }, { chunked: true, content: CONTENT.subarray(0, 100) });
    await expect(read()).rejects.toEqual(withCode('SOURCE_CHANGED', /shorter/));
  });
});

describe('a wrong answer to Range (HT4)', () => {
  const rest = CONTENT.subarray(HALF);
  const last = CONTENT.length - 1;

  it.each([
    ['another start', { 'content-range': `bytes ${HALF - 1}-${last}/${CONTENT.length}` }],
    ['another total', { 'content-range': `bytes ${HALF}-${last}/${CONTENT.length + 1}` }],
    ['no total', { 'content-range': `bytes ${HALF}-${last}/*` }],
    ['no Content-Range', {}],
    ['another ETag', { 'content-range': `bytes ${HALF}-${last}/${CONTENT.length}`, etag: '"v2"' }],
  ])('a 206 with %s is not used', async (_what, headers) => {
    await start((request, response, number) => {
      if (number === 0)
        serve(request, response, { content: CONTENT, headers: { etag: '"v1"' }, cutAt: HALF });
      else if (request.headers.range) response.writeHead(206, { ...headers }).end(rest);
      else serve(request, response, { content: CONTENT, headers: { etag: '"v1"' } });
    });
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`, undefined]);
  });

  it('416 leads to the start, and to no further ranges', async () => {
    await start((request, response, number) => {
      if (request.headers.range) response.writeHead(416).end();
      else
        serve(request, response, {
          content: CONTENT,
          headers: { etag: '"v1"' },
          ...(number < 3 ? { cutAt: HALF } : {}),
        });
    });
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`, undefined, undefined]);
  });

  it('a 206 of less than was asked is continued', async () => {
    const middle = HALF + 1000;
    await start((request, response, number) => {
      const headers = { etag: '"v1"' };
      if (number === 1) {
        response.writeHead(206, {
          ...headers,
          'content-range': `bytes ${HALF}-${middle - 1}/${CONTENT.length}`,
        });
        response.end(CONTENT.subarray(HALF, middle));
      } else {
        serve(request, response, {
          content: CONTENT,
          headers,
          rangeValidator: '"v1"',
          ...(number === 0 ? { cutAt: HALF } : {}),
        });
      }
    });
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`, `bytes=${middle}-`]);
  });
});

describe('a server that stalls', () => {
  it('before the headers is left after the retries', async () => {
    await start(() => undefined);
    await expect(open(server.url(), { idleTimeoutMs: 50, retries: 1 })).rejects.toEqual(
      withCode('SOURCE_STALLED'),
    );
    expect(server.requests).toHaveLength(2);
  });

  it('within the body is left after the retries', async () => {
    await startServing({ stallAt: HALF });
    await expect(read(server.url(), { idleTimeoutMs: 50, retries: 1 })).rejects.toEqual(
      withCode('SOURCE_STALLED', new RegExp(`after ${HALF} of`)),
    );
  });

  it('once is continued elsewhere', async () => {
    await startServing({ stallAt: HALF }, {});
    expectSame(await read(server.url(), { idleTimeoutMs: 100 }), CONTENT);
  });

  it('is one only while its reader waits, not while its reader is slow', async () => {
    const large = Buffer.alloc(32 * 1024 * 1024, 'slow reader ');
    const stallAt = large.length - 1000;
    await start((request, response) => {
      if (request.url !== '/silent') serve(request, response, { content: large, stallAt });
    });
    const settings = { idleTimeoutMs: 400, retries: 0 };
    const stalled = withCode('SOURCE_STALLED');
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of (await open(server.url(), settings)).chunks) {
        // Slow for as long as it takes to give up a silent server with the same bound.
        if (bytes === 0) await expect(open(server.url('/silent'), settings)).rejects.toEqual(stalled);
        bytes += chunk.length;
      }
    })();
    await expect(reading).rejects.toEqual(stalled);
    expect(bytes).toBe(stallAt);
  }, 15_000);
});
