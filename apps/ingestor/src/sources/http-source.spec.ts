import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  type Serving,
  type SourceServer,
  serve,
  startSourceServer,
} from '../../../../test/support/source-server.js';
import type { ByteSource } from './byte-source.js';
import { openSource } from './open-source.js';
import { SourceConfig } from './source.config.js';

/** Against real servers that misbehave; H1 to H5 are the invariants of http-download.ts. */
const CONTENT = Buffer.from(Array.from({ length: 20_000 }, (_, line) => `line ${line}\r\n`).join(''));
const HALF = Math.floor(CONTENT.length / 2);
const OLD = 'Mon, 05 Oct 2020 08:00:00 GMT';

let server: SourceServer;

afterEach(async () => {
  await server.close();
});

async function start(
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<void> {
  server = await startSourceServer(answer);
}

/** Answers the first requests as listed, the last one again and again. */
async function startServing(...servings: Partial<Serving>[]): Promise<void> {
  await start((request, response, number) => {
    serve(request, response, { content: CONTENT, ...servings[Math.min(number, servings.length - 1)] });
  });
}

function settings(changes: Partial<SourceConfig> = {}): SourceConfig {
  return Object.assign(new SourceConfig(), { retryFactorMs: 1 }, changes);
}

function open(uri = server.url(), changes: Partial<SourceConfig> = {}): Promise<ByteSource> {
  return openSource({ uri, trustedCaller: false }, settings(changes), new AbortController().signal);
}

async function read(uri = server.url(), changes: Partial<SourceConfig> = {}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await open(uri, changes)).chunks) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Equality of buffers by Jest takes seconds a megabyte. */
function expectSame(actual: Buffer, expected: Buffer): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.equals(expected)).toBe(true);
}

const withCode = (code: string, message?: RegExp): unknown =>
  expect.objectContaining({ code, ...(message ? { message: expect.stringMatching(message) } : {}) });

const askedRanges = (): (string | undefined)[] => server.requests.map(({ headers }) => headers.range);

