import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { SELF_SIGNED } from '#test/support/self-signed.js';
import {
  CONTENT,
  HALF,
  expectSame,
  open,
  read,
  server,
  start,
  startServing,
  withCode,
} from '#test/support/http-sources.js';
import { serve } from '#test/support/source-server.js';

/** What servers do that no specification asks for, and curl and browsers take. */

describe('Content-Encoding', () => {
  it.each([
    'utf-8',
    'UTF8',
    'none',
    'aws-chunked',
    'identity',
    '',
    'text/csv',
    'big5',
    'utf-8, identity',
    ', none,',
  ])('%j on a plain body is no packing', async (encoding) => {
    await startServing({ headers: { 'content-encoding': encoding } });
    expectSame(await read(), CONTENT);
  });

  it.each(['aws-chunked', 'gzip, utf-8', 'none', 'x-gzip,identity', 'GZIP'])(
    '%j on a gzip does not keep it from being unpacked',
    async (encoding) => {
      await startServing({ content: gzipSync(CONTENT), headers: { 'content-encoding': encoding } });
      expectSame(await read(), CONTENT);
    },
  );

  it.each(['br', 'deflate', 'zstd', 'gzip, br', 'Compress', 'utf-8, br'])(
    '%j is a packing that cannot be undone, and is named',
    async (encoding) => {
      await startServing({ headers: { 'content-encoding': encoding } });
      await expect(open()).rejects.toEqual(
        withCode('SOURCE_UNSUPPORTED', new RegExp(`"${encoding.replaceAll('|', '')}"`)),
      );
      expect(server.requests).toHaveLength(1);
    },
  );

  it('that is not known and comes with no text is refused by name', async () => {
    const content = Buffer.concat([Buffer.from([0x8b, 0x02, 0x80, 0x01, 0x00]), CONTENT]);
    await startServing({ content, headers: { 'content-encoding': 'mystery' } });
    await expect(open()).rejects.toEqual(withCode('SOURCE_UNSUPPORTED', /"mystery"/));
    await server.close();
    await startServing({ content, headers: { 'content-encoding': 'x'.repeat(5_000) } });
    await expect(open()).rejects.toEqual(withCode('SOURCE_UNSUPPORTED', /"x{60}…"/));
  });

  it('aws-chunked with the chunks still in the body is refused', async () => {
    const content = Buffer.from(`400;chunk-signature=${'ab'.repeat(32)}\r\nid,name\r\n`);
    await startServing({ content, headers: { 'content-encoding': 'aws-chunked' } });
    await expect(open()).rejects.toEqual(withCode('SOURCE_UNSUPPORTED', /aws-chunked.*chunks of an upload/));
  });
});

