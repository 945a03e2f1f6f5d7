import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, expect } from '@jest/globals';
import type { ByteSource } from '../../apps/ingestor/src/sources/byte-source.js';
import { SOURCE_KINDS } from '../../apps/ingestor/src/sources/source-kinds.js';
import { openBytes } from './open-bytes.js';
import { type Serving, type SourceServer, serve, startSourceServer } from './source-server.js';
import { type SourceSettings, sourceSettings } from './source-settings.js';

/** One bad server a test, and the product's reading from it; for specs of http sources. */

export const CONTENT = Buffer.from(Array.from({ length: 20_000 }, (_, line) => `line ${line}\r\n`).join(''));
export const HALF = Math.floor(CONTENT.length / 2);
/** A Last-Modified that is strong. */
export const OLD = 'Mon, 05 Oct 2020 08:00:00 GMT';

/** The test's own, from `start` on. */
export let server: SourceServer;

/** Codes of what each further request came after, since the last `open`. */
export const retries: string[] = [];

afterEach(async () => {
  await server.close();
});

export async function start(
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<void> {
  server = await startSourceServer(answer);
}

/** Answers the first requests as listed, the last one again and again. */
export async function startServing(...servings: Partial<Serving>[]): Promise<void> {
  await start((request, response, number) => {
    serve(request, response, { content: CONTENT, ...servings[Math.min(number, servings.length - 1)] });
  });
}

export function open(uri = server.url(), changes: SourceSettings = {}): Promise<ByteSource> {
  const settings = sourceSettings({ retryFactorMs: 1, ...changes });
  retries.length = 0;
  const request = { uri, own: { trustedCaller: true } };
  return openBytes(request, settings, new AbortController().signal, SOURCE_KINDS, (code) => {
    retries.push(code);
  });
}

export async function read(uri = server.url(), changes: SourceSettings = {}): Promise<Buffer> {
  return bytesOf(await open(uri, changes));
}

/** Everything that is left. */
export async function bytesOf({ chunks }: ByteSource): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

/** Equality of buffers by Jest takes seconds a megabyte. */
export function expectSame(actual: Buffer, expected: Buffer): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.equals(expected)).toBe(true);
}

export const withCode = (code: string, message?: RegExp): unknown =>
  expect.objectContaining({ code, ...(message ? { message: expect.stringMatching(message) } : {}) });

export const askedRanges = (): (string | undefined)[] => server.requests.map(({ headers }) => headers.range);
