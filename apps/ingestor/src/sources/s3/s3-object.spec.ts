import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setAwsCredentials } from '#test/support/aws-credentials.js';
import { openBytes } from '#test/support/open-bytes.js';
import { type SourceServer, startSourceServer } from '#test/support/source-server.js';
import { type SourceSettings, sourceSettings } from '#test/support/source-settings.js';
import { Lifetime } from '../lifetime.js';
import { parseS3Address } from './s3-address.js';
import { openObject } from './s3-object.js';
import { S3Config } from './s3.config.js';

/** OB1–OB4 are invariants of s3-object.ts: a store that behaves as badly as it likes. A real one is in s3.medium-spec.ts. */

const CONTENT = Buffer.from(Array.from({ length: 40_000 }, (_, at) => `line ${at}\n`).join(''));
const ETAG = '"v1"';
const URI = 's3://bucket/data.csv';

type Answer = (request: IncomingMessage, response: ServerResponse, number: number) => void;

describe('an object of a store', () => {
  let server: SourceServer | undefined;
  let restore: () => void;

  beforeEach(() => {
    restore = setAwsCredentials({ accessKeyId: 'canary', secretAccessKey: 'canary' });
  });

  afterEach(async () => {
    restore();
    await server?.close();
    server = undefined;
  });

  /** @param onRetry as in `SourceAccess` */
  async function read(
    answer: Answer,
    changes: SourceSettings = {},
    onRetry: (code: string) => void = () => undefined,
  ): Promise<Buffer> {
    server = await startSourceServer(answer);
    const settings = sourceSettings({
      ...{ s3Endpoint: `http://127.0.0.1:${server.port}`, retryFactorMs: 0, retries: 2 },
      ...changes,
    });
    const own = { trustedCaller: true };
    const { signal } = new AbortController();
    const source = await openBytes({ uri: URI, own }, settings, signal, undefined, onRetry);
    const chunks: Buffer[] = [];
    for await (const chunk of source.chunks) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  const ranges = (): unknown[] =>
    (server?.requests ?? []).map(({ headers }) => [headers.range, headers['if-match']]);

  it('continues behind what has come when the store drops the connection, of the same version (OB1, OB3)', async () => {
    const cuts = [100_000, 200_000, 300_000];
    const cutting = store({ cutAt: (number) => cuts[number] });
    const retried: string[] = [];
    const content = await read(cutting, { retryRenewalBytes: 50_000 }, (code) => retried.push(code));
    expect(content).toEqual(CONTENT);
    expect(retried).toEqual(cuts.map(() => 'SOURCE_TRUNCATED'));
    expect(ranges()).toEqual([[undefined, undefined], ...cuts.map((at) => [`bytes=${at}-`, ETAG])]);
  });

  it('is given up when no bytes come any more (OB3)', async () => {
    await expect(read(store({ cutAt: () => 100_000 }))).rejects.toMatchObject({
      code: 'SOURCE_TRUNCATED',
      message: expect.stringMatching(
        /^s3:\/\/bucket\/data\.csv was cut: .* 100000 of \d+ bytes had come before\. Given up after 2 retries\.$/,
      ),
    });
    expect(server?.requests).toHaveLength(3);
  });

  it('that stands still is asked for again, and then given up', async () => {
    const settings = { idleTimeoutMs: 100, retries: 1 };
    await expect(read(store({ stallAt: () => 1_000 }), settings)).rejects.toMatchObject({
      code: 'SOURCE_STALLED',
    });
    expect(ranges()).toHaveLength(2);
  });

  it('is not waited for while its reader is slow', async () => {
    server = await startSourceServer(store({}));
    const lifetime = new Lifetime(new AbortController().signal);
    const config = Object.assign(new S3Config(), {
      ...{ s3Endpoint: `http://127.0.0.1:${server.port}`, idleTimeoutMs: 60, retries: 0 },
    });
    const access = { isTrusted: true, began: null, lifetime, onRetry: () => undefined };
    const { chunks } = await openObject(parseS3Address(URI), config, access);
    const first = await chunks.next();
    let bytes = first.done === true ? 0 : first.value.length;
    // Longer than a store may be silent: what is measured is a time, so nothing else can be waited for.
    await new Promise((resolve) => setTimeout(resolve, 200));
    for await (const chunk of chunks) bytes += chunk.length;
    expect(bytes).toBe(CONTENT.length);
    await lifetime.end();
  });

  it.each<[string, Serving]>([
    ['with another ETag, of a store that does not know If-Match', { ignoresIfMatch: true }],
    ['and refuses by If-Match', {}],
    ['with another size', { ignoresIfMatch: true, keepsEtag: true, grows: true }],
  ])('that is replaced between two ranges fails as changed: %s (OB1)', async (_what, more) => {
    const replaced = store({ ...more, cutAt: (number) => (number === 0 ? 1_000 : undefined), replacedAt: 1 });
    await expect(read(replaced)).rejects.toMatchObject({ code: 'SOURCE_CHANGED' });
  });

  it('of which another range comes than was asked for fails', async () => {
    const whole = store({ cutAt: (number) => (number === 0 ? 1_000 : undefined), ignoresRange: true });
    await expect(read(whole)).rejects.toMatchObject({ code: 'SOURCE_SERVER_ERROR' });
  });

  it.each([
    [503, 'SlowDown', 'SOURCE_SERVER_ERROR', 3],
    [500, 'InternalError', 'SOURCE_SERVER_ERROR', 3],
    [404, 'NoSuchKey', 'SOURCE_NOT_FOUND', 1],
    [404, 'NoSuchBucket', 'SOURCE_NOT_FOUND', 1],
    [403, 'AccessDenied', 'SOURCE_FORBIDDEN', 1],
    [403, 'SignatureDoesNotMatch', 'SOURCE_FORBIDDEN', 1],
    [403, 'InvalidObjectState', 'SOURCE_FORBIDDEN', 1],
    [400, 'ExpiredToken', 'SOURCE_FORBIDDEN', 1],
    [403, 'RequestTimeTooSkewed', 'SOURCE_FORBIDDEN', 1],
    [418, 'Odd', 'SOURCE_SERVER_ERROR', 1],
  ])(
    'answered with %i %s ends as %s after %i requests, without the store’s words',
    async (status, name, code, requests) => {
      const error: unknown = await read((_request, response) => {
        response.writeHead(status, { 'content-type': 'application/xml' });
        response.end(`<Error><Code>${name}</Code><Message>canary</Message></Error>`);
      }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code });
      expect((error as Error).message).not.toContain('canary');
      expect(server?.requests).toHaveLength(requests);
    },
  );

  it('says that a store cannot be connected to', async () => {
    const settings = { s3Endpoint: 'http://127.0.0.1:1' };
    await expect(read(store({}), settings)).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
  });

  it('fails when its bytes do not have the checksum that its store names', async () => {
    const wrong = store({ headers: { 'x-amz-checksum-crc32': 'AAAAAA==' } });
    await expect(read(wrong)).rejects.toMatchObject({ code: 'SOURCE_CORRUPT' });
  });

  it.each([
    ['', 'SOURCE_NOT_ALLOWED'],
    ['other, bucket', 'SOURCE_EMPTY'],
  ])(
    'is for callers without the token only in allowed buckets: of "%s" it ends with %s (OB4)',
    async (s3Buckets, code) => {
      server = await startSourceServer(store({ content: Buffer.alloc(0) }));
      const settings = sourceSettings({ s3Endpoint: `http://127.0.0.1:${server.port}`, s3Buckets });
      const opened = openBytes(
        { uri: URI, own: { trustedCaller: false } },
        settings,
        new AbortController().signal,
      );
      await expect(opened).rejects.toMatchObject({ code });
      expect(server.requests).toHaveLength(code === 'SOURCE_NOT_ALLOWED' ? 0 : 1);
    },
  );
});

