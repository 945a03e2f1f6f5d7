import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { zipSync } from 'fflate';
import { openBytes } from '#test/support/open-bytes.js';
import { sourceSettings } from '#test/support/source-settings.js';
import type { ByteSource } from '../byte-source.js';

/** FL1 to FL3 are the invariants of file-source.ts. */

let root: string;
let allowed: string;
let file: string;
const CONTENT = Buffer.alloc(1_000_000, 'file content\n');

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-files-')));
  allowed = join(root, 'allowed');
  mkdirSync(allowed);
  file = join(allowed, 'data.csv');
  writeFileSync(file, CONTENT);
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function open(uri: string, { trusted = false, folders = allowed } = {}): Promise<ByteSource> {
  const settings = sourceSettings({ sourceFolders: folders });
  return openBytes({ uri, own: { trustedCaller: trusted } }, settings, new AbortController().signal);
}

async function read(uri: string, options: { trusted?: boolean; folders?: string } = {}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await open(uri, options)).chunks) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const withCode = (code: string, message = /./): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a file source', () => {
  it('is read from an allowed folder, by path and by URL', async () => {
    for (const uri of [file, pathToFileURL(file).href]) expect((await read(uri)).equals(CONTENT)).toBe(true);
  });

  it('is identified by size and time of modification', async () => {
    utimesSync(file, 0, Date.parse('2026-10-05T08:00:00Z') / 1000);
    const source = await open(file);
    expect(source.identity).toEqual({
      bytes: CONTENT.length,
      etag: null,
      lastModified: '2026-10-05T08:00:00.000000000Z',
      validator: '2026-10-05T08:00:00.000000000Z',
    });
    expect(source.expectedBytes).toBe(CONTENT.length);
    await source.close();
  });

  it('resumes at any byte, and never beyond the end', async () => {
    for (const offset of [0, 10, CONTENT.length]) {
      const source = await open(file);
      await source.chunks[Symbol.asyncIterator]().next();
      expect(await source.skipTo(CONTENT.length + 1)).toBe(false);
      expect(await source.skipTo(offset)).toBe(true);
      const rest: Buffer[] = [];
      for await (const chunk of source.chunks) rest.push(chunk);
      expect(Buffer.concat(rest).equals(CONTENT.subarray(offset))).toBe(true);
    }
  });

  it('that is packed can be read in order only', async () => {
    writeFileSync(file, gzipSync(CONTENT));
    const source = await open(file);
    expect(await source.skipTo(10)).toBe(false);
    await source.close();
  });

  it.each([
    ['gzip', () => gzipSync(CONTENT)],
    ['zip', () => zipSync({ 'a.csv': CONTENT })],
  ])('is unpacked when it is a %s, whatever its name', async (_kind, pack) => {
    writeFileSync(file, pack());
    const source = await open(file);
    expect(source.expectedBytes).toBeNull();
    await source.close();
    expect((await read(file)).equals(CONTENT)).toBe(true);
  });

  it.each<[string, Buffer | Uint8Array, string, RegExp]>([
    ['empty', Buffer.alloc(0), 'SOURCE_EMPTY', /is empty/],
    ['an empty gzip', gzipSync(''), 'SOURCE_EMPTY', /gzip of nothing/],
    ['a zip without members', zipSync({}), 'SOURCE_EMPTY', /without members/],
    ['a zip of an empty file', zipSync({ 'a.csv': new Uint8Array() }), 'SOURCE_EMPTY', /zip of nothing/],
    [
      'a gzip of a gzip',
      gzipSync(gzipSync('data')),
      'SOURCE_UNSUPPORTED',
      /packed twice: as gzip within gzip/,
    ],
    ['a zip of a gzip', zipSync({ 'a.gz': gzipSync('data') }), 'SOURCE_UNSUPPORTED', /as gzip within zip/],
    ['xz', Buffer.from('fd377a585a0000', 'hex'), 'SOURCE_UNSUPPORTED', /packed as xz/],
    ['zstd', Buffer.from('28b52ffd0000', 'hex'), 'SOURCE_UNSUPPORTED', /packed as zstd/],
    ['a broken gzip', Buffer.from('1f8b08', 'hex'), 'SOURCE_TRUNCATED', /not the whole file/],
  ])('is refused when it is %s, before it is read', async (_what, content, code, message) => {
    writeFileSync(file, content);
    await expect(open(file)).rejects.toEqual(withCode(code, message));
  });

  it('fails with all of it when the zip has a second member', async () => {
    writeFileSync(file, zipSync({ 'a.csv': CONTENT, 'b.csv': CONTENT }));
    await expect(read(file)).rejects.toEqual(withCode('SOURCE_UNSUPPORTED', /more than one member/));
  });

  it('may be as short as one byte', async () => {
    writeFileSync(file, 'x');
    await expect(read(file)).resolves.toEqual(Buffer.from('x'));
  });
});

