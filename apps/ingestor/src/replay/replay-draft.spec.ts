import { describe, expect, it } from '@jest/globals';
import type { ReplayRequest } from '#api/replays.js';
import type { Dataset, WriteMode } from '#core/dataset/dataset.js';
import type { KnownRefused, OriginJob } from '#core/replay/select-origins.js';
import { type PlacedOrigin, ReplayDraft } from './replay-draft.js';

const ID = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';
const ALL: readonly WriteMode[] = ['replace', 'append', 'upsert'];

function datasetOf(writeModes: readonly WriteMode[] = ALL): Dataset {
  return { name: 'things', writeModes, options: { checksum: ['warn', 'reject'] } } as unknown as Dataset;
}

function originOf(facts: Partial<OriginJob> = {}): OriginJob {
  return {
    ...{ id: ID, state: 'succeeded', mode: 'upsert', dryRun: false, resumable: true, replay: null },
    ...{ originJob: null, totalBatches: 2, isOvertaken: false },
    ...{ signed: true, firstEpoch: 1, strict: true, maxRefusedShare: 0.1, maxShrinkShare: 0.5 },
    ...{ existingKeys: 'fail', breaker: { windowRecords: 10, maxShare: 0.2, maxCount: null } },
    ...{ options: { checksum: 'reject', gone: 'x' }, createdAt: new Date(0), finishedAt: new Date(1) },
    ...{ startedAt: new Date(0), batches: 2, records: 20, refused: 0 },
    ...facts,
  };
}

const placed = (origin: OriginJob, facts: Partial<PlacedOrigin> = {}): PlacedOrigin => ({
  ...{ origin, ranges: [{ partition: 0, from: 3, to: 5 }], batches: 2, records: 20, only: null },
  ...{ goneBatches: 0, goneRecords: 0 },
  ...facts,
});

const knownOf = (facts: Partial<KnownRefused>): KnownRefused => ({
  ...{ known: 0, open: 0, otherOpen: 0, otherBatches: 0 },
  ...facts,
});

const draftOf = (request: Partial<ReplayRequest> = {}, dataset = datasetOf()): ReplayDraft =>
  new ReplayDraft(dataset, { dataset: 'things', from: '2026-01-01T00:00:00Z', ...request });

function planOf(
  request: Partial<ReplayRequest>,
  origin: OriginJob,
  facts: Partial<PlacedOrigin> = {},
  known: Partial<KnownRefused> = {},
  dataset = datasetOf(),
): ReturnType<ReplayDraft['plan']> {
  const draft = draftOf(request, dataset);
  draft.add(placed(origin, facts), knownOf(known));
  return draft.plan();
}

const withCode = (code: string): unknown => expect.objectContaining({ code });