describe('an http source', () => {
  it('delivers the body and knows its identity', async () => {
    await startServing({ headers: { etag: '"v1"', 'last-modified': OLD } });
    const source = await open();
    expect(source.identity).toEqual({ bytes: CONTENT.length, etag: '"v1"', lastModified: OLD });
    expect(source.expectedBytes).toBe(CONTENT.length);
    await source.close();
    expectSame(await read(), CONTENT);
  });

  it('knows no size of a chunked body', async () => {
    await startServing({ chunked: true });
    const source = await open();
    expect(source.expectedBytes).toBeNull();
    await source.close();
    expectSame(await read(), CONTENT);
  });

  it('says who it is and asks for the bytes as they are', async () => {
    await startServing({});
    await read(server.url(), { userAgent: 'Somebody/1.0 (else)' });
    expect(server.requests[0]?.headers).toMatchObject({
      'user-agent': 'Somebody/1.0 (else)',
      'accept-encoding': 'identity',
    });
    expect(server.requests[0]?.headers).not.toHaveProperty('range');
  });

  it('sends userinfo as Basic authorization', async () => {
    await startServing({});
    await read(`http://me:my%20word@127.0.0.1:${server.port}/a`);
    expect(server.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('me:my word').toString('base64')}`,
    );
  });

  it('unpacks gzip by content, announced as Content-Encoding or not', async () => {
    for (const encoding of ['identity', 'gzip']) {
      const headers = { 'content-encoding': encoding };
      await startServing({ content: gzipSync(CONTENT), headers });
      expectSame(await read(server.url('/named.csv')), CONTENT);
      await server.close();
    }
  });

  it('refuses an encoding that it cannot undo', async () => {
    await startServing({ headers: { 'content-encoding': 'br' } });
    await expect(read()).rejects.toEqual(withCode('SOURCE_UNSUPPORTED'));
  });

  it('refuses an empty body', async () => {
    await startServing({ content: Buffer.alloc(0) });
    await expect(open()).rejects.toEqual(withCode('SOURCE_EMPTY'));
  });

  it('refuses a body that announces too much, and one that turns out too large', async () => {
    await startServing({}, { chunked: true });
    await expect(open(server.url(), { maxBytes: CONTENT.length - 1 })).rejects.toEqual(
      withCode('SOURCE_TOO_LARGE'),
    );
    await expect(read(server.url(), { maxBytes: CONTENT.length - 1 })).rejects.toEqual(
      withCode('SOURCE_TOO_LARGE'),
    );
    expectSame(await read(server.url(), { maxBytes: CONTENT.length }), CONTENT);
  });
});

describe('statuses', () => {
  it.each([
    [404, 'SOURCE_NOT_FOUND'],
    [410, 'SOURCE_NOT_FOUND'],
    [401, 'SOURCE_FORBIDDEN'],
    [403, 'SOURCE_FORBIDDEN'],
    [204, 'SOURCE_EMPTY'],
    [400, 'SOURCE_SERVER_ERROR'],
    [501, 'SOURCE_SERVER_ERROR'],
    [206, 'SOURCE_SERVER_ERROR'],
  ])('takes %i as final: %s (H5)', async (status, code) => {
    await start((_request, response) => response.writeHead(status).end());
    await expect(open()).rejects.toEqual(
      withCode(code, new RegExp(`127\\.0\\.0\\.1:${server.port}/data\\.csv .*${status}`)),
    );
    expect(server.requests).toHaveLength(1);
  });

  it.each([429, 500, 502, 503, 504])('tries again after %i', async (status) => {
    await start((request, response, number) => {
      if (number < 3) response.writeHead(status).end('busy');
      else serve(request, response, { content: CONTENT });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests).toHaveLength(4);
  });

  it('gives up after the retries', async () => {
    await start((_request, response) => response.writeHead(503).end());
    await expect(open()).rejects.toEqual(withCode('SOURCE_SERVER_ERROR', /503.*Given up after 3 retries/));
    expect(server.requests).toHaveLength(4);
  });

  it('waits as long as Retry-After asks', async () => {
    let refusedAt = 0;
    let waitedMs = 0;
    await start((request, response, number) => {
      if (number === 0) {
        refusedAt = performance.now();
        response.writeHead(429, { 'retry-after': '1' }).end();
      } else {
        waitedMs = performance.now() - refusedAt;
        serve(request, response, { content: CONTENT });
      }
    });
    expectSame(await read(), CONTENT);
    expect(waitedMs).toBeGreaterThan(900); // a lower bound: slowness cannot break it
  });

  it('does not wait for a Retry-After beyond its bound', async () => {
    await start((_request, response) => response.writeHead(503, { 'retry-after': '3600' }).end());
    await expect(open()).rejects.toEqual(withCode('SOURCE_SERVER_ERROR', /3600 s/));
    expect(server.requests).toHaveLength(1);
  });
});

describe('interruptions', () => {
  it('go on by Range with a strong ETag (H2)', async () => {
    await startServing(
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"', cutAt: HALF },
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"' },
    );
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`]);
    expect(server.requests[1]?.headers['if-range']).toBe('"v1"');
  });

  it('go on by Range with a Last-Modified that is old enough', async () => {
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
  ])('start anew with %s, without doubling', async (_what, headers) => {
    const serving = {
      headers: { ...headers },
      chunked: 'transfer-encoding' in headers,
      rangeValidator: '"v1"',
    };
    await startServing({ ...serving, cutAt: HALF }, serving);
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, undefined]);
  });

  it('start anew when the server ignores Range', async () => {
    await startServing({ headers: { etag: '"v1"' }, cutAt: HALF }, { headers: { etag: '"v1"' } });
    expectSame(await read(), CONTENT);
    expect(askedRanges()).toStrictEqual([undefined, `bytes=${HALF}-`]);
  });

  it('take a body that ends before its Content-Length as cut (H3)', async () => {
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

  it('in a compressed body are mended below the decompression', async () => {
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

  it('behind a new ETag fails when the delivered part is another one (H2)', async () => {
    await startServing(
      { headers: { etag: '"v1"' }, rangeValidator: '"v1"', cutAt: HALF },
      { headers: { etag: '"v2"' }, rangeValidator: '"v2"', content: other },
    );
    await expect(read()).rejects.toEqual(withCode('SOURCE_CHANGED', /same bytes/));
  });

  it('behind a new ETag goes on when the delivered part is the same', async () => {
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

describe('a wrong answer to Range (H4)', () => {
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
    await startServing({ content: large, stallAt });
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of (await open(server.url(), { idleTimeoutMs: 400, retries: 0 })).chunks) {
        // The slowness itself; undici looks at its time-outs about once a second.
        if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 2500));
        bytes += chunk.length;
      }
    })();
    await expect(reading).rejects.toEqual(withCode('SOURCE_STALLED'));
    expect(bytes).toBe(stallAt);
  }, 15_000);
});