describe('Location', () => {
  it.each([
    ['UTF-8', Buffer.from('/資料 (1).csv?名=值#x'), '/%E8%B3%87%E6%96%99%20(1).csv?%E5%90%8D=%E5%80%BC'],
    ['Big5', Buffer.from('2fb8eaaec62e637376', 'hex'), '/%B8%EA%AE%C6.csv'],
    ['Latin-1', Buffer.from('/caf\u{e9}.csv', 'latin1'), '/caf%E9.csv'],
    ['encoded', Buffer.from('/%E8%B3%87.csv'), '/%E8%B3%87.csv'],
  ])('in %s bytes leads to these bytes', async (_, location, path) => {
    await start((request, response) => {
      if (request.url === '/data.csv')
        response.writeHead(302, { location: location.toString('latin1') }).end();
      else serve(request, response, { content: CONTENT });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests[1]?.path).toBe(path);
  });

  it('with a host in UTF-8 leads to that host', async () => {
    await start((_request, response) => {
      const location = Buffer.from('http://ｌｏｃａｌｈｏｓｔ:1/').toString('latin1');
      response.writeHead(302, { location }).end();
    });
    await expect(open()).rejects.toEqual(withCode('SOURCE_UNREACHABLE', /http:\/\/localhost:1\//));
  });

  it('may stand there twice if it is the same', async () => {
    await start((request, response) => {
      const twice = request.url === '/data.csv' ? ['/b', '/b'] : ['/c', '/d'];
      if (request.url === '/b?') serve(request, response, { content: CONTENT });
      else response.writeHead(302, { location: twice as never }).end();
    });
    await expect(open()).rejects.toEqual(withCode('SOURCE_SERVER_ERROR', /302/));
    expect(server.requests.map(({ path }) => path)).toEqual(['/data.csv', '/b']);
  });
});

describe('cookies', () => {
  it('of a redirect come back within the chain, in the next chain not', async () => {
    await start((request, response, number) => {
      const cookie = request.headers.cookie ?? '';
      if (number === 4) response.socket?.destroy();
      else if (cookie.includes('pass=1') && request.url === '/in/data.csv')
        serve(request, response, { content: CONTENT });
      else if (request.url === '/in/data.csv') {
        response
          .writeHead(302, { location: '/gate', 'set-cookie': ['seen=yes; Path=/; HttpOnly', 'a=b'] })
          .end();
      } else
        response
          .writeHead(302, {
            location: '/in/data.csv',
            'set-cookie': ['pass=1; Path=/in', 'seen=; Max-Age=0; Path=/'],
          })
          .end();
    });
    expectSame(await read(server.url('/in/data.csv')), CONTENT);
    expect(server.requests.map(({ headers }) => headers.cookie)).toEqual([
      undefined,
      'seen=yes',
      'a=b; pass=1',
    ]);
    expectSame(await read(server.url('/in/data.csv')), CONTENT);
    expect(server.requests[3]?.headers.cookie).toBeUndefined();
  });

  it('never go to another origin, whatever their Domain says', async () => {
    await start((request, response) => {
      const other = `http://localhost:${server.port}`;
      const set = { 'set-cookie': ['a=1; Domain=localhost; Path=/', 'b=2; Path=/; Secure'] };
      if (request.headers.host?.startsWith('127.'))
        response.writeHead(302, { location: `${other}/x`, ...set }).end();
      else if (request.url === '/x')
        response.writeHead(302, { location: '/y', 'set-cookie': 'c=3; Path=/' }).end();
      else serve(request, response, { content: CONTENT });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests.map(({ headers }) => headers.cookie)).toEqual([undefined, undefined, 'c=3']);
  });

  it('of a server without measure stay within bounds', async () => {
    await start((request, response, number) => {
      const many = Array.from(
        { length: 60 },
        (_, n) => `c${number}-${n}=${'x'.repeat(n === 0 ? 5000 : 50)}; Path=/`,
      );
      if (number < 4) response.writeHead(302, { location: '/again', 'set-cookie': many }).end();
      else serve(request, response, { content: CONTENT });
    });
    expectSame(await read(), CONTENT);
    expect(server.requests.at(-1)?.headers.cookie?.split('; ')).toHaveLength(50);
  });
});

describe('statuses', () => {
  it('203 is a body like any other', async () => {
    await start((_request, response) => response.writeHead(203).end(CONTENT));
    expectSame(await read(), CONTENT);
  });

  it('say how much had come before, when a signed address ends in the middle', async () => {
    await start((request, response, number) => {
      if (number === 0) serve(request, response, { content: CONTENT, cutAt: HALF });
      else response.writeHead(403).end('Request has expired');
    });
    const text = new RegExp(`status 403\\. ${HALF} of ${CONTENT.length} bytes had come before\\.`);
    await expect(read()).rejects.toEqual(withCode('SOURCE_FORBIDDEN', text));
  });
});

/** Answers by hand, below HTTP. */
const raws: Server[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(raws.splice(0).map((raw) => new Promise((resolve) => raw.close(resolve))));
});

async function listening(raw: Server): Promise<number> {
  raws.push(raw);
  raw.listen(0, '127.0.0.1');
  if (!raw.listening) await once(raw, 'listening');
  return (raw.address() as AddressInfo).port;
}

/** @param answer is given what was asked; answers the first bytes of each connection */
async function answering(answer: (asked: string, socket: Socket) => void): Promise<number> {
  // The helper's own server is closed after each test.
  await startServing({});
  return listening(
    createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => {
        answer(bytes.toString('latin1'), socket);
      });
    }),
  );
}

