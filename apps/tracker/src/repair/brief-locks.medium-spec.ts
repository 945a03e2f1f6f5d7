import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { pino } from 'pino';
import type { DeadLettersDiscarded } from '#api/dead-letters.js';
import { createPool, inTransaction } from '#common/postgres/pool.js';
import { FOLD_LOCK_ALONE } from '#core/job/begin-again.js';
import { eventually } from '#test/support/eventually.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { OlderDeadLetters } from '../fold/older-dead-letters.js';
import { foldsOver, unregisteredGroups } from '../testing/folds.js';
import { type ReadApiApp, startReadApi } from '../testing/read-api-app.js';
import { JOBS, letter } from '../testing/read-api-rows.js';

/** DC4 and OD2: a resubmission holds dead letters for minutes, and what needs FOLD_LOCK alone does not wait for it. */
describe('what waits for dead letters that another request holds', () => {
  let server: TestDatabase;
  let pool: pg.Pool;
  let older: OlderDeadLetters;
  let api: ReadApiApp;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'brief locks test', maxConnections: 6 });
    older = new OlderDeadLetters(pool, unregisteredGroups(), pino({ level: 'silent' }));
    api = await startReadApi({ databaseUrl: server.url });
  });
  afterAll(async () => {
    await api.stop();
    await pool.end();
    await server.stop();
  });
  beforeEach(async () => {
    await pool.query('TRUNCATE sluice.dead_letter, sluice.dead_letter_group, sluice.job_stage CASCADE');
    await foldsOver(pool).indexDeadLetters([letter(JOBS[1], 1, { bytes: Buffer.from('a') })]);
  });

  /** Begins `work` while a session holds the dead letter, and takes FOLD_LOCK alone before that session ends. */
  const besideAHolder = <T>(work: () => Promise<T>): Promise<{ readonly done: Promise<T> }> =>
    inTransaction(pool, async (holder) => {
      await holder.query('SELECT FROM sluice.dead_letter FOR UPDATE');
      const done = work();
      done.catch(() => undefined);
      await eventually(async () => {
        const { rowCount } = await pool.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return (rowCount ?? 0) > 0;
      }, 'the work that waits for the dead letter');
      await inTransaction(pool, (alone) => alone.query(FOLD_LOCK_ALONE));
      return { done };
    });

  it('discards it when that request has ended', async () => {
    const { done } = await besideAHolder(async () => {
      const response = await fetch(`${api.url}/dead-letters/discard`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
        body: JSON.stringify({ ids: [`${JOBS[1]}:1`], reason: 'test data' }),
      });
      return (await response.json()) as DeadLettersDiscarded;
    });
    expect(await done).toMatchObject({ discarded: 1, decided: 0 });
  });

  it('gives it its group with a later step', async () => {
    await pool.query('UPDATE sluice.dead_letter SET group_id = NULL');
    const { done } = await besideAHolder(() => older.step());
    await expect(done).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', cause: { code: '55P03' } });
    expect(await older.step()).toBe(1);
  });
});
