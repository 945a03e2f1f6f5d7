import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ownPartOf } from '#core/job/job.entity.js';
import type { OwnPart } from '#core/source/own-part.js';
import { eventually } from '#test/support/eventually.js';
import { expectNoSecrets } from '#test/support/no-secrets.js';
import { type SourceSettings, sourceSettings } from '#test/support/source-settings.js';
import { assertSameIdentity } from '../jobs/same-source.js';
import type { BatchSource } from './batch-source.js';
import { type MessageSource, deliversBatches, deliversMessages } from './message-source.js';
import { openSource } from './open-source.js';
import type { MessageHarness, TestSource } from './source-harness.js';
import { SOURCE_KINDS } from './source-kinds.js';

/** The promises of README.md, asked of every registered kind that delivers messages, or batches, by its own harness. */

const MIB = 1024 * 1024;
type Values = readonly (Buffer | null)[];
const VALUES: Values = Array.from({ length: 2_000 }, (_, at) =>
  at % 100 === 7 ? null : Buffer.from(`${at} ${'x'.repeat(at % 900)}`),
);
const OTHERS: Values = VALUES.map((_, at) => Buffer.from(`other ${at}`));
/** Larger than what the operating system keeps of a connection and the bound together. */
const LARGE: Values = Array.from({ length: 64 }, () => Buffer.alloc(MIB - 100));
/** What may be on the way to a reader that does not read. */
const MAX_AHEAD_BYTES = 24 * MIB;

const TRUSTED = { isTrusted: true };
const ownOf = (uri: string): OwnPart => ownPartOf(SOURCE_KINDS.describe(uri, TRUSTED));

/** As a column of jsonb returns it. */
function stored<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

const withCode = (code: RegExp): unknown => expect.objectContaining({ code: expect.stringMatching(code) });

const KINDS = SOURCE_KINDS.all().filter(({ delivers = 'bytes' }) => delivers !== 'bytes');

