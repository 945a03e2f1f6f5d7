import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { inTransaction } from '#common/postgres/pool.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { eventually } from '#test/support/eventually.js';
import { LoadingHarness } from '#test/support/loading.js';
import { OWN_LOCKS } from '#test/support/postgres.js';

describe('GroupLoader on real PostgreSQL', () => {
  let harness: LoadingHarness;

  beforeAll(async () => {
    harness = await LoadingHarness.start();
  });

  afterAll(() => harness.stop());

  beforeEach(() => harness.begin());

  it('brings a batch and its ledger row together, once, however often it is delivered (LD1, G3)', async () => {
    expect(await harness.load(harness.batch(0), harness.batch(1))).toMatchObject({
      kind: 'loaded',
      repeated: [],
    });
    expect(await harness.load(harness.batch(1), harness.batch(2))).toMatchObject({
      fresh: [{ batch: 2 }],
      repeated: [{ batch: 1 }],
    });
    await Promise.all([harness.load(harness.batch(3)), harness.load(harness.batch(3))]);
    expect(await harness.load(harness.batch(4), harness.batch(4), harness.batch(3))).toMatchObject({
      fresh: [{ batch: 4 }],
      repeated: [{ batch: 4 }, { batch: 3 }],
    });
    expect(await harness.staged()).toEqual({
      things: ['t0', 't1', 't2', 't3', 't4', 't5', 't6', 't7', 't8', 't9'],
      parts: ['t0a', 't1b', 't2a', 't3b', 't4a', 't5b', 't6a', 't7b', 't8a', 't9b'],
      batches: [0, 1, 2, 3, 4],
    });
    expect(harness.commits).toBe(5);
  });

  it('leaves nothing of a group when its COPY breaks off, and pauses a job whose tables do not fit (LD4)', async () => {
    const plan = harness.plan();
    const broken = plan.targets.map((target) =>
      target.table === 'part' ? { ...target, copyStatement: 'COPY sluice_staging.gone FROM STDIN' } : target,
    );
    const loading = harness.loadBy({ ...plan, targets: broken }, harness.batch(0));
    const before = harness.commits;
    await expect(loading).rejects.toMatchObject({ code: 'JOB_PAUSED', retryable: true });
    expect(harness.commits).toBe(before);
    expect(await harness.staged()).toEqual({ things: [], parts: [], batches: [] });
    expect(await harness.paused()).toMatchObject({
      state: 'paused',
      pause_reason: 'schema',
      pause_detail: { code: 'JOB_SCHEMA', message: expect.stringContaining('42P01') },
    });
    await harness.continued();
    expect(await harness.load(harness.batch(0))).toMatchObject({ kind: 'loaded', fresh: [{ batch: 0 }] });
  });

  it.each<[string, (message: CleanMessage) => CleanMessage]>([
    ['fewer rows than it says', (message) => withSection(message, 'part', { rows: 3 })],
    ['more rows than it says', (message) => withSection(message, 'thing', { rows: 1 })],
    [
      'rows of a table that the dataset does not write',
      (message) => withSection(message, 'part', { table: 'parts' }),
    ],
  ])('takes no batch that brings %s (RC5)', async (_, changed) => {
    await expect(harness.load(harness.batch(0), changed(harness.batch(1)))).rejects.toMatchObject({
      code: 'JOB_PAUSED',
    });
    expect(await harness.paused()).toMatchObject({
      pause_reason: 'fault',
      pause_detail: { code: 'BATCH_MISCOUNTED' },
    });
    expect(await harness.staged()).toEqual({ things: [], parts: [], batches: [] });
  });

  it('does not lose the refusal of a record that its batch does not hold (RC5)', async () => {
    const foreign = harness.batch(0, { thing: '0\tt0\t1\n7\tt7\t1000\n', part: '' });
    await expect(harness.load(foreign)).rejects.toMatchObject({ code: 'JOB_PAUSED' });
    expect(await harness.paused()).toMatchObject({ pause_detail: { code: 'BATCH_MISCOUNTED' } });
  });

  it('pauses a job for an error that is not known, with PostgreSQL’s words, and resumes when continued (LD8)', async () => {
    await withTrigger(`RAISE EXCEPTION 'the moon is full' USING ERRCODE = 'XX001'`);
    await expect(harness.load(harness.batch(0))).rejects.toMatchObject({
      code: 'JOB_PAUSED',
      retryable: true,
    });
    expect(await harness.paused()).toMatchObject({
      pause_reason: 'fault',
      pause_detail: {
        code: 'JOB_FAULT',
        message: 'Loading failed 4 times: the moon is full (SQLSTATE XX001).',
      },
    });
    await harness.pool.query('DROP FUNCTION public.spoil CASCADE');
    await harness.continued();
    expect(await harness.load(harness.batch(0))).toMatchObject({ kind: 'loaded' });
  });

  it('drops what a failed job still brings and cannot load: others stand behind it (LD8)', async () => {
    await withTrigger(`RAISE EXCEPTION 'no' USING ERRCODE = 'XX001'`);
    await harness.pool.query(`UPDATE sluice.job SET state = 'failed', finished_at = now() WHERE id = $1`, [
      harness.job,
    ]);
    expect(await harness.load(harness.batch(0))).toEqual({ kind: 'dropped', state: 'failed' });
    await harness.pool.query('DROP FUNCTION public.spoil CASCADE');
  });

  it('leaves the state of the database to be waited for, and pauses nothing', async () => {
    await withTrigger(`RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'`);
    await expect(harness.load(harness.batch(0))).rejects.toMatchObject({ code: '53100' });
    expect(await harness.paused()).toMatchObject({ state: 'running' });
    await harness.pool.query('DROP FUNCTION public.spoil CASCADE');
  });

  async function withTrigger(body: string): Promise<void> {
    const [staging] = harness.tables;
    await harness.pool.query(`
      CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$;
      CREATE TRIGGER spoil BEFORE INSERT ON ${staging} FOR EACH ROW EXECUTE FUNCTION public.spoil()`);
  }

  it('still takes what is under way for a failed job that may be resumed (LD2)', async () => {
    await harness.pool.query(`UPDATE sluice.job SET state = 'failed', finished_at = now() WHERE id = $1`, [
      harness.job,
    ]);
    expect(await harness.load(harness.batch(0))).toMatchObject({ kind: 'loaded' });
    await harness.pool.query('UPDATE sluice.job SET resumable = false WHERE id = $1', [harness.job]);
    expect(await harness.load(harness.batch(1))).toEqual({ kind: 'dropped', state: 'failed' });
  });

  describe('of a paused job (LD9)', () => {
    const row = async (): Promise<unknown> =>
      (
        await harness.pool.query('SELECT dropped_from AS dropped FROM sluice.job WHERE id = $1', [
          harness.job,
        ])
      ).rows[0];
    /** Of the same dataset. */
    async function another(state: string): Promise<void> {
      await harness.pool.query(
        `INSERT INTO sluice.job SELECT (jsonb_populate_record(job, jsonb_build_object('id', gen_random_uuid(),
           'state', $2::text, 'pause_reason', CASE WHEN $2 = 'paused' THEN 'operator' END))).* FROM sluice.job WHERE id = $1`,
        [harness.job, state],
      );
    }
    const pause = (reason: string): Promise<unknown> =>
      harness.pool.query(`UPDATE sluice.job SET state = 'paused', pause_reason = $1`, [reason]);

    it.each(['operator', 'breaker', 'schema', 'fault'])(
      'the batches wait (%s) as long as none of another job stands behind them',
      async (reason) => {
        await pause(reason);
        for (const other of [null, 'paused', 'finalizing']) {
          if (other !== null) await another(other);
          await expect(harness.load(harness.batch(0))).rejects.toMatchObject({ code: 'JOB_PAUSED' });
        }
        expect(await row()).toEqual({ dropped: null });
        await another('running');
        expect(await harness.load(harness.batch(0))).toEqual({ kind: 'dropped', state: 'paused' });
        expect((await harness.staged()).batches).toEqual([]);
      },
    );

    it('the job’s row says from which batch on any were dropped, but for those that are loaded or foreign', async () => {
      await harness.load(harness.batch(0));
      await pause('operator');
      await another('queued');
      expect(await harness.load(harness.batch(0))).toMatchObject({
        kind: 'dropped',
        loaded: [{ batch: 0 }],
      });
      expect(await harness.load({ ...harness.batch(1), epoch: 9 })).toMatchObject({ kind: 'dropped' });
      expect(await row()).toEqual({ dropped: null });
      await harness.load(harness.batch(4), harness.batch(5));
      await harness.load(harness.batch(2), harness.batch(0));
      await harness.load(harness.batch(3));
      expect(await row()).toEqual({ dropped: '2' });
    });
  });

  describe('behind the transaction of another loader', () => {
    let other: pg.Client;
    let ended: Promise<unknown>;

    beforeEach(async () => {
      other = new pg.Client({ connectionString: harness.url, application_name: 'sluice loader other:1' });
      ended = new Promise((resolve) => other.on('error', resolve));
      await other.connect();
      await other.query('BEGIN');
      await other.query(
        `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c,
           accepted, refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
         VALUES ($1, 0, 0, 2, 2, 0, 10, 1, 2, 0, 0, 0, '{}', 'sluice.things.raw', 0, 0)`,
        [harness.job],
      );
    });

    afterEach(() => other.end().catch(() => undefined));

    it('ends one that has stalled, and continues', async () => {
      expect(await harness.load(harness.batch(0))).toMatchObject({ kind: 'loaded', fresh: [{ batch: 0 }] });
      expect(await ended).toMatchObject({ code: '57P01' });
    });

    it('waits for one that is younger than a session', async () => {
      harness.looks = 0;
      const patient = harness.loaderWith(600_000);
      const group = { dataset: 'things', job: harness.job, batches: [harness.batch(0)] };
      const loading = patient.load(group, harness.plan(), () => undefined);
      await eventually(() => harness.looks > 0, 'a query for the blocking session');
      await other.query('COMMIT');
      expect(await loading).toMatchObject({ kind: 'loaded', fresh: [], repeated: [{ batch: 0 }] });
    });
  });

  it('loads nothing for a job that is not running (G5)', async () => {
    for (const state of ['finalizing', 'cancelled', 'succeeded']) {
      const finished = state === 'finalizing' ? null : new Date();
      await harness.pool.query('UPDATE sluice.job SET state = $2, finished_at = $3 WHERE id = $1', [
        harness.job,
        state,
        finished,
      ]);
      expect(await harness.load(harness.batch(0))).toEqual({ kind: 'dropped', state });
    }
    expect((await harness.staged()).batches).toEqual([]);
    await harness.pool.query('DELETE FROM sluice.job');
    expect(await harness.load(harness.batch(0))).toEqual({ kind: 'dropped', state: 'unknown' });
  });

  it('says which batches of an ended job were loaded before: their events may not have arrived (G7)', async () => {
    await harness.load(harness.batch(0));
    await harness.pool.query(`UPDATE sluice.job SET state = 'finalizing' WHERE id = $1`, [harness.job]);
    expect(await harness.load(harness.batch(0), harness.batch(1))).toMatchObject({
      kind: 'dropped',
      state: 'finalizing',
      loaded: [{ batch: 0 }],
    });
    expect((await harness.staged()).batches).toEqual([0]);
  });

  describe('of batches that must not be loaded', () => {
    const jobRow = async (): Promise<Record<string, unknown>> =>
      (
        await harness.pool.query<Record<string, unknown>>(
          `SELECT state, pause_reason AS reason, coalesce(pause_detail, error) AS why FROM sluice.job`,
        )
      ).rows[0] ?? {};

    it.each([
      ['another version than the job', { contractVersion: 2 }, 'validated by version 2'],
      ['other tables than ours', { plan: 'another plan' }, 'other tables or columns'],
      [
        'a version that the validator lacks',
        { fault: { code: 'CONTRACT_MISMATCH', message: 'another version' }, sections: [] },
        'another version',
      ],
    ])('of %s: pauses the job, loads nothing and holds up nothing (LD5)', async (_, facts, words) => {
      expect(await harness.load(harness.batch(0), { ...harness.batch(1), ...facts })).toEqual({
        kind: 'dropped',
        state: 'paused',
      });
      expect(await jobRow()).toMatchObject({
        state: 'paused',
        reason: 'contract',
        why: { code: 'CONTRACT_MISMATCH', message: expect.stringContaining(words) },
      });
      expect(await harness.load(harness.batch(2))).toEqual({ kind: 'dropped', state: 'paused' });
      expect(await harness.staged()).toEqual({ things: [], parts: [], batches: [] });
    });

    it('pauses a job of another version than its own contract’s (LD5)', async () => {
      await harness.pool.query('UPDATE sluice.job SET contract_version = 7');
      expect(await harness.load({ ...harness.batch(0), contractVersion: 7 })).toEqual({
        kind: 'dropped',
        state: 'paused',
      });
      expect(await jobRow()).toMatchObject({ why: { message: expect.stringContaining('version 7') } });
    });

    it('loads what an older build sent, which says neither version nor plan', async () => {
      const old = { ...harness.batch(0), contractVersion: null, plan: null };
      expect(await harness.load(old)).toMatchObject({ kind: 'loaded', fresh: [{ batch: 0 }] });
    });

    it('fails the job when a batch could not be validated (LD6)', async () => {
      const fault = { code: 'DATASET_INVALID', message: 'the file has no column "b"' };
      expect(await harness.load({ ...harness.batch(0), fault, sections: [] })).toEqual({
        kind: 'dropped',
        state: 'failed',
      });
      expect(await jobRow()).toMatchObject({
        state: 'failed',
        why: { ...fault, action: expect.any(String) },
      });
      // It may be resumed, so other batches of it are still taken; those that are no batches are dropped.
      expect(await harness.load({ ...harness.batch(0), fault, sections: [] })).toEqual({
        kind: 'dropped',
        state: 'failed',
      });
      expect((await harness.staged()).batches).toEqual([]);
    });

    it('does nothing of the kind to a job that has ended', async () => {
      await harness.pool.query(`UPDATE sluice.job SET state = 'cancelled', finished_at = now()`);
      const fault = { code: 'CONTRACT_MISMATCH', message: 'another version' };
      expect(await harness.load({ ...harness.batch(0), fault, sections: [] })).toEqual({
        kind: 'dropped',
        state: 'cancelled',
      });
      expect(await jobRow()).toMatchObject({ state: 'cancelled' });
    });

    it.each([
      ['bytes', { crc32c: 2 }],
      ['counts', { counts: { records: 2, accepted: 1, refused: 1, skipped: 0, warnings: 0 } }],
      ['place', { byteEnd: 11 }],
    ])('fails the job when a batch comes again with other %s (LD6)', async (_, facts) => {
      await harness.load(harness.batch(0));
      const again = { ...harness.batch(0), ...facts };
      expect(await harness.load(harness.batch(1), again)).toEqual({ kind: 'dropped', state: 'failed' });
      expect(await jobRow()).toMatchObject({ state: 'failed', why: { code: 'BATCH_DIFFERS' } });
      expect((await harness.staged()).batches).toEqual([0]);
      // It has failed already: nothing holds up the batches of others behind it.
      expect(await harness.load(again, harness.batch(2))).toEqual({ kind: 'dropped', state: 'failed' });
      expect((await harness.staged()).batches).toEqual([0]);
    });

    it('takes none without a seal for a job whose messages are sealed (LD7)', async () => {
      await harness.pool.query('UPDATE sluice.job SET signed = true');
      const sealed = { ...harness.batch(1), sealed: true };
      expect(await harness.loadBy(harness.plan(true), harness.batch(0), sealed)).toMatchObject({
        fresh: [{ batch: 1 }],
      });
      expect((await harness.staged()).batches).toEqual([1]);
    });

    it('pauses such a job, and keeps its batches, when it cannot check seals itself (LD8)', async () => {
      await harness.pool.query('UPDATE sluice.job SET signed = true');
      await expect(harness.load({ ...harness.batch(0), sealed: false })).rejects.toMatchObject({
        code: 'JOB_PAUSED',
      });
      expect(await jobRow()).toMatchObject({
        ...{ state: 'paused', reason: 'fault' },
        why: { message: expect.stringContaining('SLUICE_MESSAGE_KEY') },
      });
    });

    it('drops batches of epochs that the job never had, or that it had before it began again (LD7)', async () => {
      await harness.pool.query('UPDATE sluice.job SET epoch = 5, first_epoch = 3');
      const outcome = await harness.load(
        { ...harness.batch(0), epoch: 777 },
        { ...harness.batch(1), epoch: 2 },
        { ...harness.batch(2), epoch: 3 },
        { ...harness.batch(3), epoch: 5 },
      );
      expect(outcome).toMatchObject({ kind: 'loaded', fresh: [{ batch: 2 }, { batch: 3 }], repeated: [] });
      expect((await harness.staged()).batches).toEqual([2, 3]);
      expect(await harness.load({ ...harness.batch(4), epoch: 6 })).toEqual({
        kind: 'dropped',
        state: 'running',
      });
    });
  });

  it('waits while the job is paused', async () => {
    await harness.pool.query(
      `UPDATE sluice.job SET state = 'paused', pause_reason = 'operator' WHERE id = $1`,
      [harness.job],
    );
    await expect(harness.load(harness.batch(0))).rejects.toMatchObject({
      code: 'JOB_PAUSED',
      retryable: true,
    });
  });

  it('holds the job row until COMMIT, so that ending the job waits for it (LD2)', async () => {
    const loading = await inTransaction(harness.pool, async (blocker) => {
      // Between the check of the state and the ledger row, whose foreign key would lock the job row anyway.
      await blocker.query('LOCK TABLE sluice.ledger IN SHARE MODE');
      const waiting = harness.load(harness.batch(0));
      await eventually(
        async () => (await harness.pool.query(`SELECT FROM ${OWN_LOCKS} WHERE NOT granted`)).rows.length > 0,
        'the loader to meet the lock',
      );
      const ending = harness.pool.query('SELECT FROM sluice.job WHERE id = $1 FOR UPDATE NOWAIT', [
        harness.job,
      ]);
      await expect(ending).rejects.toMatchObject({ code: '55P03' });
      return { waiting };
    });
    expect(await loading.waiting).toMatchObject({ kind: 'loaded' });
  });
});

function withSection(
  message: CleanMessage,
  name: string,
  change: Partial<CleanMessage['sections'][number]>,
): CleanMessage {
  const sections = message.sections.map((section) =>
    section.table === name ? { ...section, ...change } : section,
  );
  return { ...message, sections };
}
