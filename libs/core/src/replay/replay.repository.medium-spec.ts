import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import type { ReplayView } from '#api/replays.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import type { ReplayPlan, ReplayedSettings } from './replay.js';
import { ReplayReader } from './replay.reader.js';
import { type ReplayHost, ReplayRepository, type StepTaken } from './replay.repository.js';

/** RP1 to RP3 are the invariants of replay.repository.ts. */
describe('replays in the database', () => {
  let held: JobDatabase;
  let replays: ReplayRepository;
  let reader: ReplayReader;
  const host: ReplayHost = {
    describe: (display) => ({ kind: 'raw', display, own: { trustedCaller: true } }),
    versionOf: (dataset) => (dataset === 'things' ? 2 : null),
  };

  beforeAll(async () => {
    held = await startJobDatabase();
    replays = new ReplayRepository(held.database);
    reader = new ReplayReader(held.database);
  });

  beforeEach(async () => {
    await held.forgetJobs();
    await held.database.query('TRUNCATE sluice.replay CASCADE');
    await held.database.query('TRUNCATE sluice.dead_letter');
  });

  afterAll(() => held.stop());

  function planOf(jobs: number, facts: Partial<ReplayPlan> = {}, chosen = false): ReplayPlan {
    const settings: ReplayedSettings = {
      ...{ mode: 'upsert', strict: false, maxRefusedShare: 1, maxShrinkShare: null },
      ...{ existingKeys: 'supersede', breaker: null, options: {} },
    };
    const planned = Array.from({ length: jobs }, (_, at) => ({
      ...{ origin: uuidv7(), address: `raw://sluice.things.raw?at=${at}`, settings, batches: 2, records: 9 },
      chosen: chosen && { batches: null },
    }));
    return {
      ...{ dataset: 'things', selection: { from: '2026-01-01T00:00:00Z' }, which: 'all', mode: null },
      ...{ atOnce: 2, by: null, jobs: planned, covers: { jobs, batches: jobs * 2, records: jobs * 9 } },
      deleted: { jobs: 0, batches: 0, records: 0, offsets: 0 },
      leftOut: [],
      ...facts,
    };
  }

  const step = (id: string): Promise<StepTaken> => replays.step(id, host);

  /** The jobs of a replay as they have begun, in order. */
  const begun = (): Promise<{ id: string; after_job: string | null; origin_job: string }[]> =>
    held.database.query('SELECT id, after_job, origin_job, contract_version FROM sluice.job ORDER BY id');

  async function end(job: string | undefined, facts: string): Promise<void> {
    await held.database.query(`UPDATE sluice.job SET ${facts}, finished_at = now() WHERE id = $1`, [job]);
  }

  it('begin their jobs in order, N at once, each after the one before it (RP1, RP2)', async () => {
    const plan = planOf(3);
    const id = await replays.create(plan);
    expect(await replays.open()).toEqual([{ id, state: 'running' }]);
    expect([await step(id), await step(id), await step(id)]).toEqual(['began', 'began', 'waits']);
    const [first, second] = await begun();
    expect([first?.origin_job, second?.origin_job]).toEqual(
      plan.jobs.slice(0, 2).map(({ origin }) => origin),
    );
    expect([first?.after_job, second?.after_job]).toEqual([null, first?.id]);
    await end(first?.id, `state = 'succeeded', counts = '{"read": 9, "inserted": 4, "unchanged": 5}'`);
    expect([await step(id), await step(id)]).toEqual(['began', 'waits']);
    const [, , third] = await begun();
    expect(third?.after_job).toBe(second?.id);
    await end(second?.id, `state = 'succeeded', counts = '{"read": 9, "updated": 1, "unchanged": 8}'`);
    await end(third?.id, `state = 'succeeded', counts = '{"read": 9, "unchanged": 9}'`);
    expect(await step(id)).toBe('ended');
    expect(await step(id)).toBe('held elsewhere');
    const ended: Partial<ReplayView> = {
      ...{ state: 'succeeded', changed: true, wait: null },
      jobs: { waiting: 0, active: 0, succeeded: 3, failed: 0, cancelled: 0 },
      counts: { read: 27, refused: 0, inserted: 4, updated: 1, unchanged: 22, deleted: 0, superseded: 0 },
    };
    expect(await reader.show(id)).toMatchObject(ended);
    const { items, next } = await reader.jobs(id, null, 2);
    expect([items.map(({ job }) => job), next]).toEqual([[first?.id, second?.id], '1']);
    expect((await reader.jobs(id, 1, 2)).items).toMatchObject([
      { position: 2, job: third?.id, state: 'succeeded', contractVersion: 2, records: 9 },
    ]);
  });

  it('take each step once, however many ask for it at a time (RP2)', async () => {
    const id = await replays.create(planOf(8, { atOnce: 8 }));
    const taken: StepTaken[] = [];
    while ((await begun()).length < 8)
      taken.push(...(await Promise.all(Array.from({ length: 4 }, () => step(id)))));
    expect(taken.filter((one) => one === 'began')).toHaveLength(8);
    const jobs = await begun();
    expect(new Set(jobs.map(({ origin_job }) => origin_job)).size).toBe(8);
    expect(jobs.map(({ after_job }) => after_job)).toEqual([null, ...jobs.slice(0, -1).map((job) => job.id)]);
  });

  it('wait behind a job that has failed, and proceed when it is given up', async () => {
    const id = await replays.create(planOf(2, { atOnce: 1 }));
    await step(id);
    const [first] = await begun();
    await end(first?.id, `state = 'failed', resumable = true`);
    expect(await step(id)).toBe('waits');
    const { wait } = await reader.show(id);
    expect(wait).toMatchObject({ code: 'REPLAY_JOB_STANDS', job: first?.id });
    expect(await step(id)).toBe('waits');
    expect((await reader.show(id)).wait).toEqual(wait);
    await held.operator.discard(first?.id ?? '');
    expect(await step(id)).toBe('began');
    const second = (await begun())[1];
    await end(second?.id, `state = 'succeeded', counts = '{"read": 9, "unchanged": 9}'`);
    expect(await step(id)).toBe('ended');
    expect(await reader.show(id)).toMatchObject({ state: 'failed', wait: null, changed: false });
  });

  it('begin nothing after they were cancelled, and end when their jobs have (RP3)', async () => {
    const id = await replays.create(planOf(3, { atOnce: 1 }));
    await step(id);
    const [first] = await begun();
    expect(await replays.cancel(id)).toEqual([first?.id]);
    expect(await step(id)).toBe('waits');
    await held.operator.cancel(first?.id ?? '');
    expect(await step(id)).toBe('ended');
    expect(await begun()).toHaveLength(1);
    expect(await reader.show(id)).toMatchObject({ state: 'cancelled', jobs: { waiting: 2, cancelled: 1 } });
    await expect(replays.cancel(id)).rejects.toMatchObject({ code: 'REPLAY_TRANSITION_REFUSED' });
    await expect(replays.cancel(uuidv7())).rejects.toMatchObject({ code: 'REPLAY_UNKNOWN' });
    await expect(reader.show(uuidv7())).rejects.toMatchObject({ code: 'REPLAY_UNKNOWN' });
  });

  it('change nothing when the next job is excluded, and can say what they wait for', async () => {
    const id = await replays.create(planOf(1));
    await held.jobs.create({
      ...{ id: uuidv7(), dataset: 'things', mode: 'replace', source: { kind: 'file', display: '/x' } },
      ...{ secretUri: '/x', dryRun: false, limitRecords: null, maxRefusedShare: 1, maxShrinkShare: null },
      ...{ options: {}, contractVersion: 1 },
    });
    const refusal: unknown = await step(id).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'JOB_ACTIVE' });
    await replays.declareWait(id, refusal as never);
    expect(await reader.show(id)).toMatchObject({
      ...{ state: 'running', jobs: { waiting: 1, active: 0 } },
      wait: { code: 'JOB_ACTIVE' },
    });
  });

  it('pin the open dead letters of their origins (RP1)', async () => {
    const plan = planOf(1, { which: 'refused' }, true);
    const [planned] = plan.jobs;
    for (const [record, batch, state] of [
      [3, 0, 'open'],
      [1, 0, 'open'],
      [2, 0, 'discarded'],
      [12, 4, 'open'],
    ] as const)
      await held.database.query(
        `INSERT INTO sluice.dead_letter (job, record, dataset, batch, line, byte_start, byte_end, stage, codes, findings, attempt, bytes, columns_id, state)
         VALUES ($1, $2, 'things', $3, 1, 0, 1, 'validate', '{X}', '[]', 0, '', gen_random_uuid(), $4)`,
        [planned?.origin, record, batch, state],
      );
    const id = await replays.create(plan);
    await held.database.query('DELETE FROM sluice.dead_letter');
    await step(id);
    const [job] = await begun();
    const chosen = await held.jobs.chosenRecords(job?.id ?? '');
    const found = [];
    for await (const one of chosen ?? []) found.push(one);
    expect(found).toEqual([
      { batch: 0, records: [1, 3] },
      { batch: 4, records: [12] },
    ]);
  });

  it('take all records where nothing was chosen, as every other job does', async () => {
    const id = await replays.create(planOf(1));
    await step(id);
    const [job] = await begun();
    expect(await held.jobs.chosenRecords(job?.id ?? '')).toBeNull();
    expect(await held.jobs.chosenRecords(uuidv7())).toBeNull();
  });
});
