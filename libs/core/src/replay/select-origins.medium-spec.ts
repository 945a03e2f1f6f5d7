import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { poolOf } from '#common/postgres/typeorm.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { knownRefused, prunedBetween, selectOrigins } from './select-origins.js';

describe('the origins of a replay in the database', () => {
  let held: JobDatabase;

  beforeAll(async () => {
    held = await startJobDatabase();
  });

  beforeEach(async () => {
    await held.forgetJobs();
    await held.database.query('TRUNCATE sluice.dead_letter, sluice.stream_hour');
  });

  afterAll(() => held.stop());

  /** @param facts SQL: of SET */
  async function make(mode: 'replace' | 'upsert', facts: string): Promise<string> {
    const id = uuidv7();
    await held.jobs.create({
      ...{ id, dataset: 'things', mode, source: { kind: 'file', display: '/x' }, secretUri: '/x' },
      ...{ dryRun: false, limitRecords: null, maxRefusedShare: 1, maxShrinkShare: null },
      ...{ options: {}, contractVersion: 1 },
    });
    await held.database.query(`UPDATE sluice.job SET ${facts} WHERE id = $1`, [id]);
    return id;
  }

  const originOf = async (id: string): Promise<unknown> =>
    (await selectOrigins(poolOf(held.database), { dataset: 'things', ids: [id] }, 1))[0];

  const hour = (at: string, jobs: number): Promise<unknown> =>
    held.database.query(
      `INSERT INTO sluice.stream_hour (dataset, hour, jobs, counts, findings, ranges, raw, first_job, last_job, contract_from, contract_to)
       VALUES ('things', $1, $2, '{}', '{}', '{}', '{}', gen_random_uuid(), gen_random_uuid(), 1, 1)`,
      [at, jobs],
    );

  it('say how many batches they have only when their sources were read to the end', async () => {
    const part = await make(
      'replace',
      `state = 'cancelled', finished_at = now(), checkpoint = '{"nextBatch": 3, "nextRecord": 30}'`,
    );
    expect(await originOf(part)).toMatchObject({ totalBatches: null, batches: 3, records: 30 });
    const whole = await make('replace', `state = 'succeeded', total_batches = 4, finished_at = now()`);
    expect(await originOf(whole)).toMatchObject({ totalBatches: 4, batches: 4 });
  });

  it('of mode replace are overtaken by what became visible later', async () => {
    const at = `created_at = '2026-01-05T08:00:00Z'`;
    const monday = await make('replace', `state = 'failed', resumable = false, finished_at = now(), ${at}`);
    const merged = await make('upsert', `state = 'cancelled', finished_at = now(), ${at}`);
    const overtaken = async (id: string): Promise<unknown> => ({ ...((await originOf(id)) as object) });
    expect(await overtaken(monday)).toMatchObject({ isOvertaken: false });
    await make('replace', `state = 'succeeded', finished_at = '2026-01-04T08:00:00Z'`);
    await make('replace', `state = 'succeeded', dry_run = true, finished_at = '2026-01-06T08:00:00Z'`);
    await hour('2026-01-05T07:00:00Z', 5);
    expect(await overtaken(monday)).toMatchObject({ isOvertaken: false });
    const tuesday = await make('replace', `state = 'succeeded', finished_at = '2026-01-06T08:00:00Z'`);
    expect(await overtaken(monday)).toMatchObject({ isOvertaken: true });
    expect(await overtaken(merged)).toMatchObject({ isOvertaken: false });
    await held.database.query('DELETE FROM sluice.job WHERE id = $1', [tuesday]);
    await hour('2026-01-05T08:00:00Z', 5);
    expect(await overtaken(monday)).toMatchObject({ isOvertaken: true });
  });

  it('know of pruned jobs in the hours that overlap a span', async () => {
    for (const [at, jobs] of [
      ['2026-01-05T07:00:00Z', 1],
      ['2026-01-05T08:00:00Z', 20],
      ['2026-01-05T09:00:00Z', 300],
    ] as const)
      await hour(at, jobs);
    const between = (from: string, to: string): Promise<unknown> =>
      prunedBetween(poolOf(held.database), 'things', { from: new Date(from), to: new Date(to) });
    expect(await between('2026-01-05T08:00:00Z', '2026-01-05T09:00:00Z')).toMatchObject({
      ...{ jobs: 20, until: new Date('2026-01-05T09:00:00Z') },
    });
    expect(await between('2026-01-05T08:30:00Z', '2026-01-05T09:00:01Z')).toMatchObject({ jobs: 320 });
    expect(await between('2026-01-05T10:00:00Z', '2026-01-06T09:00:00Z')).toBeNull();
  });

  it('count dead letters of the given batches, and those of others', async () => {
    const job = uuidv7();
    for (const [record, batch, state] of [
      [1, 0, 'open'],
      [2, 0, 'discarded'],
      [3, 1, 'open'],
      [4, 1, 'open'],
      [12, 4, 'open'],
    ] as const)
      await held.database.query(
        `INSERT INTO sluice.dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings, attempt, bytes, columns_id, state)
         VALUES ($1, $2, 'things', $3, 1, 0, 1, 'validate', '{X}', '[]', 0, '', gen_random_uuid(), $4)`,
        [job, record, batch, state],
      );
    const counted = async (batches: number[] | null): Promise<unknown> =>
      (await knownRefused(poolOf(held.database), [job], batches)).get(job);
    expect(await counted(null)).toEqual({ known: 5, open: 4, otherOpen: 0, otherBatches: 0 });
    expect(await counted([0])).toEqual({ known: 5, open: 1, otherOpen: 3, otherBatches: 2 });
  });
});
