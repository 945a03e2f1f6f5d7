import { describe, expect, it } from '@jest/globals';
import type { JobCounts } from '#api/job-facts.js';
import type { Job } from '#core/job/job.entity.js';
import type { JobStage } from '../rows/job-stage.entity.js';
import { COUNTS } from '../testing/read-api-rows.js';
import { detailOf, hasDeadLettersOfOthers, isSettled, summaryOf } from './job-views.js';

const NOW = new Date('2026-01-01T00:01:40.000Z');

describe('summaryOf', () => {
  it('counts seconds to now while the job runs, and to its end afterwards', () => {
    expect(summaryOf(job({}), NOW).seconds).toBe(100);
    const finished = job({ state: 'failed', finishedAt: new Date('2026-01-01T00:00:30.000Z') });
    expect(summaryOf(finished, NOW).seconds).toBe(30);
    expect(summaryOf(job({ state: 'queued', startedAt: null }), NOW).seconds).toBeNull();
  });

  it('shows what a job waits for while its state can have such a wait', () => {
    const wait = { stage: 'load', code: 'STAGE_BEHIND', message: '', since: '' } as const;
    expect(summaryOf(job({ wait }), NOW).wait).toEqual(wait);
    expect(summaryOf(job({ state: 'paused', wait }), NOW).wait).toBeNull();
    expect(summaryOf(job({ state: 'succeeded', wait }), NOW).wait).toBeNull();
  });

  it('shows a problem while the job runs with it, and not once it has ended or is paused', () => {
    const problem = { code: 'BATCHES_MISSING', message: '', action: '', firstMissingBatch: 1 };
    expect(summaryOf(job({ problem }), NOW).problem).toEqual(problem);
    for (const state of ['paused', 'finalizing', 'succeeded', 'failed'] as const) {
      expect(summaryOf(job({ state, problem }), NOW).problem).toBeNull();
    }
  });

  it('calls a running job with an expired lease interrupted', () => {
    expect(summaryOf(job({ leaseUntil: new Date('2026-01-01T00:01:39.999Z') }), NOW).interrupted).toBe(true);
    expect(summaryOf(job({ leaseUntil: NOW }), NOW).interrupted).toBe(false);
  });
});

