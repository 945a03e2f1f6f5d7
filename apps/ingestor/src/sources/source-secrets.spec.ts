import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { expectNoSecrets } from '#test/support/no-secrets.js';
import { openBytes } from '#test/support/open-bytes.js';
import { type SourceServer, serve, startSourceServer } from '#test/support/source-server.js';
import { type SourceSettings, sourceSettings } from '#test/support/source-settings.js';
import { SOURCE_KINDS } from './source-kinds.js';

/** A source's credentials appear nowhere: not in a message, a stack, a cause, nor in any object that is printed. */

const CANARIES = ['canary-user', 'canary-word', 'canary-query', 'canary-hash', 'canary-redirect'];
/** As the header would show them. */
const ENCODED = Buffer.from('canary-user:canary-word').toString('base64');

let server: SourceServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

function withSecrets(host: string, scheme = 'http'): string {
  return `${scheme}://canary-user:canary-word@${host}/data.csv?key=canary-query#canary-hash`;
}

function expectClean(...shown: unknown[]): void {
  expectNoSecrets([...CANARIES, ENCODED], ...shown);
}

async function failureOf(uri: string, changes: SourceSettings = {}): Promise<unknown> {
  const settings = sourceSettings({ retryFactorMs: 0, retries: 1, idleTimeoutMs: 100, ...changes });
  try {
    const source = await openBytes(
      { uri, own: { trustedCaller: true } },
      settings,
      new AbortController().signal,
    );
    for await (const chunk of source.chunks) expectClean(chunk.length);
  } catch (error) {
    return error;
  }
  return null;
}

describe('credentials', () => {
  const content = Buffer.alloc(100_000, 'x');
  type Answer = Parameters<typeof startSourceServer>[0];

  it.each<[string, Answer]>([
    ['a missing file', (_request, response) => response.writeHead(404).end()],
    ['a forbidden file', (_request, response) => response.writeHead(403).end()],
    ['a busy server', (_request, response) => response.writeHead(503).end()],
    [
      'a redirect without end',
      (_request, response) => response.writeHead(302, { location: '/x?key=canary-redirect' }).end(),
    ],
    [
      'a redirect to metadata',
      (_request, response) =>
        response
          .writeHead(302, {
            location: 'http://canary-redirect:canary-redirect@169.254.169.254/?canary-redirect',
          })
          .end(),
    ],
    [
      'a redirect to another scheme',
      (_request, response) =>
        response
          .writeHead(302, { location: 'ftp://canary-redirect:canary-redirect@host/?canary-redirect' })
          .end(),
    ],
    [
      'a redirect to nonsense',
      (_request, response) => response.writeHead(302, { location: 'http://canary-redirect:@' }).end(),
    ],
    ['a dropped connection', (request) => request.socket.destroy()],
    [
      'a cut body',
      (request, response) => {
        serve(request, response, { content, cutAt: 50_000 });
      },
    ],
    [
      'a stalled body',
      (request, response) => {
        serve(request, response, { content, stallAt: 50_000 });
      },
    ],
    [
      'a changed body',
      (request, response, number) => {
        serve(
          request,
          response,
          number === 0 ? { content, cutAt: 50_000 } : { content: Buffer.alloc(100_000, 'y') },
        );
      },
    ],
    ['an empty body', (_request, response) => response.end()],
    [
      'an unknown encoding',
      (_request, response) => response.writeHead(200, { 'content-encoding': 'br' }).end('x'),
    ],
    ['a broken gzip', (_request, response) => response.end(Buffer.from('1f8b08ff', 'hex'))],
    [
      'a double gzip',
      (request, response) => {
        serve(request, response, { content: Buffer.from('1f8b08', 'hex') });
      },
    ],
  ])('are not revealed by the error of %s', async (_what, answer) => {
    server = await startSourceServer(answer);
    const error = await failureOf(withSecrets(`127.0.0.1:${server.port}`));
    expect(error).toMatchObject({ name: 'SluiceError', code: expect.stringMatching(/^SOURCE_/) });
    expectClean(error);
  });

  it.each<[string, SourceSettings]>([
    ['too large a body', { maxBytes: 10 }],
    ['denied addresses', { privateAddresses: 'deny' }],
  ])('are not revealed by the error of %s', async (_what, changes) => {
    server = await startSourceServer((request, response) => {
      serve(request, response, { content });
    });
    const error = await failureOf(withSecrets(`127.0.0.1:${server.port}`), changes);
    expect(error).toMatchObject({ code: expect.stringMatching(/TOO_LARGE|NOT_ALLOWED/) });
    expectClean(error);
  });

  it.each([
    ['an unknown name', withSecrets('nowhere.invalid')],
    ['a refused address', withSecrets('169.254.169.254')],
    ['a port without a listener', withSecrets('127.0.0.1:1')],
    ['another scheme', withSecrets('bucket', 's3')],
    ['a URL without host', 'http://canary-user:canary-word@'],
    ['a URL with a bad port', 'http://canary-user:canary-word@host:99999/?canary-query'],
    ['no URL', 'canary-user:canary-word/host'],
    ['a relative path', 'canary-user/canary-word.csv'],
    ['a file URL', 'file://canary-user:canary-word@host/data.csv?canary-query'],
  ])('are not revealed by the error of %s', async (_what, uri) => {
    const error = await failureOf(uri);
    expect(error).toMatchObject({ name: 'SluiceError', code: expect.stringMatching(/^SOURCE_/) });
    expectClean(error);
  });

  it('are not revealed by a server that does not speak HTTP', async () => {
    const echo = createTcpServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const error = await failureOf(withSecrets(`127.0.0.1:${(echo.address() as AddressInfo).port}`));
    await new Promise((resolve) => echo.close(resolve));
    expect(error).toMatchObject({ code: 'SOURCE_SERVER_ERROR' });
    expectClean(error);
  });

  it('are used, but not shown by an open source or its description', async () => {
    server = await startSourceServer((request, response) => {
      serve(request, response, { content });
    });
    const uri = withSecrets(`127.0.0.1:${server.port}`);
    const source = await openBytes(
      { uri, own: { trustedCaller: true } },
      sourceSettings(),
      new AbortController().signal,
    );
    expectClean(
      source,
      source.chunks,
      source.chunks[Symbol.asyncIterator](),
      SOURCE_KINDS.describe(uri, { isTrusted: true }),
      SOURCE_KINDS.parse(uri),
    );
    await source.close();
    expectClean(source);
    expect(server.requests).toEqual([
      {
        path: '/data.csv?key=canary-query',
        headers: expect.objectContaining({ authorization: `Basic ${ENCODED}` }),
      },
    ]);
  });
});