interface Serving {
  readonly content?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the object, by the number of the request: from there on nothing comes, and the connection is dropped. */
  readonly cutAt?: (number: number) => number | undefined;
  /** The same, but the connection stays. */
  readonly stallAt?: (number: number) => number | undefined;
  readonly ignoresRange?: boolean;
  readonly ignoresIfMatch?: boolean;
  /** From this request on the object is another one. */
  readonly replacedAt?: number;
  readonly keepsEtag?: boolean;
  readonly grows?: boolean;
}

function store(serving: Serving): Answer {
  return ({ headers }, response, number) => {
    const { content: whole = CONTENT, replacedAt = Infinity, keepsEtag = false, grows = false } = serving;
    const isReplaced = number >= replacedAt;
    const content = isReplaced && grows ? Buffer.concat([whole, whole]) : whole;
    const etag = isReplaced && !keepsEtag ? '"v2"' : ETAG;
    const wanted = headers['if-match'];
    if (wanted !== undefined && wanted !== etag && serving.ignoresIfMatch !== true) {
      response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>');
      return;
    }
    const asked = serving.ignoresRange === true ? null : /^bytes=(\d+)-$/.exec(headers.range ?? '');
    const start = Number(asked?.[1] ?? 0);
    response.writeHead(asked ? 206 : 200, {
      etag,
      'content-length': content.length - start,
      ...(asked ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
      ...serving.headers,
    });
    const end = serving.cutAt?.(number) ?? serving.stallAt?.(number);
    if (end === undefined) {
      response.end(content.subarray(start));
      return;
    }
    response.flushHeaders();
    response.write(content.subarray(start, Math.max(start, end)), () => {
      if (serving.cutAt !== undefined) response.destroy();
    });
  };
}