describe('detailOf', () => {
  it('has every stage, in order, also before anything is known', () => {
    const { stages, findings, deadLetters } = detailOf(job({}), [], NOW);
    expect(stages.map(({ stage }) => stage)).toEqual(['ingest', 'validate', 'load', 'finalize']);
    expect(stages[0]).toEqual({
      stage: 'ingest',
      batches: 0,
      records: 0,
      bytes: 0,
      accepted: 0,
      refused: 0,
      skipped: 0,
      warnings: 0,
      totalRecords: null,
      totalBytes: null,
      recordsPerSecond: null,
      etaSeconds: null,
      done: false,
    });
    expect(findings).toEqual({});
    expect(deadLetters).toMatchObject({ known: 0, expected: null, complete: false });
  });

  it('measures from the first batch to the last one, and reckons what is left', () => {
    const known = job({ totalBatches: 8, totalRecords: 800, totalBytes: 8_100, head: head(100) });
    const [, validate] = detailOf(known, [stage({ batches: 5, records: 500, bytes: 5_000 })], NOW).stages;
    // Four batches of 100 in the ten seconds after the first one.
    expect(validate).toMatchObject({ recordsPerSecond: 40, totalBytes: 8_000, etaSeconds: 7.5, done: false });
  });

  it('reckons from the source’s size before the totals are known, but not when a limit cuts it short', () => {
    const guessed = { expectedBytes: 10_100, head: head(100) };
    const sums = [stage({ batches: 5, records: 500, bytes: 5_000 })];
    expect(detailOf(job(guessed), sums, NOW).stages[1]).toMatchObject({
      totalBytes: 10_000,
      etaSeconds: 12.5,
    });
    const limited = detailOf(job({ ...guessed, limitRecords: 520 }), sums, NOW).stages[1];
    expect(limited).toMatchObject({ totalBytes: null, totalRecords: null, etaSeconds: 0.5 });
  });

  it('knows no rate from one batch, nor from batches announced at one moment', () => {
    const none = { recordsPerSecond: null, etaSeconds: null };
    expect(detailOf(job({ totalRecords: 9 }), [stage({ batches: 1 })], NOW).stages[1]).toMatchObject(none);
    const moment = stage({ batches: 3, lastAt: stage({}).firstAt });
    expect(detailOf(job({ totalRecords: 9 }), [moment], NOW).stages[1]).toMatchObject(none);
  });

  it('believes the row about what is done, before the folds say so (JV1)', () => {
    const done = (facts: Partial<Job>, sums: JobStage[] = []): boolean[] =>
      detailOf(job(facts), sums, NOW).stages.map((progress) => progress.done);
    expect(done({})).toEqual([false, false, false, false]);
    expect(done({ totalBatches: 3 })).toEqual([true, false, false, false]);
    expect(done({ totalBatches: 3 }, [stage({ batches: 3 })])).toEqual([true, true, false, false]);
    expect(done({ totalBatches: 3, state: 'finalizing' })).toEqual([true, true, true, false]);
    expect(done({ totalBatches: 3, state: 'succeeded' })).toEqual([true, true, true, true]);
    expect(done({ totalBatches: 3, state: 'cancelled' })).toEqual([true, false, false, false]);
  });

  it('shows everything as handled by a stage that is done, whatever its folds know yet (JV1)', () => {
    const totals = { totalBatches: 3, totalRecords: 30, totalBytes: 310, head: head(10) };
    const sums = [stage({ batches: 2, records: 20, bytes: 200 })];
    const handled = (facts: Partial<Job>): unknown[] =>
      detailOf(job({ ...totals, ...facts }), sums, NOW).stages.map(({ batches, records, bytes }) => [
        batches,
        records,
        bytes,
      ]);
    expect(handled({})).toEqual([
      [3, 30, 300],
      [2, 20, 200],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(handled({ state: 'succeeded' })).toEqual([
      [3, 30, 300],
      [3, 30, 300],
      [3, 30, 300],
      [0, 0, 0],
    ]);
  });

  it('names the most frequent unknown members, ten of them', () => {
    const unknownMembers = Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`m${at}`, at + 1]));
    const shown = detailOf(job({}), [stage({ unknownMembers })], NOW).unknownMembers;
    expect(shown).toHaveLength(10);
    expect(shown?.slice(0, 2)).toEqual([
      { name: 'm14', records: 15 },
      { name: 'm13', records: 14 },
    ]);
    expect(detailOf(job({}), [], NOW).unknownMembers).toEqual([]);
  });

  it('is not settled before the names of unknown members are those of all batches', () => {
    const ended = job({
      state: 'succeeded',
      counts: { ...counts(0), warnings: 9 },
      findings: { UNKNOWN_MEMBER: 9 },
    });
    expect(isSettled(detailOf(ended, [stage({ warnings: 8 })], NOW))).toBe(false);
    expect(isSettled(detailOf(ended, [stage({ warnings: 9 })], NOW))).toBe(true);
  });

  it('takes findings from the folds while the job runs, and from the row afterwards', () => {
    const sums = [
      stage({ findings: { BAD: 2 } }),
      stage({ stage: 'load', findings: { BAD: 1, DUPLICATE: 4 } }),
    ];
    expect(detailOf(job({ findings: null }), sums, NOW).findings).toEqual({ BAD: 3, DUPLICATE: 4 });
    const finished = job({ state: 'succeeded', findings: { BAD: 5 } });
    expect(detailOf(finished, sums, NOW).findings).toEqual({ BAD: 5 });
    expect(detailOf(job({ state: 'failed', findings: null }), sums, NOW).findings).toEqual({
      BAD: 3,
      DUPLICATE: 4,
    });
  });

  it('counts no deletes for jobs of builds that had none', () => {
    const { deleted: _deleted, ...older } = COUNTS;
    expect(detailOf(job({ state: 'succeeded', counts: older }), [], NOW).counts).toEqual({
      ...older,
      deleted: 0,
    });
    const counts = { ...COUNTS, deleted: 3 };
    expect(detailOf(job({ state: 'succeeded', counts }), [], NOW).counts).toEqual(counts);
    expect(detailOf(job({ counts: null }), [], NOW).counts).toBeNull();
  });

  it('shows the step only while finalizing', () => {
    const sums = [stage({ stage: 'finalize', batches: 0, step: 'swap' })];
    expect(detailOf(job({ state: 'finalizing' }), sums, NOW).step).toBe('swap');
    expect(detailOf(job({ state: 'succeeded' }), sums, NOW).step).toBeNull();
  });

  it('expects the refused records of a final job, and knows when all dead letters have come', () => {
    const letters = (facts: Partial<Job>, known: number) =>
      detailOf(job(facts), [stage({ deadLetters: known }), stage({ stage: 'load', deadLetters: 1 })], NOW)
        .deadLetters;
    expect(letters({ counts: counts(3) }, 2)).toMatchObject({ known: 3, expected: null, complete: false });
    expect(letters({ state: 'succeeded', counts: counts(3) }, 1)).toMatchObject({
      known: 2,
      expected: 3,
      complete: false,
    });
    expect(letters({ state: 'succeeded', counts: counts(3) }, 2)).toMatchObject({
      known: 3,
      expected: 3,
      complete: true,
    });
  });

  it('counts the dead letters of loaded batches alone when a job ended before all were loaded', () => {
    const facts: Partial<Job> = { state: 'cancelled', counts: counts(3), countedBatches: '{[0,2)}' };
    const cancelled = job(facts);
    const sums = (known: number) => [stage({ deadLetters: known })];
    expect(hasDeadLettersOfOthers(cancelled, sums(2))).toBe(false);
    expect(hasDeadLettersOfOthers(cancelled, sums(3))).toBe(true);
    expect(hasDeadLettersOfOthers(job({ ...facts, countedBatches: null }), sums(3))).toBe(false);
    expect(hasDeadLettersOfOthers(job({ ...facts, counts: counts(0) }), sums(3))).toBe(false);
    const deadLetters = { known: 1, expected: 3, complete: false };
    expect(detailOf(cancelled, sums(3), NOW, 1).deadLetters).toMatchObject(deadLetters);
    expect(detailOf(cancelled, sums(5), NOW, 3).deadLetters).toMatchObject({ known: 3, complete: true });
  });

  it('shows a failed job that was resumed as running: sums continue, and nothing is settled', () => {
    const sums = [stage({ batches: 3, refused: 2, deadLetters: 2, findings: { BAD: 2 } })];
    const failed = job({ state: 'failed', resumable: true, counts: counts(2), findings: { BAD: 2 } });
    expect(detailOf(failed, sums, NOW)).toMatchObject({ resumable: true, deadLetters: { complete: true } });
    // As resuming leaves the row.
    const resumed = detailOf(job({ resumable: true, totalBatches: 5 }), sums, NOW);
    expect(resumed).toMatchObject({ state: 'running', resumable: false, counts: null, findings: { BAD: 2 } });
    expect(resumed.deadLetters).toMatchObject({ known: 2, expected: null, complete: false });
    expect(resumed.stages[1]).toMatchObject({ batches: 3, done: false });
    expect(isSettled(resumed)).toBe(false);
  });

  it('says what became of the dead letters, and leaves the job’s sums as they are', () => {
    const [validate, load] = [
      stage({ deadLetters: 5, discarded: 2, landed: 1 }),
      stage({ stage: 'load', deadLetters: 3, resubmitted: 1, refusedAgain: 1, discarded: 1 }),
    ];
    const detail = detailOf(job({ state: 'succeeded', counts: counts(8) }), [validate, load], NOW);
    expect(detail.deadLetters).toEqual({
      ...{ known: 8, expected: 8, complete: true },
      states: { open: 2, resubmitted: 1, landed: 1, refusedAgain: 1, discarded: 3 },
    });
    expect(detail.counts).toEqual({ ...counts(8), deleted: 0 });
  });

  it('waits for the counts of a job that failed or was cancelled, unless it never began', () => {
    for (const state of ['failed', 'cancelled'] as const) {
      const ended = detailOf(job({ state, counts: null }), [], NOW);
      expect(ended.deadLetters).toMatchObject({ known: 0, expected: null, complete: false });
      expect(isSettled(ended)).toBe(false);
      expect(isSettled(detailOf(job({ state, counts: counts(0) }), [], NOW))).toBe(true);
      expect(isSettled(detailOf(job({ state, counts: null, startedAt: null }), [], NOW))).toBe(true);
    }
    expect(isSettled(detailOf(job({ state: 'succeeded', counts: counts(1) }), [], NOW))).toBe(false);
    expect(isSettled(detailOf(job({}), [], NOW))).toBe(false);
  });
});

