import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { openBytes } from '#test/support/open-bytes.js';
import { type SourceServer, serve, startSourceServer } from '#test/support/source-server.js';
import { sourceSettings } from '#test/support/source-settings.js';

/** HT1 and HT2 of http-download.ts, for servers of every kind: bytes of one version, each once, or an error. */

const OLD = 'Mon, 05 Oct 2020 08:00:00 GMT';

/** How the resource is served; the same in all requests. */
const abilities = fc.record({
  validator: fc.constantFrom('strong', 'weak', 'date', 'none'),
  ranges: fc.constantFrom('proper', 'ignored', 'wrong start', 'wrong total', '416'),
  chunked: fc.boolean(),
  gzip: fc.boolean(),
});

/** What goes wrong, request by request, until a request goes well. Positions are shares of the content. */
const mishaps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ cutAt: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    { weight: 1, arbitrary: fc.record({ status: fc.constantFrom(429, 500, 503) }) },
    { weight: 1, arbitrary: fc.constant({ noAnswer: true as const }) },
  ),
  { maxLength: 8 },
);

const sizes = fc.integer({ min: 1, max: 100_000 });

function bytesOf(size: number, seed: string): Buffer {
  const block = createHash('sha512').update(seed).digest();
  // Lines, so that gzip has something to find; the number keeps any two of them apart.
  return Buffer.from(
    Array.from({ length: size / 20 + 1 }, (_, n) => `${n}:${block.toString('hex', n % 32)}`).join('\n'),
  ).subarray(0, size);
}

const packedVersions = new WeakMap<Buffer, Buffer>();

/** Once a version: most are asked for several times. */
function packed(version: Buffer): Buffer {
  const known = packedVersions.get(version) ?? gzipSync(version);
  packedVersions.set(version, known);
  return known;
}

interface Mishap {
  readonly cutAt?: number;
  readonly status?: number;
  readonly noAnswer?: true;
}

interface Case {
  readonly abilities: typeof abilities extends fc.Arbitrary<infer T> ? T : never;
  readonly mishaps: readonly Mishap[];
  /** The content that request n is answered from. */
  readonly versionOf: (request: number) => Buffer;
}

let server: SourceServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** What was delivered, and the code of the error that ended it; null if it ended well. */
async function deliver({
  abilities,
  mishaps,
  versionOf,
}: Case): Promise<{ bytes: Buffer; code: string | null }> {
  server = await startSourceServer((request, response, number) => {
    const version = versionOf(number);
    const content = abilities.gzip ? packed(version) : version;
    const tag = createHash('md5').update(version).digest('hex');
    const headers: Record<string, string> = {
      ...(abilities.validator === 'strong' ? { etag: `"${tag}"` } : {}),
      ...(abilities.validator === 'weak' ? { etag: `W/"${tag}"` } : {}),
      ...(abilities.validator === 'date' ? { 'last-modified': dateOf(tag) } : {}),
    };
    const validator = headers.etag ?? headers['last-modified'];
    const mishap = mishaps[number];
    const ranged = request.headers.range !== undefined && request.headers['if-range'] === validator;
    if (mishap?.noAnswer) request.socket.destroy();
    else if (mishap?.status) response.writeHead(mishap.status).end();
    else if (ranged && abilities.ranges === '416') response.writeHead(416).end();
    else if (ranged && abilities.ranges === 'wrong start') {
      const range = `bytes 0-${content.length - 1}/${content.length}`;
      response.writeHead(206, { ...headers, 'content-range': range }).end(content);
    } else if (ranged && abilities.ranges === 'wrong total') {
      const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
      const rest = Buffer.concat([Buffer.from('another'), content.subarray(start)]);
      const range = `bytes ${start}-${content.length + 6}/${content.length + 7}`;
      response.writeHead(206, { ...headers, 'content-range': range }).end(rest);
    } else {
      serve(request, response, {
        content,
        headers,
        chunked: abilities.chunked,
        ...(abilities.ranges === 'proper' && validator !== undefined ? { rangeValidator: validator } : {}),
        ...(mishap?.cutAt === undefined ? {} : { cutAt: Math.floor(mishap.cutAt * content.length) }),
      });
    }
  });
  const settings = sourceSettings({ retryFactorMs: 0, retries: mishaps.length });
  const chunks: Buffer[] = [];
  try {
    const source = await openBytes(
      { uri: server.url(), own: { trustedCaller: true } },
      settings,
      new AbortController().signal,
    );
    for await (const chunk of source.chunks) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), code: null };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), code: (error as { code: string }).code };
  } finally {
    await server.close();
  }
}

/** An old date that differs from version to version. */
function dateOf(tag: string): string {
  return new Date(Date.parse(OLD) + (parseInt(tag.slice(0, 4), 16) % 50_000) * 1000).toUTCString();
}

describe('an interrupted download', () => {
  it('delivers every byte once, whatever the server can and however often it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(abilities, mishaps, sizes, async (able, wrong, size) => {
        const content = bytesOf(size, 'same');
        const { bytes, code } = await deliver({ abilities: able, mishaps: wrong, versionOf: () => content });
        expect(code).toBeNull();
        expect(bytes.equals(content)).toBe(true);
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  it('never mixes two versions of a source that changes meanwhile', async () => {
    const switches = fc.record({
      request: fc.integer({ min: 1, max: 6 }),
      byte: fc.double({ min: 0, max: 0.999, noNaN: true }),
    });
    const seen = new Set<string | null>();
    await fc.assert(
      fc.asyncProperty(abilities, mishaps, sizes, switches, async (able, wrong, size, change) => {
        const before = bytesOf(size, 'same');
        const after = Buffer.from(before);
        const at = Math.floor(change.byte * size);
        after.writeUInt8((after.readUInt8(at) + 1) % 128, at);
        const versionOf = (request: number): Buffer => (request < change.request ? before : after);
        const { bytes, code } = await deliver({ abilities: able, mishaps: wrong, versionOf });
        seen.add(code);
        if (code === null) expect([before, after].some((version) => bytes.equals(version))).toBe(true);
        // Only the source may be blamed, and what was delivered before is the beginning of one version.
        else {
          expect(code).toBe('SOURCE_CHANGED');
          expect([before, after].some((version) => bytes.equals(version.subarray(0, bytes.length)))).toBe(
            true,
          );
        }
      }),
      { numRuns: 200 },
    );
    expect(seen).toEqual(new Set([null, 'SOURCE_CHANGED']));
  }, 60_000);
});
