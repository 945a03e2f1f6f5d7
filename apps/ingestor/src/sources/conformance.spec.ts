import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ownPartOf } from '#core/job/job.entity.js';
import type { OwnPart } from '#core/source/own-part.js';
import { eventually } from '#test/support/eventually.js';
import { expectNoSecrets } from '#test/support/no-secrets.js';
import { openBytes } from '#test/support/open-bytes.js';
import { type SourceSettings, sourceSettings } from '#test/support/source-settings.js';
import { assertSameIdentity } from '../jobs/same-source.js';
import type { ByteSource } from './byte-source.js';
import type { SourceHarness, TestSource } from './source-harness.js';
import { SOURCE_KINDS } from './source-kinds.js';

/** The promises of README.md, asked of every registered kind that delivers bytes by its own harness. */

const MIB = 1024 * 1024;
const CONTENT = randomBytes(3 * MIB + 1);
const OTHER = randomBytes(CONTENT.length);
const TEXT = Array.from({ length: 500_000 }, (_, line) => `東${line}\n`).join('');
const TEXT_UTF16 = Buffer.from(`\ufeff${TEXT}`, 'utf16le');
/** Larger than what the operating system keeps of a connection (some 10 MiB) and the bound together. */
const LARGE = Buffer.alloc(64 * MIB);
/** What may be on the way to a reader that does not read. */
const MAX_AHEAD_BYTES = 24 * MIB;

const TRUSTED = { isTrusted: true };
const ownOf = (uri: string): OwnPart => ownPartOf(SOURCE_KINDS.describe(uri, TRUSTED));

/** As a column of jsonb returns it. */
function stored<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

const withCode = (code: RegExp): unknown => expect.objectContaining({ code: expect.stringMatching(code) });

const KINDS = SOURCE_KINDS.all().filter(({ delivers = 'bytes' }) => delivers === 'bytes');