describe('redirects', () => {
  it('are followed, also relative ones', async () => {
    await start((request, response) => {
      if (request.url === '/data.csv')
        response.writeHead(302, { location: '../real.csv?signed=1' }).end('moved');
      else serve(request, response, { content: CONTENT });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests.map(({ path }) => path)).toEqual(['/data.csv', '/real.csv?signed=1']);
  });

  it('are followed again from the start after an interruption', async () => {
    await start((request, response, number) => {
      if (request.url === '/data.csv') response.writeHead(307, { location: `/real${number}.csv` }).end();
      else serve(request, response, { content: CONTENT, ...(number === 1 ? { cutAt: HALF } : {}) });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests.map(({ path }) => path)).toEqual([
      '/data.csv',
      '/real0.csv',
      '/data.csv',
      '/real2.csv',
    ]);
  });

  it('keep credentials within the origin', async () => {
    const other = await startSourceServer((request, response) => {
      serve(request, response, { content: CONTENT });
    });
    try {
      await start((request, response) => {
        response.writeHead(302, { location: request.url === '/a' ? '/b' : other.url('/c') }).end();
      });
      expectSame(await read(`http://me:word@127.0.0.1:${server.port}/a`), CONTENT);
      expect(server.requests.map(({ headers }) => headers.authorization !== undefined)).toEqual([true, true]);
      expect(other.requests.map(({ headers }) => headers.authorization)).toStrictEqual([undefined]);
    } finally {
      await other.close();
    }
  });

  it('end at a bound', async () => {
    await start((_request, response) => response.writeHead(301, { location: '/again' }).end());
    await expect(open()).rejects.toEqual(withCode('SOURCE_SERVER_ERROR', /more than 5 times/));
    expect(server.requests).toHaveLength(6);
  });

  it.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://2852039166/',
    'http://[::ffff:169.254.169.254]/',
    'http://[fd00:ec2::254]/',
    'http://metadata.google.internal/',
    'http://0.0.0.0/',
    'file:///etc/passwd',
  ])('to %s are not followed', async (location) => {
    await start((_request, response) => response.writeHead(302, { location }).end());
    await expect(open()).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
    expect(server.requests).toHaveLength(1);
  });

  it('without a Location are an error', async () => {
    await start((_request, response) => response.writeHead(302).end());
    await expect(open()).rejects.toEqual(withCode('SOURCE_SERVER_ERROR', /302/));
  });
});

describe('an address', () => {
  it.each(['http://169.254.169.254/latest', 'http://metadata.google.internal/', 'http://[fe80::1]/'])(
    'like %s is refused',
    async (uri) => {
      await startServing({});
      await expect(open(uri)).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
    },
  );

  it('on this machine is refused when the setting says so', async () => {
    await startServing({});
    for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
      const uri = `http://${host}:${server.port}/`;
      await expect(open(uri, { privateAddresses: 'deny' })).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
    }
    expect(server.requests).toEqual([]);
  });

  it('where nobody listens is unreachable', async () => {
    await startServing({});
    const { port } = server;
    await server.close();
    await expect(open(`http://127.0.0.1:${port}/`)).rejects.toEqual(
      withCode('SOURCE_UNREACHABLE', /ECONNREFUSED/),
    );
  });

  it('where somebody speaks another protocol is a server error', async () => {
    const chatty = createTcpServer((socket) => socket.resume().end('220 mail.example ESMTP\r\n')).listen(
      0,
      '127.0.0.1',
    );
    await startServing({});
    try {
      if (!chatty.listening) await once(chatty, 'listening');
      const { port } = chatty.address() as AddressInfo;
      await expect(open(`http://127.0.0.1:${port}/`)).rejects.toEqual(withCode('SOURCE_SERVER_ERROR', /HPE/));
    } finally {
      await new Promise((resolve) => chatty.close(resolve));
    }
  });

  it('with a certificate that nobody vouches for is not trusted', async () => {
    const secure = createTlsServer(SELF_SIGNED, (_request, response) => response.end('data')).listen(
      0,
      '127.0.0.1',
    );
    await startServing({});
    try {
      if (!secure.listening) await once(secure, 'listening');
      const { port } = secure.address() as AddressInfo;
      await expect(open(`https://127.0.0.1:${port}/`)).rejects.toEqual(
        withCode('SOURCE_UNTRUSTED', /SELF_SIGNED/),
      );
    } finally {
      await new Promise((resolve) => secure.close(resolve));
    }
  });
});

/** For localhost, valid until 2126; guards nothing. */
const SELF_SIGNED = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQXq8n5vWDeHvzhto
4aIIlk1OFtRmv95hoUpk5a0jfNihRANCAAS3oTrLpIYzDYVk+0fIX7QrgBto5OmH
pqmey04dve1utxxpl7++arsZZijUmP8NUOJnCCgdvT5Q8zvTuajf1NfE
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUDyM0utYNzYCVWcWwJZ+FBSkr6r0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTExMTk1NloYDzIxMjYxMDI4
MTExOTU2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS3oTrLpIYzDYVk+0fIX7QrgBto5OmHpqmey04dve1utxxpl7++arsZ
ZijUmP8NUOJnCCgdvT5Q8zvTuajf1NfEo28wbTAdBgNVHQ4EFgQU94vqzbb2b7+C
H6yvo9b9+X7yfj4wHwYDVR0jBBgwFoAU94vqzbb2b7+CH6yvo9b9+X7yfj4wDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgZs3xoCFiMXiaScR8D4rPQfiLQSiPNtPidziyCkvecncCIAdc
96tztK9GJF0G5xyFwOdPsgpdS4dHFgNhQocevaDk
-----END CERTIFICATE-----`,
};