describe('allowed folders (FL1)', () => {
  it('are nowhere unless set', async () => {
    await expect(open(file, { folders: '' })).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
  });

  it('do not bind a trusted caller', async () => {
    expect((await read(file, { folders: '', trusted: true })).equals(CONTENT)).toBe(true);
  });

  it('do not contain what merely begins like them', async () => {
    const neighbour = `${allowed}-not`;
    mkdirSync(neighbour);
    writeFileSync(join(neighbour, 'data.csv'), CONTENT);
    await expect(open(join(neighbour, 'data.csv'))).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
  });

  it('contain what is in their folders, and what a link leads into them', async () => {
    mkdirSync(join(allowed, '..deep'));
    writeFileSync(join(allowed, '..deep', 'data.csv'), CONTENT);
    symlinkSync(allowed, join(root, 'link'));
    for (const path of [join(allowed, '..deep', 'data.csv'), join(root, 'link', 'data.csv')]) {
      expect((await read(path)).equals(CONTENT)).toBe(true);
    }
    expect((await read(file, { folders: join(root, 'link') })).equals(CONTENT)).toBe(true);
  });

  it('cannot be left by dots or symbolic links', async () => {
    const secret = join(root, 'secret.csv');
    writeFileSync(secret, 'secret');
    symlinkSync(secret, join(allowed, 'link.csv'));
    symlinkSync(root, join(allowed, 'folder'));
    const ways = [
      secret,
      `${allowed}/../secret.csv`,
      join(allowed, 'link.csv'),
      `${allowed}/folder/secret.csv`,
      `file://${allowed}/%2e%2e/secret.csv`,
    ];
    for (const way of ways) await expect(open(way)).rejects.toEqual(withCode('SOURCE_NOT_ALLOWED'));
  });

  it('hide whether anything exists outside of them', async () => {
    const messages: string[] = [];
    writeFileSync(join(root, 'there.csv'), 'secret');
    for (const path of [join(root, 'there.csv'), join(root, 'gone.csv'), join(root, 'there.csv', 'below')]) {
      await open(path).catch((error: unknown) => messages.push((error as Error).message.replace(path, '')));
    }
    expect(messages).toHaveLength(3);
    expect(new Set(messages).size).toBe(1);
  });

  it('hide it behind symbolic links within them, too, and say what is missing inside', async () => {
    mkdirSync(join(root, 'other', 'inner'), { recursive: true });
    writeFileSync(join(root, 'other', 'there.csv'), 'secret');
    symlinkSync(join(root, 'other'), join(allowed, 'away'));
    symlinkSync(join(root, 'other', 'gone.csv'), join(allowed, 'dangling.csv'));
    symlinkSync('../other/gone/too.csv', join(allowed, 'relative.csv'));
    symlinkSync(join(allowed, 'dangling.csv'), join(allowed, 'twice.csv'));
    symlinkSync(join(allowed, 'gone.csv'), join(allowed, 'inside.csv'));
    symlinkSync(join(root, 'other', 'inner'), join(allowed, 'inner'));
    const codeOf = (path: string): Promise<string> =>
      open(path).then(
        () => 'opened',
        (error: unknown) => (error as { code: string }).code,
      );
    for (const path of [
      ...['away/there.csv', 'away/gone.csv', 'away/gone/deeper/x.csv', 'away/there.csv/below'],
      ...['dangling.csv', 'relative.csv', 'twice.csv', `away/${'x'.repeat(300)}`],
      ...['inner/../there.csv', 'inner/../gone.csv', 'inner/../../allowed/../gone.csv'],
    ]) {
      expect([path, await codeOf(`${allowed}/${path}`)]).toEqual([path, 'SOURCE_NOT_ALLOWED']);
    }
    for (const path of ['gone.csv', 'inside.csv', 'gone/deeper/x.csv', 'inner/../../allowed/gone.csv']) {
      expect([path, await codeOf(`${allowed}/${path}`)]).toEqual([path, 'SOURCE_NOT_FOUND']);
    }
  });
});

describe('what is no readable file', () => {
  it.each([
    ['missing', () => join(allowed, 'gone.csv'), 'SOURCE_NOT_FOUND'],
    ['below a file', () => join(file, 'below.csv'), 'SOURCE_NOT_FOUND'],
    ['of an impossible name', () => join(allowed, 'x'.repeat(300)), 'SOURCE_NOT_FOUND'],
    ['a folder', () => join(allowed, 'inner'), 'SOURCE_UNSUPPORTED'],
    ['a fifo', () => join(allowed, 'fifo'), 'SOURCE_UNSUPPORTED'],
    ['a link to itself', () => join(allowed, 'loop'), 'SOURCE_UNSUPPORTED'],
  ])('is refused: %s', async (_what, path, code) => {
    mkdirSync(join(allowed, 'inner'));
    execFileSync('mkfifo', [join(allowed, 'fifo')]);
    symlinkSync(join(allowed, 'loop'), join(allowed, 'loop'));
    await expect(open(path())).rejects.toEqual(withCode(code));
  });

  it('is refused: a device', async () => {
    await expect(open('/dev/zero', { trusted: true })).rejects.toEqual(
      withCode('SOURCE_UNSUPPORTED', /regular/),
    );
  });

  it('is refused: a socket', async () => {
    const path = join(allowed, 'socket');
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      await expect(open(path)).rejects.toEqual(withCode('SOURCE_UNSUPPORTED'));
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('is refused: a file without permission', async () => {
    chmodSync(file, 0);
    // Root may read everything, so as root only that nothing else goes wrong can be seen.
    if (process.getuid?.() === 0) expect((await read(file)).equals(CONTENT)).toBe(true);
    else await expect(open(file)).rejects.toEqual(withCode('SOURCE_FORBIDDEN'));
  });
});

describe('a file that changes while it is read (FL3)', () => {
  it.each([
    [
      'shrinks',
      () => {
        truncateSync(file, 300_000);
      },
      /shrank|size went from/,
    ],
    [
      'grows',
      () => {
        appendFileSync(file, 'more');
      },
      /size went from/,
    ],
    [
      'is written to',
      () => {
        writeFileSync(file, Buffer.alloc(CONTENT.length, 'other'));
        utimesSync(file, 1, 1);
      },
      /written/,
    ],
  ])('fails: it %s', async (_what, change, message) => {
    const source = await open(file);
    const iterator = source.chunks[Symbol.asyncIterator]();
    await iterator.next();
    change();
    const rest = async (): Promise<void> => {
      while (!(await iterator.next()).done);
    };
    await expect(rest()).rejects.toEqual(withCode('SOURCE_CHANGED', message));
  });
});