describe.each(KINDS.map(({ name }) => name))('a source of the kind %s', (name) => {
  let harness: SourceHarness;
  let place: TestSource | undefined;

  beforeAll(async () => {
    harness = ((await import(`./${name}/harness.js`)) as { default: SourceHarness }).default;
  });

  afterEach(async () => {
    await place?.stop();
    place = undefined;
  });

  async function start(content: Buffer): Promise<TestSource> {
    return (place = await harness.start(content));
  }

  function open(
    { uri, settings: reached }: TestSource,
    changes: SourceSettings = {},
    signal = new AbortController().signal,
    encoding?: string,
    kept: { own?: OwnPart; began?: OwnPart | null } = {},
  ): Promise<ByteSource> {
    const { own = ownOf(uri), began } = kept;
    const settings = sourceSettings({ retryFactorMs: 1, ...reached, ...changes });
    return openBytes({ uri, own, began, encoding }, settings, signal);
  }

  describe('delivers', () => {
    it('each byte once, in order', async () => {
      const source = await open(await start(CONTENT));
      expect([null, CONTENT.length]).toContain(source.expectedBytes);
      expectSame(await bytesOf(source), CONTENT);
    });

    it('its unpacked content', async () => {
      const source = await open(await start(gzipSync(CONTENT)));
      expect(source.expectedBytes).toBeNull();
      expectSame(await bytesOf(source), CONTENT);
    });

    it.each([
      ['as it is stored', TEXT_UTF16],
      ['packed', gzipSync(TEXT_UTF16)],
    ])('its content decoded, from the start only: %s', async (_what, content) => {
      const source = await open(await start(content), {}, undefined, 'utf-16le');
      expect(source.expectedBytes).toBeNull();
      const first = await chunkOf(source);
      expect(await source.skipTo(1_500_000)).toBe(false);
      expectSame(Buffer.concat([first, await bytesOf(source)]), Buffer.from(TEXT));
    });

    it('its content as it is, when it is said to be UTF-8', async () => {
      const source = await open(await start(CONTENT), {}, undefined, 'utf8');
      await chunkOf(source);
      expect(await source.skipTo(1_500_000)).toBe(harness.skips);
      await source.close();
    });

    it.each([0, 1, 1_500_000, CONTENT.length - 1, CONTENT.length])(
      'exactly the rest from %i on',
      async (offset) => {
        const source = await open(await start(CONTENT));
        const first = await chunkOf(source);
        expect(await source.skipTo(offset)).toBe(harness.skips);
        expectSame(await bytesOf(source), CONTENT.subarray(harness.skips ? offset : first.length));
      },
    );

    it('what follows its first bytes, when the offset is behind its end', async () => {
      const source = await open(await start(CONTENT));
      const first = await chunkOf(source);
      expect(await source.skipTo(CONTENT.length + 1)).toBe(false);
      expectSame(Buffer.concat([first, await bytesOf(source)]), CONTENT);
    });

    it('what follows its first bytes, when it is packed', async () => {
      const source = await open(await start(gzipSync(CONTENT)));
      const first = await chunkOf(source);
      expect(await source.skipTo(1_500_000)).toBe(false);
      expectSame(Buffer.concat([first, await bytesOf(source)]), CONTENT);
    });
  });

  describe('that changes', () => {
    it('is known again while it does not change', async () => {
      const held = await start(CONTENT);
      const first = await open(held);
      const second = await open(held);
      expect(second.identity).toStrictEqual(first.identity);
      await Promise.all([first.close(), second.close()]);
    });

    it.each([
      ['of the same size', OTHER],
      ['that is longer', Buffer.concat([CONTENT, OTHER])],
      ['that is shorter', CONTENT.subarray(0, MIB)],
    ])('is refused on resume: a version %s', async (_what, other) => {
      const held = await start(CONTENT);
      const before = await open(held);
      const { identity: sourceIdentity } = before;
      await before.close();
      await held.replace(other);
      const now = await open(held);
      const job = {
        id: 'one',
        source: SOURCE_KINDS.describe(held.uri, TRUSTED),
        sourceIdentity,
        head: null,
      };
      expect(() => {
        assertSameIdentity(job, now.identity);
      }).toThrow(withCode(/^SOURCE_CHANGED$/));
      expect(now.identity.validator === null || now.identity.validator !== sourceIdentity.validator).toBe(
        true,
      );
      await now.close();
    });

    it.each([
      ['reads on', false],
      ['skips', true],
    ])('while it is open gives bytes of one version or fails: a reader that %s', async (_what, skips) => {
      const held = await start(CONTENT);
      const source = await open(held);
      const first = await chunkOf(source);
      await held.replace(OTHER);
      const outcome = await rest(source, skips ? 2 * MIB : null).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'SOURCE_CHANGED' });
      else {
        const { bytes, skipped } = outcome as { bytes: Buffer; skipped: boolean };
        expectSame(bytes, CONTENT.subarray(skipped ? 2 * MIB : first.length));
      }
    });
  });

  describe('keeps in the job row for itself (SU3)', () => {
    it.each([true, false])('what comes back as it was made: of a caller trusted %s', async (isTrusted) => {
      const { uri, secrets } = await start(CONTENT);
      const { own } = SOURCE_KINDS.describe(uri, { isTrusted });
      expect(stored(own)).toStrictEqual(own);
      expectNoSecrets(secrets, own);
    });

    it('what opens the version again that the job began with', async () => {
      const held = await start(CONTENT);
      const first = await open(held);
      await first.close();
      const { identity } = first;
      expect(stored(identity)).toStrictEqual(identity);
      const own = stored(ownOf(held.uri));
      const again = await open(held, {}, undefined, undefined, { own, began: stored(identity.own ?? null) });
      expect(again.identity).toStrictEqual(identity);
      expectSame(await bytesOf(again), CONTENT);
    });

    it.each<[string, OwnPart]>([
      ['nothing', {}],
      ['members of another kind', { other: [null, { deep: 1 }] }],
      ['what is not of its shape', { trustedCaller: 'true' }],
    ])('and opens it or says what is wrong when the row holds %s', async (_what, own) => {
      const held = await start(CONTENT);
      const opening = open(held, {}, undefined, undefined, { own, began: own });
      const outcome = await opening.catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toEqual(withCode(/^SOURCE_/));
      else await (outcome as ByteSource).close();
    });
  });

  describe('shows no credentials', () => {
    it('open, closed, parsed or described', async () => {
      const held = await start(CONTENT);
      const { kind, address } = SOURCE_KINDS.parse(held.uri);
      const source = await open(held);
      const chunks = source.chunks[Symbol.asyncIterator]();
      const shown = [source, source.identity, source.chunks, chunks, kind, address];
      expectNoSecrets(held.secrets, ...shown, SOURCE_KINDS.describe(held.uri, TRUSTED));
      await source.close();
      expectNoSecrets(held.secrets, ...shown);
    });

    it('in the errors of a source that is gone, is too large, or holds nothing', async () => {
      const held = await start(CONTENT);
      const errors = [await failureOf(() => open(held, { maxBytes: 10, ratioFreeBytes: 0 }))];
      await held.replace(Buffer.alloc(0));
      errors.push(await failureOf(() => open(held)));
      await held.remove();
      errors.push(await failureOf(() => open(held)));
      expect(errors).toStrictEqual(
        ['TOO_LARGE', 'EMPTY', 'NOT_FOUND'].map((code) => withCode(new RegExp(`^SOURCE_${code}$`))),
      );
      expectNoSecrets(held.secrets, ...errors);
    });
  });

  describe('closes everything', () => {
    it('at its end', async () => {
      const held = await start(CONTENT);
      await bytesOf(await open(held));
      await expectClosed(held);
    });

    it('when its reader leaves early', async () => {
      const held = await start(LARGE);
      for await (const chunk of (await open(held)).chunks) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await expectClosed(held);
    });

    it('when it is closed unread, and after a skip', async () => {
      const held = await start(LARGE);
      await (await open(held)).close();
      const source = await open(held);
      await source.skipTo(MIB);
      await chunkOf(source);
      await source.close();
      await expectClosed(held);
    });

    it('when it cannot be used', async () => {
      const held = await start(CONTENT);
      await failureOf(() => open(held, { maxBytes: 10, ratioFreeBytes: 0 }));
      await expectClosed(held);
    });

    it('when its signal is aborted, and the next read throws the reason', async () => {
      const held = await start(LARGE);
      const stop = new AbortController();
      const source = await open(held, {}, stop.signal);
      await chunkOf(source);
      const reason = new Error('cancelled');
      stop.abort(reason);
      await expectClosed(held);
      await expect(chunkOf(source)).rejects.toBe(reason);
    });
  });

  it.each([
    ['from its start', null],
    ['from an offset', 1],
  ])('is pulled only as far as its reader reads, %s', async (_what, offset) => {
    const held = await start(LARGE);
    const source = await open(held);
    await chunkOf(source);
    // Each opening has a connection of its own: what the first one took says nothing of the second one.
    const before = offset === null ? 0 : await settled(() => held.pulledBytes());
    if (offset !== null) await source.skipTo(offset);
    let read = (await chunkOf(source)).length;
    expect((await settled(() => held.pulledBytes())) - before).toBeLessThan(MAX_AHEAD_BYTES);
    while (read < 16 * MIB) read += (await chunkOf(source)).length;
    expect((await settled(() => held.pulledBytes())) - before - read).toBeLessThan(MAX_AHEAD_BYTES);
    await source.close();
  });
});