describe('Content-Length beside Transfer-Encoding (RFC 9112 section 6.3)', () => {
  const chunks = (body: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]);

  it.each([
    ['the length first', ['Content-Length: 7', 'Transfer-Encoding: chunked']],
    ['the encoding first', ['Transfer-Encoding: chunked', 'Content-Length: 7']],
    ['the true length', [`Content-Length: ${CONTENT.length}`, 'Transfer-Encoding: chunked']],
    [
      'in other words',
      ['transfer-encoding: Chunked', 'Connection: close', `content-length: ${CONTENT.length + 1}`],
    ],
  ])('goes by the encoding: %s', async (_, lines) => {
    const asked: string[] = [];
    const port = await answering((request, socket) => {
      asked.push(request);
      const head = ['HTTP/1.1 200 OK', ...lines, 'ETag: "v1"', '', ''].join('\r\n');
      socket.end(Buffer.concat([Buffer.from(head), chunks(CONTENT)]));
    });
    const source = await open(`http://me:word@127.0.0.1:${port}/a?b`);
    expect(source.expectedBytes).toBeNull();
    await source.close();
    expectSame(await read(`http://127.0.0.1:${port}/a?b`), CONTENT);
    expect(asked[1]).toMatch(
      /^GET \/a\?b HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n[^]*authorization: Basic /i,
    );
  });

  it('still sees a body that is cut, and one that stalls', async () => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n';
    const part = chunks(CONTENT).subarray(0, HALF);
    const cut = await answering((_asked, socket) => {
      socket.end(Buffer.concat([Buffer.from(head), part]));
    });
    await expect(read(`http://127.0.0.1:${cut}/`, { retries: 1 })).rejects.toEqual(
      withCode('SOURCE_TRUNCATED'),
    );
    await server.close();
    const stalled = await answering((_asked, socket) => {
      socket.write(Buffer.concat([Buffer.from(head), part]));
    });
    const settings = { retries: 0, idleTimeoutMs: 50 };
    await expect(read(`http://127.0.0.1:${stalled}/`, settings)).rejects.toEqual(withCode('SOURCE_STALLED'));
  });

  it('two lengths that differ are no answer', async () => {
    const port = await answering((_asked, socket) => {
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\n${'data'.repeat(3)}`);
    });
    await expect(open(`http://127.0.0.1:${port}/`)).rejects.toEqual(
      withCode('SOURCE_SERVER_ERROR', /more than one length/),
    );
  });
});

describe('TLS', () => {
  const settings = { retries: 1, idleTimeoutMs: 5_000 };

  it.each([
    ['http', 'a server that closes', (socket: Socket) => void socket.end(), /without an answer/],
    ['http', 'a server that resets', (socket: Socket) => void socket.resetAndDestroy(), /without an answer/],
    [
      'http',
      'a TLS alert',
      (socket: Socket) => void socket.end(Buffer.from('15030100020246', 'hex')),
      /speaks TLS at this port.*https:/,
    ],
    ['https', 'a server that closes', (socket: Socket) => void socket.end(), /in the TLS handshake/],
    ['https', 'a server that resets', (socket: Socket) => void socket.resetAndDestroy(), /without an answer/],
    [
      'https',
      'an answer in plain HTTP',
      (socket: Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /does not speak TLS.*http:/,
    ],
    [
      'https',
      'an alert: no cipher in common',
      (socket: Socket) => void socket.end(Buffer.from('15030100020228', 'hex')),
      /refuses the TLS handshake/,
    ],
    [
      'https',
      'an alert: unknown name',
      (socket: Socket) => void socket.end(Buffer.from('15030300020270', 'hex')),
      /does not know this host name/,
    ],
  ])('%s to %s is said in words', async (scheme, _, answer, says) => {
    const port = await answering((_asked, socket) => {
      answer(socket);
    });
    await expect(open(`${scheme}://127.0.0.1:${port}/`, settings)).rejects.toEqual(
      withCode('SOURCE_UNREACHABLE', says),
    );
  });

  it.each([
    ['http', {}, 'SOURCE_UNREACHABLE', /without an answer/],
    ['https', { ALPNProtocols: ['h2'] }, 'SOURCE_UNREACHABLE', /does not speak HTTP\/1\.1/],
    [
      'https',
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      'SOURCE_UNREACHABLE',
      /no version of TLS from 1\.2 on/,
    ],
    ['https', {}, 'SOURCE_UNTRUSTED', /SELF_SIGNED/],
  ] as const)('%s to a TLS server with %j', async (scheme, options, code, says) => {
    await startServing({});
    const tls = createTlsServer({ ...SELF_SIGNED, ...options }, (socket) => socket.end());
    tls.on('tlsClientError', () => undefined);
    const port = await listening(tls);
    await expect(open(`${scheme}://127.0.0.1:${port}/`, settings)).rejects.toEqual(withCode(code, says));
  });
});
