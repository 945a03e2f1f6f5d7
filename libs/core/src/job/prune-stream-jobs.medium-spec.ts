import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fillFinishedJobs } from '#test/support/finished-stream-jobs.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { queueJob } from '#test/support/queued-job.js';
import { StreamRepository } from '../stream/stream.repository.js';
import { hourOfJob, prunedOf } from './prune-stream-jobs.js';

const HOUR_MS = 3_600_000;
/** The beginning of an hour, long ago. */
const FROM = new Date('2026-01-01T10:00:00Z');
const OLD = { keepHours: 1, keepJobs: 1, limit: 1_000 };

interface HourRow {
  readonly hour: Date;
  readonly jobs: string;
  readonly counts: Record<string, number>;
  readonly findings: Record<string, number>;
  readonly ranges: Record<string, [number, number]>;
  readonly raw: Record<string, [number, number]>;
  readonly first_job: string;
  readonly last_job: string;
}

describe('pruning the jobs of a stream', () => {
  let base: JobDatabase;
  let streams: StreamRepository;

  beforeAll(async () => {
    base = await startJobDatabase();
    streams = new StreamRepository(base.database);
  });

  afterAll(() => base.stop());

  beforeEach(async () => {
    await base.forgetJobs();
    await base.database.query(
      'TRUNCATE sluice.stream, sluice.stream_hour, sluice.pruned_job, sluice.job_batch, sluice.job_stage, sluice.dead_letter',
    );
  });

  const sql = <T>(text: string, parameters: unknown[] = []): Promise<T[]> =>
    base.database.query<T[]>(text, parameters);
  const fill = (jobs: number, from = FROM): Promise<void> =>
    fillFinishedJobs(sql, { jobs, from, refusedEvery: 10 });
  const countOf = async (table: string): Promise<number> =>
    Number((await sql<{ count: string }>(`SELECT count(*) FROM sluice.${table}`))[0]?.count);
  const hours = (): Promise<HourRow[]> => sql('SELECT * FROM sluice.stream_hour ORDER BY hour');
  const ids = async (): Promise<string[]> =>
    (await sql<{ id: string }>('SELECT id FROM sluice.job ORDER BY id')).map(({ id }) => id);

  it('adds them up by the hour, in steps, and leaves nothing else of them but who has dead letters', async () => {
    // Half an hour before ten to half an hour after it, and the last one stays.
    await fill(3601, new Date(FROM.getTime() - HOUR_MS / 2));
    const all = await ids();
    let pruned = 0;
    for (let step = 1; step > 0; pruned += step) step = await streams.prune('things', OLD);
    expect(pruned).toBe(3600);
    expect(await ids()).toEqual(all.slice(-1));
    for (const [table, each] of [
      ['ledger', 1],
      ['job_batch', 3],
      ['job_stage', 4],
    ] as const)
      expect([table, await countOf(table)]).toEqual([table, each]);
    const rows = await hours();
    expect(rows.map(({ hour, jobs }) => [hour.toISOString(), Number(jobs)])).toEqual([
      ['2026-01-01T09:00:00.000Z', 1800],
      ['2026-01-01T10:00:00.000Z', 1800],
    ]);
    const [first, second] = rows;
    expect(first).toMatchObject({
      counts: { read: 36_000, refused: 180, loaded: 36_000 - 180, inserted: 27_000 },
      findings: { BAD_NUMBER: 180 },
      ranges: { 0: [0, 18_000], 1: [0, 18_000] },
      raw: { 0: [0, 600], 1: [0, 600], 2: [0, 600] },
      first_job: all[0],
      last_job: all[1799],
    });
    expect(second).toMatchObject({
      ranges: { 0: [18_000, 36_000], 1: [18_000, 36_000] },
      raw: { 0: [600, 1200], 1: [600, 1200], 2: [600, 1200] },
      first_job: all[1800],
      last_job: all[3599],
    });
    const remembered = await sql<{ id: string; columns: string[]; source: string }>(
      'SELECT id, columns, source FROM sluice.pruned_job ORDER BY id',
    );
    expect(remembered.map(({ id }) => id)).toEqual(all.filter((_, at) => at % 10 === 0 && at < 3600));
    expect(remembered[0]).toMatchObject({
      columns: ['number', 'name'],
      source: 'topic://sluice.things.inbox?0=0-20',
    });
    expect(await countOf('dead_letter')).toBe(361);
  });

  it('knows by its id that a job was pruned, and of no other', async () => {
    await fill(20);
    const all = await ids();
    const other = hourOfJob(all[0] ?? '');
    expect(other * 1_000).toBe(FROM.getTime());
    await streams.prune('things', OLD);
    const facts = [
      { job: all[3] ?? '', dataset: 'things' },
      { job: all[3] ?? '', dataset: 'others' },
      { job: '01890000-0000-7000-8000-000000000001', dataset: 'things' },
      { job: 'ffffffff-ffff-4fff-bfff-ffffffffffff', dataset: 'things' },
    ];
    const client = {
      query: (text: string, values?: unknown[]) =>
        sql(text, values).then((rows) => ({ rows, rowCount: rows.length })),
    };
    expect(await prunedOf(client as never, facts)).toEqual(new Set([all[3]]));
  });

  it('shows hours whole, wherever their jobs are: in rows, pruned, or half of each', async () => {
    const now = Date.now();
    await fill(5_000, new Date(now - (now % HOUR_MS) - 2 * HOUR_MS));
    const whole = await streams.hours('things', 4);
    expect(whole).toMatchObject([
      { jobs: 1_400, read: 28_000, loaded: 27_860, refused: 140, findings: { BAD_NUMBER: 140 } },
      { jobs: 3_600, read: 72_000, loaded: 71_640, refused: 360, findings: { BAD_NUMBER: 360 } },
    ]);
    for (const limit of [1_000, 2_000, 1_000]) {
      expect(await streams.prune('things', { keepHours: 0, keepJobs: 1, limit })).toBe(limit);
      expect(await streams.hours('things', 4)).toEqual(whole);
    }
    expect(await streams.hours('things', 2)).toEqual(whole.slice(0, 1));
    expect(await streams.hours('others', 4)).toEqual([]);
  });

  it('keeps the newest, whatever their age, and those of the last hours', async () => {
    await fill(20);
    expect(await streams.prune('things', { ...OLD, keepJobs: 15 })).toBe(5);
    await sql(`UPDATE sluice.job SET finished_at = now() - interval '59 minutes' WHERE id > $1`, [
      (await ids())[4],
    ]);
    expect(await streams.prune('things', OLD)).toBe(5);
    expect(await streams.prune('things', OLD)).toBe(0);
  });

  it.each([
    ['is not announced', `UPDATE sluice.job SET announced = false WHERE id = $1`],
    [
      'has refusals that are not announced',
      `UPDATE sluice.ledger SET refusals_announced = false WHERE job = $1`,
    ],
    [
      'has dead letters that are not indexed',
      `UPDATE sluice.job SET counts = counts || '{"refused": 9}' WHERE id = $1`,
    ],
    ['has failed', `UPDATE sluice.job SET state = 'failed', resumable = false WHERE id = $1`],
    ['was cancelled', `UPDATE sluice.job SET state = 'cancelled' WHERE id = $1`],
    ['is the last one of its stream', `UPDATE sluice.stream SET last_job = $1`],
    [
      'is waited for',
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
       contract_version, after_job) SELECT gen_random_uuid(), dataset, mode, 'queued', source, '', false, 1, '{}', 1, id
       FROM sluice.job WHERE id = $1`,
    ],
  ])('leaves a job that %s, and takes those around it', async (_what, change) => {
    await fill(10);
    const all = await ids();
    await sql(change, [all[4]]);
    await sql(`UPDATE sluice.stream SET last_job = $1 WHERE last_job <> $2`, [all[9], all[4]]);
    expect(await streams.prune('things', OLD)).toBe(8);
    expect(await ids()).toEqual(expect.arrayContaining([all[4], all[9]]));
  });

  it('leaves all of them while a failed job of the dataset can be resumed', async () => {
    await fill(10);
    const id = await queueJob(base.jobs);
    await sql(`UPDATE sluice.job SET state = 'failed', finished_at = now() WHERE id = $1`, [id]);
    expect(await streams.prune('things', OLD)).toBe(0);
    await sql(`UPDATE sluice.job SET resumable = false WHERE id = $1`, [id]);
    expect(await streams.prune('things', OLD)).toBe(9);
  });

  it('several ingestors at once count nothing twice and leave nothing out', async () => {
    await fill(200);
    const counts = await Promise.all(
      Array.from({ length: 8 }, () => streams.prune('things', { ...OLD, limit: 40 })),
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(199);
    expect(await hours()).toMatchObject([{ jobs: '199', counts: { read: 199 * 20 } }]);
  });
});
