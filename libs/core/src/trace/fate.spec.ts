import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MergeOracle } from '#test/support/merge-oracle.js';
import { int64 } from '../dataset/kinds.js';
import { type FatedJob, type FatedRecord, type Fates, fatesOf } from './fate.js';

const VERSION = int64();

/** A job that became visible, the n-th one. */
function job(n: number, facts: Partial<FatedJob> = {}): FatedJob {
  const at = new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();
  return { id: `job-${n}`, mode: 'upsert', state: 'succeeded', isDryRun: false, finishedAt: at, ...facts };
}

function record(ofJob: number, number: number, facts: Partial<FatedRecord> = {}): FatedRecord {
  return { job: `job-${ofJob}`, record: number, is: 'record', version: null, isRefused: false, ...facts };
}

function fates(records: readonly FatedRecord[], jobs: readonly FatedJob[]): Fates {
  return fatesOf(records, new Map(jobs.map((each) => [each.id, each])), VERSION);
}

const told = (all: Fates): (string | null)[][] =>
  all.fates.map(({ fate, supersededBy }) =>
    supersededBy === null
      ? [fate]
      : [fate, supersededBy.why, `${supersededBy.job}:${supersededBy.record ?? '-'}`],
  );

describe('what became of the records of a key', () => {
  it('says of each record which other one took its place (TF1)', () => {
    const all = fates(
      [
        record(1, 3, { version: '5' }),
        record(1, 7, { version: '6' }),
        record(1, 9, { version: '4' }),
        record(2, 0, { version: '5' }),
        record(3, 0, { version: '6' }),
        record(4, 1, { version: '9' }),
      ],
      [job(1), job(2), job(3), job(4, { mode: 'append' })],
    );
    expect(told(all)).toEqual([
      ['superseded', 'later-record', 'job-1:7'],
      ['superseded', 'later-job', 'job-3:0'],
      ['superseded', 'newer-version', 'job-1:7'],
      ['superseded', 'newer-version', 'job-1:7'],
      ['in-table'],
      ['superseded', 'existing-row', 'job-3:0'],
    ]);
    expect(all.standing).toMatchObject({ job: 'job-3' });
    expect(all.removedBy).toBeNull();
  });

  it('goes by when jobs became visible, and not by when they began', () => {
    const all = fates([record(1, 0), record(2, 0)], [job(2), job(1, { finishedAt: job(9).finishedAt })]);
    expect(told(all)).toEqual([['in-table'], ['superseded', 'later-job', 'job-1:0']]);
  });

  it('is that a delete took the row away, or found none', () => {
    const gone = fates(
      [record(1, 0, { is: 'delete' }), record(2, 4), record(3, 1, { is: 'delete' })],
      [job(1), job(2), job(3)],
    );
    expect(told(gone)).toEqual([['no-row-to-delete'], ['superseded', 'delete', 'job-3:1'], ['deleted']]);
    expect(gone).toMatchObject({ standing: null, removedBy: { why: 'delete', job: 'job-3', record: 1 } });
    const stale = fates(
      [record(1, 0, { version: '7' }), record(2, 0, { is: 'delete', version: '6' })],
      [job(1), job(2)],
    );
    expect(told(stale)).toEqual([['in-table'], ['superseded', 'newer-version', 'job-1:0']]);
  });

  it('lets records behind a delete without a version win, however old they are', () => {
    const all = fates(
      [
        record(1, 0, { version: '9' }),
        record(2, 0, { version: '8' }),
        record(2, 1, { is: 'delete' }),
        record(2, 2, { version: '1' }),
      ],
      [job(1), job(2)],
    );
    expect(told(all)).toEqual([
      ['superseded', 'later-job', 'job-2:2'],
      ['superseded', 'later-record', 'job-2:2'],
      ['superseded', 'later-record', 'job-2:2'],
      ['in-table'],
    ]);
  });

  it('is that a later snapshot has no such key (TF3)', () => {
    const all = fates([record(1, 0)], [job(1), job(2, { mode: 'replace' }), job(3)]);
    expect(told(all)).toEqual([['superseded', 'replaced', 'job-2:-']]);
    expect(all.removedBy).toEqual({ why: 'replaced', job: 'job-2', record: null });
    const again = fates([record(1, 0), record(2, 5)], [job(1), job(2, { mode: 'replace' })]);
    expect(told(again)).toEqual([['superseded', 'replaced', 'job-2:5'], ['in-table']]);
  });

  it('is nothing for what is refused, or not visible (TF2)', () => {
    const all = fates(
      [
        record(1, 0, { isRefused: true }),
        record(1, 1, { is: 'mention' }),
        record(2, 0),
        record(3, 0),
        record(4, 0),
        record(5, 0),
        record(6, 0),
      ],
      [
        job(1),
        job(2, { state: 'failed' }),
        job(3, { state: 'cancelled' }),
        job(4, { state: 'finalizing', finishedAt: null }),
        job(5, { isDryRun: true }),
      ],
    );
    expect(told(all)).toEqual([
      ['refused'],
      ['refused'],
      ['job-failed'],
      ['job-cancelled'],
      ['job-active'],
      ['dry-run'],
      ['job-unknown'],
    ]);
    expect(all).toMatchObject({ standing: null, removedBy: null });
  });

  it('leaves the row standing that merges leave in the table, whatever jobs did', () => {
    const version = fc.option(fc.integer({ min: 0, max: 4 }));
    const anyRecord = fc.record({
      version,
      isDelete: fc.boolean(),
      isRefused: fc.nat(5).map((n) => n === 0),
    });
    const anyJob = fc.record({
      mode: fc.constantFrom('upsert', 'upsert', 'upsert', 'append', 'replace'),
      records: fc.array(anyRecord, { maxLength: 5 }),
      isVisible: fc.nat(6).map((n) => n > 0),
    });
    fc.assert(
      fc.property(fc.array(anyJob, { maxLength: 8 }), (jobs) => {
        let oracle = new MergeOracle();
        const given: FatedRecord[] = [];
        const all = jobs.map(({ mode, records, isVisible }, at) => {
          const own = records
            .map(({ version: number, isDelete, isRefused }, index) =>
              record(at, index, {
                version: number === null ? null : String(number),
                is: isDelete && mode === 'upsert' ? 'delete' : 'record',
                isRefused,
              }),
            )
            // Of several with one key all but one are refused.
            .map((each, index) => ({
              ...each,
              isRefused: each.isRefused || (mode !== 'upsert' && index > 0),
            }));
          given.push(...own);
          if (isVisible) {
            const accepted = own
              .filter(({ isRefused }) => !isRefused)
              .map(({ job: id, record: number, version: text, is }) => ({
                key: 'the key',
                version: text === null ? null : Number(text),
                ...(is === 'delete'
                  ? { deletes: true as const }
                  : { row: { place: `${id}:${number}` }, children: [] }),
              }));
            if (mode === 'replace') oracle = new MergeOracle();
            if (mode === 'upsert') oracle.upsert(accepted);
            else oracle.append(accepted.flatMap((each) => ('row' in each ? [each] : [])));
          }
          return job(at, { mode, ...(isVisible ? {} : { state: 'cancelled' }) });
        });
        const { standing, fates: found } = fates(given, all);
        const [row] = oracle.records();
        const place = standing === null ? undefined : { place: `${standing.job}:${standing.record}` };
        expect(place).toEqual(row?.row);
        const inTable = given.filter((_, at) => found[at]?.fate === 'in-table');
        expect(inTable).toEqual(standing === null ? [] : [standing]);
        for (const { fate, supersededBy } of found) expect(supersededBy === null).toBe(fate !== 'superseded');
      }),
      { numRuns: 500 },
    );
  });
});