describe('what a replay covers', () => {
  it('replays a job with the settings that it had, as far as the dataset has them (RD1)', () => {
    const { jobs, covers, atOnce } = planOf({}, originOf());
    expect(covers).toEqual({ jobs: 1, batches: 2, records: 20 });
    expect(atOnce).toBe(4);
    expect(jobs).toEqual([
      {
        origin: ID,
        address: `raw://sluice.things.raw?job=${ID}&epoch=1&batches=2&sealed=yes&0=3-5`,
        ...{ batches: 2, records: 20, chosen: false },
        settings: {
          ...{ mode: 'upsert', strict: true, maxRefusedShare: 0.1, maxShrinkShare: null },
          ...{ existingKeys: 'supersede', options: { checksum: 'reject' } },
          breaker: originOf().breaker,
        },
      },
    ]);
  });

  it('replays one at a time where tables are replaced', () => {
    expect(planOf({ atOnce: 9 }, originOf({ mode: 'replace' })).atOnce).toBe(1);
    expect(planOf({ atOnce: 9 }, originOf()).atOnce).toBe(9);
  });

  it.each<[string, Partial<ReplayRequest>, Partial<OriginJob>, string | null]>([
    ['a success', {}, {}, null],
    ['an active one', {}, { state: 'finalizing' }, 'active'],
    ['a resumable one', {}, { state: 'failed' }, 'resumable'],
    ['one that failed for good', {}, { state: 'failed', resumable: false }, 'unsuccessful'],
    ['one that failed for good, missing', { only: 'missing' }, { state: 'failed', resumable: false }, null],
    ['a cancelled one', {}, { state: 'cancelled' }, 'unsuccessful'],
    ['a dry run', {}, { dryRun: true }, 'dry-run'],
    ['a snapshot that was overtaken', {}, { mode: 'replace', isOvertaken: true }, null],
    [
      'a cancelled snapshot that was overtaken, missing',
      { only: 'missing' },
      { state: 'cancelled', mode: 'replace', isOvertaken: true },
      'overtaken',
    ],
    [
      'refused records of a snapshot that was overtaken',
      { only: 'missing' },
      { mode: 'replace', isOvertaken: true },
      null,
    ],
    ['one that never began', { only: 'missing' }, { state: 'cancelled', startedAt: null }, 'nothing'],
  ])('takes of a span %s, or says why not', (_what, request, facts, reason) => {
    const draft = draftOf(request);
    expect(draft.takes(originOf(facts))).toBe(reason === null);
    draft.add(placed(originOf()), knownOf({ known: 1, open: 1 }));
    expect(draft.plan().leftOut).toEqual(reason === null ? [] : [{ reason, jobs: 1, example: ID }]);
  });

  it('takes a job that is named whatever became of it, and refuses one that has not ended or is none', () => {
    const named = { job: ID, from: undefined } as unknown as Partial<ReplayRequest>;
    for (const facts of [
      { state: 'cancelled' },
      { replay: ID },
      { state: 'failed', resumable: false },
    ] as const)
      expect(draftOf(named).takes(originOf(facts))).toBe(true);
    for (const facts of [{ state: 'paused' }, { state: 'failed' }, { dryRun: true }] as const)
      expect(() => draftOf(named).takes(originOf(facts))).toThrow(withCode('REPLAY_REFUSED'));
  });

  describe('of chosen records', () => {
    const refused = { only: 'refused' } as const;

    it('merges them, fails nothing by their share, and counts those that are open (RD2)', () => {
      const { jobs } = planOf(refused, originOf({ mode: 'replace', refused: 9 }), {}, { known: 9, open: 4 });
      expect(jobs).toMatchObject([
        {
          ...{ records: 4, chosen: { batches: null } },
          settings: { mode: 'upsert', strict: false, maxRefusedShare: 1, breaker: null },
        },
      ]);
    });

    it('appends where that is all that is allowed, and refuses where tables are only replaced', () => {
      const known = { known: 9, open: 4 };
      const origin = originOf({ mode: 'replace' });
      expect(
        planOf(refused, origin, {}, known, datasetOf(['replace', 'append'])).jobs[0]?.settings.mode,
      ).toBe('append');
      expect(() => planOf(refused, origin, {}, known, datasetOf(['replace']))).toThrow(
        withCode('REPLAY_REFUSED'),
      );
    });

    it('waits until the tracker knows all of them, and says when there is none', () => {
      expect(() => planOf(refused, originOf({ refused: 9 }), {}, { known: 8, open: 8 })).toThrow(
        withCode('REPLAY_INCOMPLETE'),
      );
      expect(() => planOf(refused, originOf())).toThrow(withCode('REPLAY_EMPTY'));
    });
  });

  it('covers of a job what is left of it, and never puts that in the place of a table (RD2)', () => {
    const gone = { batches: 1, records: 7, goneBatches: 1, goneRecords: 13 };
    expect(planOf({}, originOf(), gone)).toMatchObject({
      covers: { jobs: 1, batches: 1, records: 7 },
      deleted: { jobs: 1, batches: 1, records: 13 },
    });
    expect(() => planOf({ mode: 'replace' }, originOf(), gone)).toThrow(withCode('REPLAY_EXPIRED'));
    expect(() => planOf({ mode: 'replace' }, originOf(), { batches: 1, only: [1] })).toThrow(
      withCode('REPLAY_EXPIRED'),
    );
    const none = { batches: 0, records: 0, goneBatches: 2, goneRecords: 20 };
    expect(() => planOf({}, originOf(), none)).toThrow(withCode('REPLAY_EXPIRED'));
  });

  it.each<[string, Partial<OriginJob>, number]>([
    ['whose source was not read to the end', { totalBatches: null, batches: 2 }, 2],
    ['whose source was not read to the end, without a checkpoint', { totalBatches: null, batches: 0 }, 2],
  ])('never puts a job %s in the place of a table (RD2)', (_what, facts, batches) => {
    const cancelled = originOf({ state: 'cancelled', mode: 'replace', ...facts });
    const named = { job: ID, from: undefined } as unknown as Partial<ReplayRequest>;
    expect(() => planOf(named, cancelled, { batches })).toThrow(withCode('REPLAY_REFUSED'));
    expect(() =>
      planOf({ ...named, mode: 'replace' }, { ...cancelled, mode: 'upsert' }, { batches }),
    ).toThrow(withCode('REPLAY_REFUSED'));
    const draft = draftOf({ only: 'missing' });
    draft.add(placed(cancelled, { batches }), knownOf({}));
    draft.add(placed(originOf({ state: 'cancelled', totalBatches: null })), knownOf({}));
    expect(draft.plan()).toMatchObject({
      covers: { jobs: 1 },
      leftOut: [{ reason: 'unfinished', jobs: 1, example: ID }],
    });
  });

  it.each([1, 3])('never puts %i of two batches in the place of a table (RD2)', (batches) => {
    const origin = originOf({ mode: 'replace', batches });
    expect(() => planOf({}, origin, { batches })).toThrow(withCode('REPLAY_EXPIRED'));
  });

  it('leaves a job of a replay out only when the plan covers its origin whole (RD3)', () => {
    const [replayed, again] = [
      '01998f3e-7c4a-7000-8000-000000000001',
      '01998f3e-7c4a-7000-8000-000000000002',
    ];
    const ofReplay = placed(originOf({ id: replayed, replay: ID, originJob: ID }));
    const ofThat = placed(originOf({ id: again, replay: ID, originJob: replayed }));
    const jobsOf = (...origins: readonly PlacedOrigin[]): string[] => {
      const draft = draftOf();
      for (const one of origins) draft.add(one, knownOf({}));
      return draft.plan().jobs.map(({ origin }) => origin);
    };
    expect(jobsOf(placed(originOf()), ofReplay, ofThat)).toEqual([ID]);
    // The origin was cancelled, or is older than the span.
    expect(jobsOf(ofReplay, ofThat)).toEqual([replayed]);
    expect(jobsOf(placed(originOf(), { batches: 1, goneBatches: 1 }), ofReplay)).toEqual([ID, replayed]);
    expect(jobsOf(placed(originOf(), { batches: 1, only: [1] }), ofReplay)).toEqual([ID, replayed]);
    expect(jobsOf(placed(originOf(), { batches: 0, goneBatches: 2 }), ofReplay)).toEqual([replayed]);
  });

  it('of chosen records covers those whose batches are there, and reports the others as deleted', () => {
    const known = { known: 9, open: 4, otherOpen: 5, otherBatches: 2 };
    const facts = { batches: 1, goneBatches: 3, goneRecords: 30, only: [7] };
    const refused = { only: 'refused' } as const;
    expect(planOf(refused, originOf({ refused: 9 }), facts, known)).toMatchObject({
      covers: { jobs: 1, batches: 1, records: 4 },
      deleted: { jobs: 1, batches: 2, records: 5 },
      jobs: [{ chosen: { batches: [7] } }],
    });
    expect(() => planOf(refused, originOf({ refused: 5 }), facts, { ...known, known: 5, open: 0 })).toThrow(
      withCode('REPLAY_EXPIRED'),
    );
    // By offsets the others were not selected.
    const offsets = { ...refused, offsets: [{ partition: 0, from: 3, to: 5 }] };
    expect(planOf(offsets, originOf({ refused: 9 }), facts, known).deleted.records).toBe(0);
  });

  it.each<[string, Partial<ReplayRequest>, Partial<OriginJob>, boolean, boolean]>([
    ['an upsert without a version', {}, {}, false, true],
    ['an upsert with one', {}, {}, true, false],
    ['a snapshot', {}, { mode: 'replace' }, true, true],
    ['an append', {}, { mode: 'append' }, false, false],
    ['what is missing', { only: 'missing' }, { state: 'cancelled' }, false, false],
  ])('of a span with pruned jobs: %s (RD4)', (_what, request, facts, isVersioned, isRefused) => {
    const draft = new ReplayDraft(
      datasetOf(),
      { dataset: 'things', from: '2026-01-01T00:00:00Z', ...request },
      isVersioned,
    );
    draft.leaveOutPruned({ jobs: 70, example: ID, until: new Date(0) });
    draft.add(placed(originOf(facts)), knownOf({}));
    if (isRefused) expect(() => draft.plan()).toThrow(withCode('REPLAY_PRUNED'));
    else expect(draft.plan().leftOut).toEqual([{ reason: 'pruned', jobs: 70, example: ID }]);
  });

  it('refuses a job whose mode the dataset does not allow any more', () => {
    expect(() => planOf({}, originOf({ mode: 'append' }), {}, undefined, datasetOf(['upsert']))).toThrow(
      withCode('REPLAY_REFUSED'),
    );
  });
});
