import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import type { WriteMode } from '#core/dataset/dataset.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { MERGE_WAITS, SHOPS, SweepHarness, untilRow } from '#test/support/finalizing.js';
import { shuffled } from '#test/support/shuffled.js';
import { type JobOptions, StagedJobs } from '#test/support/staged-job.js';
import { FinalizeRepository } from './finalize.repository.js';
import type { Sweep } from './sweep.js';

const MERGE: JobOptions = { mode: 'upsert' };

/** Jobs of one dataset side by side: invariants LN of `libs/core/src/job/lanes.ts`, as the loaders keep them. */
describe('Sweep, with several complete jobs of a dataset', () => {
  let jobs: StagedJobs;
  let database: DataSource;
  let operator: OperatorRepository;
  let harness: SweepHarness;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    database = await controlDatabase({ url: jobs.url, applicationName: 'test' }).initialize();
    operator = new OperatorRepository(database);
  });
  afterAll(async () => {
    await database.destroy();
    await jobs.stop();
  });
  beforeEach(async () => {
    await jobs.reset();
    harness = new SweepHarness(jobs);
  });
  afterEach(() => harness.stop());

  const sweep = (...parts: Parameters<SweepHarness['sweep']>): Sweep => harness.sweep(...parts);
  const until = (id: string, condition: string): Promise<void> =>
    untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND ${condition}`, [id]);
  const set = (id: string, what: string): Promise<unknown> =>
    jobs.pool.query(`UPDATE sluice.job SET ${what} WHERE id = $1`, [id]);
  /** A job of one shop with the given name, whose last batch was loaded at the given second. */
  async function merge(name: string, completed: number, options: JobOptions = MERGE): Promise<string> {
    const id = await jobs.loaded([[{ number: '1', name }]], options);
    await jobs.pool.query(
      `UPDATE sluice.ledger SET loaded_at = timestamptz '2026-01-01' + $2 * interval '1 second' WHERE job = $1`,
      [id, completed],
    );
    await set(id, `source = source || '{"display": "${id}"}'`);
    return id;
  }
  const fail = (id: string): Promise<unknown> =>
    set(id, `state = 'failed', finished_at = now(), first_failed_at = now(), lease_until = NULL`);
  /** Ids in the order in which they became visible. */
  const order = async (): Promise<string[]> =>
    (
      await jobs.pool.query<{ id: string }>(
        `SELECT id FROM sluice.job WHERE state = 'succeeded' ORDER BY finished_at`,
      )
    ).rows.map(({ id }) => id);
  const hold = (ids: readonly string[], hours: number): Promise<unknown> =>
    jobs.pool.query(`UPDATE sluice.job SET lease_until = now() + $2 * interval '1 hour' WHERE id = ANY($1)`, [
      ids,
      hours,
    ]);

  it('one of them at a time is claimed, however many loaders look (LN4)', async () => {
    for (let round = 0; round < 5; round++) {
      await jobs.reset();
      const first = await merge('a', 0);
      for (let at = 1; at <= 3; at++) await merge('b', at);
      const claims = await Promise.all(
        Array.from({ length: 6 }, (_, loader) =>
          new FinalizeRepository(jobs.pool, `loader-${loader}`, 30).claimNext(['shops']),
        ),
      );
      expect(claims.flatMap((claim) => (claim === null ? [] : [claim.id]))).toEqual([first]);
      // What is next in this dataset keeps no loader from what is complete in another one.
      const other = await jobs.loaded([[{ number: '2', name: 'x' }]], { ...MERGE, dataset: 'others' });
      const claim = await new FinalizeRepository(jobs.pool, 'one', 30).claimNext(['shops', 'others']);
      expect(claim?.id).toBe(other);
    }
    await expect(
      jobs.pool.query(`UPDATE sluice.job SET state = 'finalizing' WHERE state = 'running'`),
    ).rejects.toMatchObject({ constraint: 'job_one_finalizing_per_dataset' });
  });

  it('a claim that meets another one of the dataset, not yet committed, looks again (LN4)', async () => {
    const [first, second] = [await merge('first', 0), await merge('second', 1)];
    const loader = await jobs.session();
    await loader.query('BEGIN');
    await loader.query(`UPDATE sluice.job SET state = 'finalizing' WHERE id = $1`, [second]);
    const claim = new FinalizeRepository(jobs.pool, 'one', 30).claimNext(['shops']);
    await untilRow(
      jobs.pool,
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    await loader.query('COMMIT');
    expect((await claim)?.id).toBe(second);
    expect(await jobs.end(first)).toMatchObject({ state: 'running' });
  });

  it('two loaders finalize them in the order in which they were completed, which no id says (LN4)', async () => {
    const completed = shuffled([...Array(8).keys()], new SeededRandom(7));
    const ids: string[] = [];
    for (const at of completed) ids[at] = await merge(`name ${at}`, at);
    sweep();
    sweep();
    await untilRow(jobs.pool, `SELECT FROM sluice.job HAVING bool_and(state = 'succeeded')`);
    expect(await order()).toEqual(ids);
    expect(await jobs.shops()).toEqual(['1 name 7']);
  });

  it('one that its ingestor completed last counts from then on, not from its last batch (LN4)', async () => {
    const first = await merge('first', 0);
    const second = await merge('second', 5);
    await set(first, `completed_at = timestamptz '2026-01-01' + interval '10 seconds'`);
    sweep();
    await until(first, `state = 'succeeded'`);
    expect(await order()).toEqual([second, first]);
  });

  it('the first one is the dataset’s turn also when it is large and only the last place is free (LN4, DJ1)', async () => {
    const ids = [await merge('large', 0), await merge('small', 1)];
    await set(ids[0] ?? '', `expected_bytes = 1000000000`);
    await hold(ids, 1);
    const reader = await jobs.session();
    await reader.query(`BEGIN; INSERT INTO public.shop VALUES ('9', 'held')`);
    const other = await jobs.loaded([[{ number: '9', name: 'x' }]], { ...MERGE, dataset: 'others' });
    sweep({ finalizeAtOnce: 2 }, { datasets: new Map(['shops', 'others'].map((name) => [name, SHOPS])) });
    await until(other, `state = 'finalizing'`);
    await hold(ids, -1);
    for (const id of ids) await until(id, `wait->>'code' = 'SLOT_TAKEN'`);
    await reader.query('ROLLBACK');
    for (const id of ids) await until(id, `state = 'succeeded'`);
    expect(await order()).toEqual([other, ...ids]);
  });

  it('the others say which one is finalized before them, and no longer once it is over (DJ2)', async () => {
    const reader = await jobs.session();
    await reader.query(`BEGIN; INSERT INTO public.shop VALUES ('1', 'held')`);
    const [first, second] = [await merge('first', 0), await merge('second', 1)];
    sweep();
    sweep();
    await untilRow(jobs.pool, MERGE_WAITS);
    await until(
      second,
      `state = 'running' AND wait->>'code' = 'DATASET_BUSY' AND wait->>'message' LIKE '%${first}%'`,
    );
    await reader.query('ROLLBACK');
    await until(second, `state = 'succeeded' AND wait IS NULL`);
    expect(await jobs.shops()).toEqual(['1 second']);
  });

  it('one that cannot be finalized is paused, and the next has its turn', async () => {
    const [first, second] = [await merge('first', 0), await merge('second', 1)];
    await set(first, 'contract_version = 7');
    sweep();
    await until(second, `state = 'succeeded'`);
    await until(first, `state = 'paused'`);
  });

  describe('that come after one another (LN5)', () => {
    let ids: [first: string, second: string, third: string];
    const [FIRST, SECOND, THIRD] = [0, 1, 2] as const;

    /** The later a job of the chain, the earlier it was completed. */
    beforeEach(async () => {
      ids = [await merge('first', 3), await merge('second', 2), await merge('third', 1)];
      await set(ids[SECOND], `after_job = '${ids[FIRST]}'`);
      await set(ids[THIRD], `after_job = '${ids[SECOND]}'`);
    });
    const says = (id: string, code: string, message: string): Promise<void> =>
      until(id, `state = 'running' AND wait->>'code' = '${code}' AND wait->>'message' LIKE '%${message}%'`);
    const done = (): Promise<void> => until(ids[THIRD], `state = 'succeeded'`);

    it('are finalized in that order', async () => {
      sweep();
      await done();
      expect(await order()).toEqual(ids);
    });

    it('wait for one that still runs and say so; jobs beside them do not', async () => {
      await hold([ids[FIRST]], 1);
      const beside = await merge('beside', 9);
      sweep();
      await until(beside, `state = 'succeeded'`);
      await says(ids[SECOND], 'PREDECESSOR_ACTIVE', `comes after job ${ids[FIRST]}, which is running`);
      await says(ids[THIRD], 'PREDECESSOR_ACTIVE', `comes after job ${ids[SECOND]}, which is running`);
      await hold([ids[FIRST]], -1);
      await done();
      expect(await order()).toEqual([beside, ...ids]);
    });

    it('wait for one that is paused, and say what to do', async () => {
      await operator.pause(ids[FIRST]);
      sweep();
      await says(ids[SECOND], 'PREDECESSOR_ACTIVE', `sluice continue ${ids[FIRST]}`);
      await operator.continue(ids[FIRST]);
      await done();
      expect(await order()).toEqual(ids);
    });

    it('wait for one that has failed, say what to do, and continue when it is resumed', async () => {
      await fail(ids[FIRST]);
      sweep();
      await says(ids[SECOND], 'PREDECESSOR_FAILED', `sluice resume ${ids[FIRST]}`);
      await operator.resume(ids[FIRST]);
      await done();
      expect(await order()).toEqual(ids);
    });

    it('continue when the one that has failed is discarded', async () => {
      await fail(ids[FIRST]);
      sweep();
      await says(ids[SECOND], 'PREDECESSOR_FAILED', `sluice discard ${ids[FIRST]}`);
      await operator.discard(ids[FIRST]);
      await done();
      expect(await order()).toEqual(ids.slice(1));
    });

    it('continue when the first is cancelled', async () => {
      await hold(ids, 1);
      await operator.cancel(ids[FIRST]);
      await hold(ids.slice(1), -1);
      sweep();
      await done();
      expect(await order()).toEqual(ids.slice(1));
    });

    it.each([
      ['cancelled', () => operator.cancel(ids[SECOND])],
      ['discarded', () => fail(ids[SECOND]).then(() => operator.discard(ids[SECOND]))],
    ])('keep their order around one between them that is %s', async (_how, end) => {
      await fail(ids[FIRST]);
      await end();
      sweep();
      await says(ids[THIRD], 'PREDECESSOR_FAILED', `sluice resume ${ids[FIRST]}`);
      await operator.resume(ids[FIRST]);
      await done();
      expect(await order()).toEqual([ids[FIRST], ids[THIRD]]);
    });

    it('continue when the row of the one before is gone', async () => {
      await jobs.pool.query('DELETE FROM sluice.job WHERE id = $1', [ids[FIRST]]);
      sweep();
      await done();
      expect(await order()).toEqual(ids.slice(1));
    });

    it('a failed one keeps its staging although a newer job beside them has succeeded (LN6)', async () => {
      await fail(ids[FIRST]);
      const beside = await merge('beside', 9);
      sweep({ keepFailedHours: 1 });
      await until(beside, 'announced AND counts IS NOT NULL');
      await set(ids[FIRST], `finished_at = now() - interval '2 hours'`);
      // The clean-up has passed by when it has dropped what a cancelled job leaves.
      const cancelled = await merge('cancelled', 9);
      await hold([cancelled], 1);
      await operator.cancel(cancelled);
      await untilRow(
        jobs.pool,
        `SELECT FROM sluice.job WHERE NOT EXISTS (
        SELECT FROM sluice.ledger WHERE job = $1)`,
        [cancelled],
      );
      await operator.resume(ids[FIRST]);
      await done();
      expect(await order()).toEqual([beside, ...ids]);
    });
  });

  it.each<WriteMode>(['append', 'upsert'])(
    'a job in mode %s that is finalized after a swap is in the new table (LN1)',
    async (mode) => {
      // What the loader knows of the old table, it has from this one.
      sweep();
      await until(await merge('old', 0), `state = 'succeeded'`);
      const late = await jobs.loaded([[{ number: '2', name: 'late', items: ['x'] }]], { mode });
      await set(late, `stream = 'shops'`);
      await fail(late);
      const table = async (): Promise<unknown> =>
        (await jobs.pool.query<{ oid: number }>(`SELECT 'public.shop'::regclass::oid`)).rows[0]?.oid;
      const before = await table();
      await until(await jobs.loaded([[{ number: '3', name: 'new' }]]), `state = 'succeeded'`);
      expect(await jobs.shops()).toEqual(['3 new']);
      expect(await table()).not.toBe(before);
      await operator.resume(late);
      await until(late, `state = 'succeeded'`);
      expect(await jobs.shops()).toEqual(['2 late x', '3 new']);
    },
  );
});