/** Everything that is left. */
async function bytesOf({ chunks }: ByteSource): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function rest(source: ByteSource, offset: number | null): Promise<{ bytes: Buffer; skipped: boolean }> {
  const skipped = offset !== null && (await source.skipTo(offset));
  return { bytes: await bytesOf(source), skipped };
}

/** The next bytes; nothing at the end. The source stays open. */
async function chunkOf({ chunks }: ByteSource): Promise<Buffer> {
  const next = await chunks[Symbol.asyncIterator]().next();
  return next.done === true ? Buffer.alloc(0) : next.value;
}

/** Equality of buffers by Jest takes seconds a megabyte. */
function expectSame(actual: Buffer, expected: Buffer): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.equals(expected)).toBe(true);
}

async function failureOf(work: () => Promise<unknown>): Promise<unknown> {
  return work().then(
    () => null,
    (error: unknown) => error,
  );
}

/** A number once it has stood still for a while: whatever runs ahead by itself has come to its bound. */
async function settled(count: () => number): Promise<number> {
  let last = count();
  for (let still = 0; still < 10; still++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (count() !== last) still = 0;
    last = count();
  }
  return last;
}

async function expectClosed(place: TestSource): Promise<void> {
  await eventually(async () => (await place.openHandles()) === 0, 'everything to be closed');
}