describe.each(KINDS.map(({ name }) => name))('a source of the kind %s', (name) => {
  let harness: MessageHarness;
  let settings: SourceSettings;
  let place: TestSource<Values> | undefined;

  beforeAll(async () => {
    harness = ((await import(`./${name}/harness.js`)) as { default: MessageHarness }).default;
    settings = await harness.begin();
  });

  afterAll(() => harness.end());

  afterEach(async () => {
    await place?.stop();
    place = undefined;
  });

  /** As a source of the kind gives these values. */
  const shown = (values: Values): (string | null)[] =>
    values.map((value) => value?.toString() ?? (harness.hasNulls === false ? '' : null));

  async function start(values: Values): Promise<TestSource<Values>> {
    return (place = await harness.start(values));
  }

  async function open(
    { uri }: TestSource<Values>,
    signal = new AbortController().signal,
    kept: { own?: OwnPart; began?: OwnPart | null } = {},
  ): Promise<PartedSource> {
    const { own = ownOf(uri), began } = kept;
    const source = await openSource({ uri, own, began }, sourceSettings(settings), signal);
    if (deliversMessages(source) || deliversBatches(source)) return source;
    throw new TypeError('This source delivers bytes.');
  }

  it('delivers each message once, in order, and the same ones at every reading', async () => {
    const held = await start(VALUES);
    const readings = [await valuesOf(await open(held)), await valuesOf(await open(held))];
    expect(readings[0]).toEqual(shown(VALUES));
    expect(readings[1]).toEqual(readings[0]);
  });

  describe('that changes', () => {
    it('is known again while it does not change', async () => {
      const held = await start(VALUES);
      const [first, second] = [await open(held), await open(held)];
      expect(second.identity).toStrictEqual(first.identity);
      await Promise.all([first.close(), second.close()]);
    });

    it.each([
      ['of the same size', OTHERS],
      ['that is longer', [...OTHERS, ...VALUES]],
      ['that is shorter', OTHERS.slice(0, 100)],
    ])(
      'is refused on resume, or gives messages that the job’s chain does not take: a version %s',
      async (_what, other) => {
        const held = await start(VALUES);
        const before = await open(held);
        const { identity: sourceIdentity } = before;
        await before.close();
        await held.replace(other);
        const job = {
          id: 'one',
          source: SOURCE_KINDS.describe(held.uri, TRUSTED),
          sourceIdentity,
          head: null,
        };
        const outcome = await (async () => {
          const now = await open(held, undefined, { began: stored(sourceIdentity.own ?? null) });
          assertSameIdentity(job, now.identity);
          return valuesOf(now);
        })().catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toEqual(withCode(/^SOURCE_CHANGED$/));
        else expect(outcome).not.toEqual(shown(VALUES));
      },
    );
  });

  describe('keeps in the job row for itself (SU3)', () => {
    it.each([true, false])('what comes back as it was made: of a caller trusted %s', async (isTrusted) => {
      const { uri, secrets } = await start(VALUES);
      const { own } = SOURCE_KINDS.describe(uri, { isTrusted });
      expect(stored(own)).toStrictEqual(own);
      expectNoSecrets(secrets, own);
    });

    it('what opens the version again that the job began with', async () => {
      const held = await start(VALUES);
      const first = await open(held);
      await first.close();
      const { identity } = first;
      expect(stored(identity)).toStrictEqual(identity);
      const again = await open(held, undefined, { began: stored(identity.own ?? null) });
      expect(again.identity).toStrictEqual(identity);
      expect(await valuesOf(again)).toHaveLength(VALUES.length);
    });

    it.each<[string, OwnPart]>([
      ['nothing', {}],
      ['members of another kind', { other: [null, { deep: 1 }] }],
      ['what is not of its shape', { trustedCaller: 'true' }],
    ])('and opens it or says what is wrong when the row holds %s', async (_what, own) => {
      const held = await start(VALUES);
      const outcome = await open(held, undefined, { own, began: own }).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toEqual(withCode(/^SOURCE_/));
      else await (outcome as PartedSource).close();
    });
  });

  it('shows no credentials, and says what is wrong with a source that is gone or holds nothing', async () => {
    const held = await start(VALUES);
    const { kind, address } = SOURCE_KINDS.parse(held.uri);
    const source = await open(held);
    const shown = [source, source.identity, partsOf(source), kind, address];
    expectNoSecrets(held.secrets, ...shown, SOURCE_KINDS.describe(held.uri, TRUSTED));
    await source.close();
    const errors = [await failureOf(() => harness.start([]).then((empty) => open(empty)))];
    await held.remove();
    errors.push(await failureOf(() => open(held)));
    expect(errors).toStrictEqual(
      ['EMPTY', 'NOT_FOUND'].map((code) => withCode(new RegExp(`^SOURCE_${code}$`))),
    );
    expectNoSecrets(held.secrets, ...shown, ...errors);
  });

  describe('closes everything', () => {
    it('at its end', async () => {
      const held = await start(VALUES);
      await valuesOf(await open(held));
      await expectClosed(held);
    });

    it('when its reader leaves early', async () => {
      const held = await start(LARGE);
      for await (const values of partsOf(await open(held))) {
        expect(values.length).toBeGreaterThan(0);
        break;
      }
      await expectClosed(held);
    });

    it('when it is closed unread, or cannot be used', async () => {
      const held = await start(VALUES);
      const source = await open(held);
      expect(await held.openHandles()).toBeGreaterThan(0);
      await source.close();
      await expectClosed(held);
      await held.remove();
      await failureOf(() => open(held));
      await expectClosed(held);
    });

    it('when its signal is aborted, and the next read throws the reason', async () => {
      const held = await start(LARGE);
      const stop = new AbortController();
      const source = await open(held, stop.signal);
      const iterator = partsOf(source);
      await iterator.next();
      const reason = new Error('cancelled');
      stop.abort(reason);
      await expectClosed(held);
      await expect(iterator.next()).rejects.toBe(reason);
    });
  });

  it('is pulled only as far as its reader reads', async () => {
    const held = await start(LARGE);
    const source = await open(held);
    const looked = await settled(() => held.pulledBytes());
    if (harness.looksThrough !== true) expect(looked).toBeLessThan(MAX_AHEAD_BYTES);
    const pulled = async (): Promise<number> => (await settled(() => held.pulledBytes())) - looked;
    const iterator = partsOf(source);
    let read = await bytesOfNext(iterator);
    expect(await pulled()).toBeLessThan(MAX_AHEAD_BYTES);
    while (read < 16 * MIB) read += await bytesOfNext(iterator);
    expect((await pulled()) - read).toBeLessThan(MAX_AHEAD_BYTES);
    await source.close();
  });
});

type PartedSource = MessageSource | BatchSource;

/** The parts of either, and of each the values: a batch is one. */
async function* partsOf(source: PartedSource): AsyncGenerator<readonly (Buffer | null)[]> {
  if (deliversBatches(source)) for await (const { batch } of source.batches) yield [batch.bytes];
  else for await (const portion of source.messages) yield portion.map(({ value }) => value);
}

async function valuesOf(source: PartedSource): Promise<(string | null)[]> {
  const all: (string | null)[] = [];
  for await (const values of partsOf(source)) all.push(...values.map((value) => value?.toString() ?? null));
  return all;
}

async function bytesOfNext(iterator: AsyncIterator<readonly (Buffer | null)[], undefined>): Promise<number> {
  const next = await iterator.next();
  return next.done === true ? 0 : next.value.reduce((sum, value) => sum + (value?.length ?? 0), 0);
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

async function expectClosed(place: TestSource<Values>): Promise<void> {
  await eventually(async () => (await place.openHandles()) === 0, 'everything to be closed');
}
