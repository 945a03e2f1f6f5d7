import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import {
  CONTENT,
  HALF,
  OLD,
  expectSame,
  open,
  read,
  server,
  start,
  startServing,
  withCode,
} from '#test/support/http-sources.js';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import { sourceSettings } from '#test/support/source-settings.js';
import { serve, startSourceServer } from '#test/support/source-server.js';
import { Lifetime } from '../lifetime.js';
import { openSource } from '../open-source.js';
import type { AddressClass, AddressPolicy } from './address-guard.js';
import { HttpAddress } from './http-address.js';
import { HttpClient } from './http-client.js';
import { HttpConfig } from './http.config.js';

/** What http sources answer, and where they lead; against real servers. HT5: see http-download.ts. */

describe('an http source', () => {
  it('delivers the body and knows its identity', async () => {
    await startServing({ headers: { etag: '"v1"', 'last-modified': OLD } });
    const source = await open();
    expect(source.identity).toEqual({
      bytes: CONTENT.length,
      etag: '"v1"',
      lastModified: OLD,
      validator: '"v1"',
    });
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
  ])('takes %i as final: %s (HT5)', async (status, code) => {
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

  it('on this machine is for callers with the token, unless the setting says otherwise', async () => {
    await startServing({});
    const openAs = (trustedCaller: boolean, privateAddresses?: 'token' | 'allow' | 'deny') =>
      openSource(
        { uri: server.url(), own: { trustedCaller } },
        sourceSettings(privateAddresses && { privateAddresses }),
        new AbortController().signal,
      );
    await expect(openAs(false)).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED', /with the token/));
    await expect(openAs(false, 'deny')).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
    await expect(openAs(true, 'deny')).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
    expect(server.requests).toEqual([]);
    await (await openAs(true)).close();
    await (await openAs(false, 'allow')).close();
    expect(server.requests).toHaveLength(2);
  });

  it('that is private is not reached from a public one (AG5)', async () => {
    let kind: AddressClass = 'public';
    await start((request, response) => {
      kind = request.url === '/start' ? 'private' : 'public';
      const location = `http://localhost:${server.port}${request.url === '/start' ? '/inner' : '/data'}`;
      if (request.url === '/data') response.end('data');
      else response.writeHead(302, { location }).end();
    });
    const address = new HttpAddress(new URL(server.url('/start')));
    const get = async (changes: Partial<HttpConfig>, policy: AddressPolicy): Promise<number> => {
      kind = 'public';
      const lifetime = new Lifetime(new AbortController().signal);
      const settings = Object.assign(new HttpConfig(), changes);
      try {
        return (await new HttpClient(settings, lifetime, policy, () => kind).get(address, {})).statusCode;
      } finally {
        await lifetime.end();
      }
    };
    await expect(get({}, 'allow')).rejects.toEqual(
      withCode('SOURCE_NOT_ALLOWED', /localhost.* public address redirects to a private one/),
    );
    await expect(get({}, 'deny')).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
    expect(server.requests.map(({ path }) => path)).toEqual(['/start', '/start']);
    await expect(get({ redirectsToPrivate: 'allow' }, 'allow')).resolves.toBe(200);
    await expect(get({ redirectsToPrivate: 'allow' }, 'needs-token')).rejects.toEqual(
      withCode('SOURCE_NOT_ALLOWED', /with the token/),
    );
  });

  it('without a listener is unreachable', async () => {
    await startServing({});
    const { port } = server;
    await server.close();
    await expect(open(`http://127.0.0.1:${port}/`)).rejects.toEqual(
      withCode('SOURCE_UNREACHABLE', /ECONNREFUSED/),
    );
  });

  it('that speaks another protocol is a server error', async () => {
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

  it('with a self-signed certificate is not trusted', async () => {
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