function job(facts: Partial<Job>): Job {
  return {
    id: '01890000-0000-7000-8000-000000000001',
    dataset: 'shops',
    mode: 'replace',
    state: 'running',
    pauseReason: null,
    wait: null,
    source: { kind: 'http', display: 'https://example.org/shops.csv', own: { trustedCaller: false } },
    dryRun: false,
    limitRecords: null,
    leaseUntil: null,
    expectedBytes: null,
    totalBatches: null,
    totalRecords: null,
    totalBytes: null,
    head: null,
    counts: null,
    findings: null,
    error: null,
    createdAt: new Date('2025-12-31T23:59:59.000Z'),
    startedAt: new Date('2026-01-01T00:00:00.000Z'),
    finishedAt: null,
    ...facts,
  } as Job;
}

function stage(facts: Partial<JobStage>): JobStage {
  return {
    job: '01890000-0000-7000-8000-000000000001',
    stage: 'validate',
    batches: 2,
    records: 0,
    bytes: 0,
    accepted: 0,
    refused: 0,
    skipped: 0,
    warnings: 0,
    deadLetters: 0,
    resubmitted: 0,
    landed: 0,
    refusedAgain: 0,
    discarded: 0,
    findings: {},
    unknownMembers: {},
    firstAt: new Date('2026-01-01T00:00:10.000Z'),
    lastAt: new Date('2026-01-01T00:00:20.000Z'),
    step: null,
    stepAt: null,
    ...facts,
  };
}

function head(dataStart: number): Job['head'] {
  return { columns: [], context: {}, dataStart, firstLine: 2 };
}

function counts(refused: number): JobCounts {
  return { refused, deleted: 0 } as JobCounts;
}
