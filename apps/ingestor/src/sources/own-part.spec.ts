import { describe, expect, it } from '@jest/globals';
import { type JobSource, ownPartOf } from '#core/job/job.entity.js';
import type { OwnPart } from '#core/source/own-part.js';
import { openBytes } from '#test/support/open-bytes.js';
import { sourceSettings } from '#test/support/source-settings.js';
import { assertSameIdentity } from '../jobs/same-source.js';
import type { ByteSource } from './byte-source.js';
import { isTrusted } from './caller.js';
import { SourceKindRegistry } from './source-kind-registry.js';
import type { SourceKind } from './source-kind.js';

/** SU3 is an invariant of source-kind.ts. */

/** A kind like a bucket with version ids: everything that it needs of the job row is in its own parts. */
function shelfKind(versions: string[]): SourceKind {
  return {
    name: 'shelf',
    schemes: ['shelf'],
    isLocal: false,
    form: 'shelf://…',
    settings: [],
    parse: (display) => ({ display }),
    ask: ({ display }, caller) => ({ trusted: caller.isTrusted, range: { from: display.length } }),
    open: (_address, { began }) => {
      const version = Number(began?.version ?? versions.length - 1);
      const content = Buffer.from(versions[version] ?? '');
      const identity = { bytes: content.length, etag: null, lastModified: null, own: { version } };
      return Promise.resolve({ identity, chunks: chunksOf(content), from: () => Promise.resolve(null) });
    },
  };
}

// eslint-disable-next-line @typescript-eslint/require-await
async function* chunksOf(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

/** As a column of jsonb returns it. */
function stored<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

async function textOf({ chunks }: ByteSource): Promise<string> {
  let text = '';
  for await (const chunk of chunks) text += chunk.toString();
  return text;
}

describe('what a kind keeps of its own in the job row (SU3)', () => {
  const uri = 'shelf://a';

  function shelf(...versions: string[]) {
    const kinds = new SourceKindRegistry([shelfKind(versions)]);
    const source = stored(kinds.describe(uri, { isTrusted: false }));
    const open = (began: OwnPart | null): Promise<ByteSource> =>
      openBytes(
        { uri, own: ownPartOf(source), began },
        sourceSettings(),
        new AbortController().signal,
        kinds,
      );
    return { source, open };
  }

  it('is what the kind made of the address and its caller', () => {
    expect(shelf('one').source).toStrictEqual({
      kind: 'shelf',
      display: uri,
      own: { trusted: false, range: { from: 9 } },
    });
  });

  it('opens the version that the job began with, though there is a newer one', async () => {
    const versions = ['one'];
    const { source, open } = shelf(...versions);
    const first = await open(null);
    expect(await textOf(first)).toBe('one');
    const sourceIdentity = stored(first.identity);
    const later = shelf('one', 'two');
    const again = await later.open(sourceIdentity.own ?? null);
    expect(await textOf(again)).toBe('one');
    const job = { id: 'job', source, sourceIdentity, head: null };
    assertSameIdentity(job, again.identity);
    const newer = await later.open(null);
    await newer.close();
    expect(() => {
      assertSameIdentity(job, newer.identity);
    }).toThrow(
      expect.objectContaining({
        code: 'SOURCE_CHANGED',
        message: 'shelf://a is not what this job began with: its version is another one.',
      }),
    );
  });

  it.each<[string, JobSource, OwnPart]>([
    ['its own', { kind: 'x', display: 'x', own: { a: 1 } }, { a: 1 }],
    [
      'what an older build wrote beside the kind',
      { kind: 'x', display: 'x', ...{ trustedCaller: true } },
      { trustedCaller: true },
    ],
    ['nothing', { kind: 'x', display: 'x' }, {}],
  ])('is read from a row that holds %s', (_what, source, own) => {
    expect(ownPartOf(source)).toStrictEqual(own);
  });

  it.each([[{}], [{ trustedCaller: 'true' }], [{ trustedCaller: 1 }], [{ trustedCaller: null }]])(
    'makes no caller trusted with %j',
    (own) => {
      expect(isTrusted(own)).toBe(false);
    },
  );
});
