import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createPool } from '#common/postgres/pool.js';
import { JobRepository } from '#core/job/job.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { migrate } from '#core/schema/migrate.js';
import { eventually } from '#test/support/eventually.js';
import { SweepHarness } from '#test/support/finalizing.js';
import { OWN_LOCKS, type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { SHOP_TABLES, StagedJobs } from '#test/support/staged-job.js';
import { type TransactionPooler, startTransactionPooler } from '#test/support/transaction-pooler.js';
import { AnnounceRepository } from '../announce/announce.repository.js';

/** What every server connection begins with; the limit is longer than anything here, and must never be lifted for others. */
const SETTINGS = {
  DateStyle: 'German, DMY',
  IntervalStyle: 'iso_8601',
  extra_float_digits: '0',
  quote_all_identifiers: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  statement_timeout: '77s',
};

describe('behind a pooler in transaction mode', () => {
  let server: TestDatabase;
  let pooler: TransactionPooler;
  let direct: pg.Client;
  let jobs: StagedJobs;
  let migrated: string[][];

  const pool = (): pg.Pool =>
    createPool({ url: pooler.url, applicationName: 'sluice-test', maxConnections: 12 });

  beforeAll(async () => {
    server = await startTestDatabase();
    direct = new pg.Client({ connectionString: server.url });
    await direct.connect();
    for (const [name, value] of Object.entries(SETTINGS)) {
      await direct.query(
        `ALTER DATABASE ${pg.escapeIdentifier(direct.database ?? '')} SET ${name} = '${value}'`,
      );
    }
    pooler = await startTransactionPooler(server.url, 3);
    migrated = [
      await migrate(pooler.url, []),
      ...(await Promise.all([1, 2].map(() => migrate(pooler.url, [])))),
    ];
    await direct.query(SHOP_TABLES);
    jobs = StagedJobs.over(pooler.url, pool(), pool());
  });
  afterAll(async () => {
    await jobs.stop();
    await pooler.stop();
    await direct.end();
    await server.stop();
  });
  beforeEach(() => jobs.reset());

  const locks = async (): Promise<object[]> =>
    (
      await direct.query<{ pid: number }>(
        `SELECT pid, mode, objid FROM ${OWN_LOCKS} WHERE locktype = 'advisory'`,
      )
    ).rows;

  it('migrates as often as asked, and leaves no lock on a connection that others get', async () => {
    expect(migrated.map(({ length }) => length > 0)).toEqual([true, false, false]);
    expect(await locks()).toEqual([]);
  });

  it.each([
    ['replace', ['1 a x', '2 b']],
    ['append', ['1 old', '2 b', '9 old']],
    ['upsert', ['1 a x', '2 b', '9 old']],
  ] as const)(
    '%s: loads, makes it visible and announces it, and leaves nothing behind',
    async (mode, shops) => {
      await direct.query(`INSERT INTO public.shop (number, name) VALUES ('1', 'old'), ('9', 'old')`);
      const given = pooler.given;
      const id = await jobs.loaded(
        [[{ number: '1', name: 'a', items: ['x'] }, 'refused'], [{ number: '2', name: 'b' }]],
        { mode, maxRefusedShare: 1 },
      );
      const sweeps = new SweepHarness(jobs);
      try {
        sweeps.sweep();
        sweeps.sweep();
        await eventually(async () => {
          const { state, announced } = await jobs.end(id);
          return announced && state !== 'running' && state !== 'finalizing';
        }, 'the end of the job in the topics');
      } finally {
        await sweeps.stop();
      }
      expect(await jobs.end(id)).toMatchObject({ state: 'succeeded', error: null });
      expect(sweeps.announced.at(-1)).toBe('succeeded');
      expect(await jobs.shops()).toEqual(shops);
      expect(pooler.given - given).toBeGreaterThan(2 * pooler.serverConnections);
      expect(await locks()).toEqual([]);
      // Each connection of the pooler's, one after the other: what one step set for itself must not reach others.
      const seen = new Set<unknown>();
      for (let i = 0; i < 2 * pooler.serverConnections; i += 1) {
        const { rows } = await jobs.pool.query<{ pid: number; timeout: string }>(
          `SELECT pg_backend_pid() AS pid, current_setting('statement_timeout') AS timeout`,
        );
        seen.add(rows[0]?.pid);
        expect(rows[0]?.timeout).toBe(SETTINGS.statement_timeout);
      }
      expect(seen.size).toBe(pooler.serverConnections);
    },
  );

  it('one loader announces a job at a time, and releases it', async () => {
    const id = await jobs.loaded([[{ number: '1', name: 'a' }]]);
    const [one, two] = ['one', 'two'].map((owner) => new AnnounceRepository(jobs.pool, owner));
    expect(await one?.take(id)).toMatchObject({ id });
    expect(await two?.take(id)).toBeNull();
    await one?.giveBack(id);
    expect(await two?.take(id)).toMatchObject({ id });
    await two?.giveBack(id);
    expect(await locks()).toEqual([]);
  });

  it('claims and reads a job by TypeORM, whose connections are pooled as well', async () => {
    const id = await jobs.loaded([[{ number: '1', name: 'a' }]]);
    await direct.query(
      `UPDATE sluice.job SET state = 'queued', total_batches = NULL, total_records = NULL, total_bytes = NULL WHERE id = $1`,
      [id],
    );
    const database = await controlDatabase({ url: pooler.url, applicationName: 'test' }).initialize();
    try {
      const repository = new JobRepository(database);
      expect(await repository.claimNext('one')).toMatchObject({ id });
      expect(await repository.claimNext('two')).toBeNull();
      expect(await repository.load(id)).toMatchObject({ state: 'queued', startedAt: expect.any(Date) });
    } finally {
      await database.destroy();
    }
  });
});
