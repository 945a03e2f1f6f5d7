import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { inTransaction } from '#common/postgres/pool.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { eventually } from '#test/support/eventually.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { OWN_LOCKS } from '#test/support/postgres.js';
import { type NewJob, createJob } from './create-job.js';
import { giveUpFailed } from './unsuccessful-job.js';

const ANY_TIME = 1_000_000;

describe('the lanes of a dataset, on real PostgreSQL', () => {
  let base: JobDatabase;
  let pool: Pool;
  let operator: JobDatabase['operator'];

  beforeAll(async () => {
    base = await startJobDatabase();
    ({ operator } = base);
    pool = poolOf(base.database);
  });
  afterAll(() => base.stop());
  beforeEach(() => base.forgetJobs());

  let sources = 0;
  /** A merge of a source of its own, unless more is given. */
  function job(more: Partial<NewJob> = {}): NewJob {
    const address = `https://example.test/${++sources}.csv`;
    return {
      id: uuidv7(),
      dataset: 'things',
      mode: 'upsert',
      ...from(address),
      dryRun: false,
      limitRecords: null,
      maxRefusedShare: 0.05,
      maxShrinkShare: 0.2,
      options: {},
      contractVersion: 1,
      ...more,
    };
  }
  const from = (display: string, secretUri = display): Pick<NewJob, 'source' | 'secretUri'> => ({
    source: { kind: 'http', display, own: {} },
    secretUri,
  });
  async function create(more: Partial<NewJob> = {}): Promise<string> {
    const created = job(more);
    await base.jobs.create(created);
    return created.id;
  }
  const set = (id: string, what: string): Promise<unknown> =>
    pool.query(`UPDATE sluice.job SET ${what} WHERE id = $1`, [id]);
  /** @param when in seconds from now */
  const fail = (id: string, when = 0): Promise<unknown> =>
    set(
      id,
      `state = 'failed', started_at = coalesce(started_at, now()), finished_at = now(),
       first_failed_at = coalesce(first_failed_at, now() + ${when} * interval '1 second')`,
    );
  const succeed = (id: string): Promise<unknown> =>
    set(id, `state = 'succeeded', finished_at = now(), secret_uri = ''`);
  const givenUp = (hours = ANY_TIME): Promise<string[]> => giveUpFailed(pool, hours);

  describe('creating a job', () => {
    it.each([
      ['append', 'upsert'],
      ['upsert', 'upsert'],
    ] as const)('%s and %s run side by side (LN1)', async (one, other) => {
      await create({ mode: one });
      await create({ mode: other });
    });

    it.each([
      ['replace', 'upsert', 'replaces the tables, and no other job may run beside it'],
      ['append', 'replace', 'is active, and a job that replaces the tables runs beside no other'],
      ['replace', 'replace', 'replaces the tables, and no other job may run beside it'],
    ] as const)('%s is active: %s is refused, and the error names the job and why (LN1)', async (...of) => {
      const [one, other, why] = of;
      const active = await create({ mode: one });
      await expect(create({ mode: other })).rejects.toMatchObject({
        code: 'JOB_ACTIVE',
        message: `Job ${active} of dataset things ${why}.`,
        place: { job: active, dataset: 'things' },
      });
      await create({ mode: other, dataset: 'others' });
      await operator.cancel(active);
      await create({ mode: other });
    });

    it.each(['queued', 'running', 'paused', 'finalizing'])(
      'a replacement that is %s excludes (LN1)',
      async (state) => {
        const active = await create({ mode: 'replace' });
        await set(active, `state = '${state}', pause_reason = ${state === 'paused' ? `'operator'` : 'NULL'}`);
        await expect(create()).rejects.toMatchObject({ code: 'JOB_ACTIVE' });
      },
    );

    it.each([
      ['the same address', 'https://a.test/x.csv', 'https://a.test/x.csv', true],
      ['the same with other credentials', 'https://me:1@a.test/x.csv', 'https://me:2@a.test/x.csv', true],
      ['the same, written otherwise', 'https://a.test:443/x.csv', 'HTTPS://A.test/x.csv', true],
      ['another query', 'https://a.test/x.csv?day=1', 'https://a.test/x.csv?day=2', false],
      ['the same query', 'https://u:1@a.test/x.csv?day=1', 'https://a.test/x.csv?day=1', true],
    ])('%s: one active job reads a source (LN2)', async (_what, one, other, isSame) => {
      const display = 'https://a.test/x.csv';
      const active = await create(from(display, one));
      const second = create(from(display, other));
      if (!isSame) {
        await second;
        return;
      }
      await expect(second).rejects.toMatchObject({
        code: 'JOB_ACTIVE',
        message: `Job ${active} of dataset things reads the same source.`,
        place: { job: active },
      });
      await succeed(active);
      await create(from(display, other));
    });

    it('of many creators at once that exclude each other one succeeds (LN3)', async () => {
      const modes = ['replace', 'upsert', 'replace', 'append', 'upsert', 'replace'] as const;
      for (let round = 0; round < 5; round++) {
        await base.forgetJobs();
        const ends = await Promise.allSettled(modes.map((mode) => create({ mode })));
        const { rows } = await pool.query<{ mode: string }>('SELECT mode FROM sluice.job ORDER BY mode');
        const active = rows.map(({ mode }) => mode);
        expect([['replace'], ['append', 'upsert', 'upsert']]).toContainEqual(active);
        expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(active.length);
        for (const end of ends)
          if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'JOB_ACTIVE' });
      }
    });

    it('waits for a creation that is not committed, and finds it (LN3)', async () => {
      const first = job({ mode: 'replace' });
      let second: Promise<string> | undefined;
      await inTransaction(pool, async (client) => {
        await createJob(client, first);
        second = create();
        second.catch(() => undefined);
        await eventually(
          async () =>
            (await pool.query(`SELECT FROM ${OWN_LOCKS} WHERE locktype = 'advisory' AND NOT granted`))
              .rowCount !== 0,
          'the second to wait',
        );
      });
      await expect(second).rejects.toMatchObject({ place: { job: first.id } });
    });

    it('gives it to an ingestor from its first moment on, with what it comes after and its stream', async () => {
      const before = await create();
      const { id, ...rest } = job({ afterJob: before, stream: 'things' });
      await inTransaction(pool, (client) =>
        createJob(client, { id, ...rest }, { owner: 'me', leaseSeconds: 30 }),
      );
      expect(await base.jobs.load(id)).toMatchObject({
        ...{ state: 'queued', owner: 'me', epoch: 1, afterJob: before, stream: 'things' },
      });
      expect(await base.jobs.claimNext('another')).toMatchObject({ id: before });
      expect(await base.jobs.claimNext('another')).toBeNull();
      expect(await base.jobs.renewLease({ id, epoch: 1 })).toBe('queued');
    });
  });

  describe('resuming a job', () => {
    it.each([
      ['a merge beside a merge that was there when it failed', 'upsert', 'upsert', 10, null],
      [
        'a merge beside a merge that began after it had failed',
        'upsert',
        'upsert',
        -10,
        'so its rows are newer',
      ],
      ['a merge beside a replacement', 'upsert', 'replace', 10, 'replaces the tables'],
      ['a replacement beside a merge', 'replace', 'upsert', 10, 'runs beside no other'],
    ] as const)('%s (LN3)', async (_what, mode, other, failedIn, refusal) => {
      const id = await create({ mode });
      await fail(id, failedIn);
      const active = await create({ mode: other });
      if (refusal === null) {
        await operator.resume(id);
        return;
      }
      await expect(operator.resume(id)).rejects.toMatchObject({
        code: 'JOB_ACTIVE',
        message: expect.stringContaining(refusal),
        place: { job: active },
      });
      await operator.cancel(active);
      await operator.resume(id);
    });

    it('of the same source as an active one is refused (LN2)', async () => {
      const source = from('https://a.test/x.csv');
      const id = await create(source);
      await fail(id, 10);
      const active = await create(source);
      await expect(operator.resume(id)).rejects.toMatchObject({ place: { job: active } });
    });

    it('and creating another that it excludes: one of the two succeeds (LN3)', async () => {
      for (let round = 0; round < 5; round++) {
        await base.forgetJobs();
        const id = await create({ mode: 'replace' });
        await fail(id);
        const ends = await Promise.allSettled([operator.resume(id), create()]);
        expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        const { rowCount } = await pool.query(`SELECT FROM sluice.job WHERE finished_at IS NULL`);
        expect(rowCount).toBe(1);
      }
    });
  });

  describe('a failed job is pointless (JS3), and is given up (LO2), when', () => {
    it.each([
      ['a merge that began after it had failed has succeeded', 'upsert', 'upsert', -10, {}, true],
      ['a merge that ran beside it has succeeded', 'upsert', 'upsert', 10, {}, false],
      ['a replacement has succeeded', 'upsert', 'replace', -10, {}, true],
      ['a job of a stream has succeeded', 'upsert', 'upsert', -10, { stream: 'things' }, false],
      [
        'it would replace, and a job of a stream has succeeded',
        'replace',
        'upsert',
        -10,
        { stream: 'things' },
        true,
      ],
      ['only a dry run has', 'upsert', 'upsert', -10, { dryRun: true }, false],
    ] as const)('%s', async (_when, mode, other, failedIn, more, isPointless) => {
      const id = await create({ mode });
      await fail(id, failedIn);
      await succeed(await create({ mode: other, ...more }));
      expect(await givenUp()).toEqual(isPointless ? [id] : []);
      const resumed = operator.resume(id);
      if (isPointless) await expect(resumed).rejects.toMatchObject({ code: 'JOB_RESUME_REFUSED' });
      else await resumed;
    });

    it('what was created after it had failed stays newer when it is resumed and fails again', async () => {
      const id = await create();
      await fail(id, -10);
      const newer = await create();
      await fail(newer);
      await operator.resume(id);
      await fail(id);
      await operator.resume(newer);
      await succeed(newer);
      expect(await givenUp()).toEqual([id]);
    });

    it('never because of a file, when it is a stream’s own', async () => {
      const id = await create({ stream: 'things' });
      await fail(id, -10);
      for (const mode of ['upsert', 'replace'] as const) await succeed(await create({ mode }));
      expect(await givenUp()).toEqual([]);
      await operator.resume(id);
    });

    it('never while others wait for it, by time neither, also over those that were cancelled (LN6)', async () => {
      const id = await create();
      await fail(id, -10);
      const second = await create({ afterJob: id });
      const third = await create({ afterJob: second });
      await succeed(await create());
      await set(id, `finished_at = now() - interval '1 year'`);
      expect(await givenUp(1)).toEqual([]);
      await operator.cancel(second);
      expect(await givenUp(1)).toEqual([]);
      await operator.cancel(third);
      expect(await givenUp(1)).toEqual([id]);
    });
  });
});
