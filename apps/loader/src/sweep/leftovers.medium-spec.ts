import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { inTransaction } from '#common/postgres/pool.js';
import { createStaging } from '#core/staging/staging-tables.js';
import { SHOP_PLAN, StagedJobs } from '#test/support/staged-job.js';
import { Leftovers } from './leftovers.js';

const SHOP = { number: '1', name: 'a', items: ['x'] };
const KEEP_HOURS = 72;

describe('Leftovers', () => {
  let jobs: StagedJobs;
  let leftovers: Leftovers;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    leftovers = new Leftovers(jobs.pool, KEEP_HOURS, pino({ level: 'silent' }));
  });
  afterAll(() => jobs.stop());
  beforeEach(() => jobs.reset());

  const change = (id: string, set: string): Promise<unknown> =>
    jobs.pool.query(`UPDATE sluice.job SET ${set} WHERE id = $1`, [id]);

  /** A job with one shop and one refused record in its ledger, in a final state. */
  async function ended(state: string, more = '', dataset = 'shops'): Promise<string> {
    const id = await jobs.loaded([[SHOP, 'refused']], { dataset });
    await change(id, `state = '${state}', finished_at = now()${more}`);
    return id;
  }

  async function sweep(): Promise<void> {
    await leftovers.countUnsuccessful();
    await leftovers.giveUp();
    await leftovers.clear();
  }

  /** Staging and ledger rows, each as there or gone. */
  async function left(id: string): Promise<{ staging: boolean; ledger: boolean }> {
    const prefix = id.replaceAll('-', '');
    return {
      staging: (await jobs.stagingTables()).some((name) => name.startsWith(prefix)),
      ledger: (await jobs.refusals(id)).length > 0,
    };
  }
  const BOTH = { staging: true, ledger: true };
  const NEITHER = { staging: false, ledger: false };

  it('a failed job keeps staging and ledger while it can be resumed (LO1)', async () => {
    const id = await ended('failed');
    await sweep();
    expect(await left(id)).toEqual(BOTH);
  });

  it('a cancelled job keeps neither, and says what was read (LO1, LO4)', async () => {
    const id = await ended('cancelled', ', resumable = false');
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
    await sweep();
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 2, loaded: 0 }, findings: { BAD_NAME: 1 } });
  });

  it('says which batches the counts are about, as long as any arrive (LO4)', async () => {
    const id = await jobs.loaded([[SHOP], ['refused'], [SHOP], ['refused']], { loadOrder: [0, 3] });
    await change(id, `state = 'failed', finished_at = now()`);
    const counted = async (): Promise<unknown> =>
      (
        await jobs.pool.query(
          `SELECT counted_batches AS batches, counts->'read' AS read FROM sluice.job WHERE id = $1`,
          [id],
        )
      ).rows;
    await sweep();
    expect(await counted()).toEqual([{ batches: '{[0,1),[3,4)}', read: 2 }]);
    await jobs.pool.query('UPDATE sluice.ledger SET batch = 4 WHERE job = $1 AND batch = 3', [id]);
    await jobs.pool.query(
      `INSERT INTO sluice.ledger SELECT (jsonb_populate_record(ledger, '{"batch": 3}')).* FROM sluice.ledger
       WHERE job = $1 AND batch = 4`,
      [id],
    );
    await sweep();
    expect(await counted()).toEqual([{ batches: '{[0,1),[3,5)}', read: 3 }]);
    await change(id, 'resumable = false');
    await sweep();
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
    expect(await counted()).toEqual([{ batches: '{[0,1),[3,5)}', read: 3 }]);
  });

  it('staging that a job left behind goes: a succeeded one keeps its ledger, an unknown one has none', async () => {
    const id = await ended('succeeded');
    const unknown = '019f0000-0000-7000-8000-000000000001';
    await inTransaction(jobs.pool, (client) =>
      createStaging(client, SHOP_PLAN, { id: unknown, mode: 'append' }),
    );
    await sweep();
    expect(await left(id)).toEqual({ staging: false, ledger: true });
    expect(await left(unknown)).toEqual(NEITHER);
  });

  it('a failed job is given up when it has been kept long enough, not before (LO2)', async () => {
    const id = await ended('failed');
    const secret = async (): Promise<unknown> =>
      (await jobs.pool.query('SELECT secret_uri FROM sluice.job WHERE id = $1', [id])).rows;
    await change(id, `finished_at = now() - interval '71 hours', secret_uri = 'canary'`);
    await sweep();
    expect(await left(id)).toEqual(BOTH);
    expect(await secret()).toEqual([{ secret_uri: 'canary' }]);
    await change(id, `finished_at = now() - interval '73 hours'`);
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
    expect(await secret()).toEqual([{ secret_uri: '' }]);
  });

  it.each([
    ['a newer job of its dataset has succeeded', `state = 'succeeded'`, NEITHER],
    ['only a newer dry run has', `state = 'succeeded', dry_run = true`, BOTH],
    ['only an older one has', `state = 'succeeded', created_at = now() - interval '1 day'`, BOTH],
    ['a newer one has failed', `state = 'failed'`, BOTH],
    ['one of another dataset has', `state = 'succeeded'`, BOTH, 'others'],
  ])('a failed job, when %s (LO2)', async (_when, other, expected, dataset = 'shops') => {
    const id = await ended('failed');
    await change(id, `created_at = now() - interval '1 hour'`);
    await change(
      await jobs.loaded([[SHOP]], { dataset: 'for now' }),
      `dataset = '${dataset}', finished_at = now(), ${other}`,
    );
    await sweep();
    expect(await left(id)).toEqual(expected);
  });

  it('a stream’s failed job is not given up by time: its records come from nowhere else (LO2)', async () => {
    const id = await ended('failed');
    await change(id, `finished_at = now() - interval '1 year', stream = dataset`);
    await sweep();
    expect(await left(id)).toEqual(BOTH);
  });

  it('is not given up under a load that is in flight (LO2)', async () => {
    const id = await ended('failed', `, created_at = now() - interval '1 year'`);
    await change(id, `finished_at = now() - interval '1 year'`);
    const loader = await jobs.session();
    await loader.query('BEGIN');
    await loader.query('SELECT FROM sluice.job WHERE id = $1 FOR KEY SHARE', [id]);
    await sweep();
    expect(await left(id)).toEqual(BOTH);
    const stillResumable = 'SELECT FROM sluice.job WHERE id = $1 AND resumable';
    expect((await jobs.pool.query(stillResumable, [id])).rowCount).toBe(1);
    await loader.query('COMMIT');
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
    await loader.end();
  });

  it('what was discarded by command goes together (LO3)', async () => {
    const id = await ended('failed', ', resumable = false');
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
  });

  it('the ledger waits until its refusals are announced (LO3)', async () => {
    const id = await ended('failed', ', resumable = false');
    await jobs.pool.query('UPDATE sluice.ledger SET refusals_announced = false WHERE job = $1', [id]);
    await sweep();
    expect(await left(id)).toEqual({ staging: false, ledger: true });
    await jobs.pool.query('UPDATE sluice.ledger SET refusals_announced = true WHERE job = $1', [id]);
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
  });

  it('a job that is held does not delay the others', async () => {
    const ids = [await ended('cancelled'), await ended('cancelled')].sort();
    const holder = await jobs.session();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM sluice.job WHERE id = $1 FOR KEY SHARE', [ids[0]]);
    await sweep();
    expect(await Promise.all(ids.map(left))).toEqual([BOTH, NEITHER]);
    await holder.end();
    await sweep();
    expect(await left(ids[0]!)).toEqual(NEITHER);
  });

  it('counts follow the batches that still arrive, and stay when the ledger goes (LO4)', async () => {
    const id = await ended('failed');
    await sweep();
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 2, accepted: 1, refused: 1, loaded: 0 } });
    await jobs.pool.query(
      `INSERT INTO sluice.ledger SELECT (jsonb_populate_record(ledger, '{"batch": 1, "load_refusals": []}')).*
       FROM sluice.ledger WHERE job = $1`,
      [id],
    );
    await sweep();
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 4, accepted: 2, refused: 2 } });
    await change(id, 'resumable = false, counts = NULL');
    await sweep();
    expect(await left(id)).toEqual(NEITHER);
    await sweep();
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 4 }, findings: { BAD_NAME: 2 } });
  });

  it('two loaders at once do not make its counts forgotten (LO4)', async () => {
    const id = await ended('cancelled');
    await leftovers.countUnsuccessful();
    await Promise.all([leftovers.clear(), leftovers.clear()]);
    expect(await left(id)).toEqual(NEITHER);
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 2 }, findings: { BAD_NAME: 1 } });
  });

  it('a job that never began counts nothing', async () => {
    const id = await jobs.loaded([['skipped']]);
    await jobs.pool.query('DELETE FROM sluice.ledger WHERE job = $1', [id]);
    await change(id, `state = 'failed', finished_at = now()`);
    await sweep();
    expect(await jobs.end(id)).toMatchObject({ counts: { read: 0, refused: 0 }, findings: {} });
  });
});
