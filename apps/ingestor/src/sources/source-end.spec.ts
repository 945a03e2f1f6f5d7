import { fstatSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { openBytes } from '#test/support/open-bytes.js';
import { type SourceServer, serve, startSourceServer } from '#test/support/source-server.js';
import { sourceSettings } from '#test/support/source-settings.js';
import type { ByteSource } from './byte-source.js';

/** However a source ends, its sockets and files are closed. */

const CONTENT = randomBytes(1024 * 1024);
const PACKED = gzipSync(CONTENT);
const PACKED_TWICE = gzipSync(PACKED);
let server: SourceServer;
let folder: string;
let file: string;
let stop: AbortController;

beforeEach(async () => {
  server = await startSourceServer((request, response) => {
    if (request.url === '/silent') return;
    if (request.url === '/busy') response.writeHead(503, { 'retry-after': '200' }).end();
    else if (request.url === '/stall') serve(request, response, { content: CONTENT, stallAt: 100_000 });
    else if (request.url === '/gz-stall') serve(request, response, { content: PACKED, stallAt: 100_000 });
    else if (request.url === '/bad') serve(request, response, { content: PACKED_TWICE });
    else serve(request, response, { content: CONTENT });
  });
  folder = mkdtempSync(join(tmpdir(), 'sluice-ends-'));
  file = join(folder, 'data.csv');
  writeFileSync(file, CONTENT);
  stop = new AbortController();
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function open(uri: string): Promise<ByteSource> {
  return openBytes({ uri, own: { trustedCaller: true } }, sourceSettings(), stop.signal);
}

/** How often this process has the file open. */
function openDescriptors(): number {
  const wanted = statSync(file);
  return readdirSync('/dev/fd').filter((descriptor) => {
    try {
      const { ino, dev } = fstatSync(Number(descriptor));
      return ino === wanted.ino && dev === wanted.dev;
    } catch {
      return false; // the descriptor of the listing itself
    }
  }).length;
}

async function expectNothingOpen(): Promise<void> {
  await eventually(
    async () => (await server.openConnections()) === 0 && openDescriptors() === 0,
    'every socket and file to be closed',
  );
}

const sources = (): [string, string][] => [
  ['http', server.url()],
  ['file', file],
  ['gzip over http', server.url('/gz-stall')],
];

describe('a source closes everything', () => {
  it('when it is read to its end', async () => {
    for (const uri of [server.url(), file]) {
      let bytes = 0;
      for await (const chunk of (await open(uri)).chunks) bytes += chunk.length;
      expect(bytes).toBe(CONTENT.length);
      await expectNothingOpen();
    }
  });

  it('when its loop is left early', async () => {
    for (const [, uri] of sources()) {
      for await (const chunk of (await open(uri)).chunks) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await expectNothingOpen();
    }
  });

  it('when it is closed before, while and after it is read', async () => {
    for (const [, uri] of sources()) {
      const unread = await open(uri);
      await unread.close();
      await unread.close();
      await expectNothingOpen();

      const reading = await open(uri);
      const iterator = reading.chunks[Symbol.asyncIterator]();
      await iterator.next();
      await reading.close();
      await expect(iterator.next()).rejects.toMatchObject({ name: 'AbortError' });
      await expectNothingOpen();
    }
  });

  it('when it cannot be opened for what it contains', async () => {
    await expect(open(server.url('/bad'))).rejects.toMatchObject({ code: 'SOURCE_UNSUPPORTED' });
    writeFileSync(file, gzipSync(gzipSync('x')));
    await expect(open(file)).rejects.toMatchObject({ code: 'SOURCE_UNSUPPORTED' });
    await expectNothingOpen();
  });
});

describe('the signal', () => {
  const reason = new Error('cancelled');

  it('aborted already keeps a source from being opened', async () => {
    stop.abort(reason);
    for (const [, uri] of sources()) await expect(open(uri)).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });

  it.each(['/silent', '/busy'])(
    'ends opening %s: waiting for an answer, and between retries',
    async (path) => {
      const opening = open(server.url(path));
      const outcome = expect(opening).rejects.toBe(reason);
      await eventually(() => server.requests.length === 1, 'the first request');
      stop.abort(reason);
      await outcome;
      await expectNothingOpen();
    },
  );

  it.each(['/stall', '/gz-stall'])('ends reading %s in the middle', async (path) => {
    const source = await open(server.url(path));
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of source.chunks) bytes += chunk.length;
    })();
    const outcome = expect(reading).rejects.toBe(reason);
    await eventually(() => bytes > 50_000, 'the first bytes');
    stop.abort(reason);
    await outcome;
    await expectNothingOpen();
  });

  it('closes sockets and files between reads, and the next read throws', async () => {
    for (const [, uri] of sources()) {
      stop = new AbortController();
      const source = await open(uri);
      const iterator = source.chunks[Symbol.asyncIterator]();
      await iterator.next();
      stop.abort(reason);
      await expectNothingOpen();
      await expect(iterator.next()).rejects.toBe(reason);
    }
  });

  it('is released when the source ends', async () => {
    let listeners = 0;
    const { signal } = stop;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    for (const uri of [server.url(), file]) await (await open(uri)).close();
    await expect(open(`${file}.gone`)).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(listeners).toBe(0);
  });
});
