import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createPool } from '#common/postgres/pool.js';
import { eventually } from '#test/support/eventually.js';
import { Executioner, type WatchedPool } from '#test/support/executioner.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { foldsOver } from './testing/folds.js';
import { ParkedMessageRepository } from './fold/parked-message.repository.js';
import { type ReadApiApp, startReadApi } from './testing/read-api-app.js';
import { JOBS, PARKED, batchEvent, fill, letter, registered } from './testing/read-api-rows.js';

describe('a tracker whose connection is ended between two statements', () => {
  let server: TestDatabase;
  let admin: pg.Client;
  let api: ReadApiApp;
  let pool: pg.Pool;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    api = await startReadApi({ databaseUrl: server.url, datasets: [registered()] });
    await fill(api, server.url);
  });
  afterAll(async () => {
    await api.stop();
    await admin.end();
    await server.stop();
  });

  // Connections that a pool had before cannot be watched.
  beforeEach(() => {
    pool = createPool({ url: server.url, applicationName: 'folds', maxConnections: 2 });
  });
  afterEach(() => pool.end());

  const folded = async (): Promise<unknown> =>
    (
      await admin.query(
        `SELECT (SELECT json_agg(row_to_json(sums) ORDER BY job, stage) FROM sluice.job_stage AS sums) AS stages,
           (SELECT json_agg(row_to_json(fact) ORDER BY job, batch, stage) FROM sluice.job_batch AS fact) AS batches,
           (SELECT json_agg(row_to_json(dead) ORDER BY job, record) FROM sluice.dead_letter AS dead) AS letters,
           (SELECT count(*) FROM sluice.parked_message) AS parked`,
      )
    ).rows[0];

  it('folds a delivery that comes again as if nothing had been, wherever in the fold that was (G7)', async () => {
    const executioner = new Executioner(pool, admin);
    const folds = foldsOver(pool);
    const parkedMessages = new ParkedMessageRepository(pool);
    const deliveries: readonly [atLeast: number, fold: () => Promise<unknown>][] = [
      [6, () => folds.foldEvents([batchEvent(7, 'load', 5, { accepted: 9 }), batchEvent(8, 'load', 6, {})])],
      [8, () => folds.indexDeadLetters([letter(JOBS[3], 90, { columns: null }), letter(JOBS[3], 91, {})])],
      [5, () => folds.foldFacts([batchEvent(7, 'validate', 5, { accepted: 9 })])],
      [
        4,
        () => parkedMessages.keep(PARKED.map(({ parkedAt, ...message }) => ({ ...message, at: parkedAt }))),
      ],
    ];
    const foldAll = async (): Promise<void> => {
      for (const [, fold] of deliveries) await fold();
    };
    await folds.clear();
    await foldAll();
    const wanted = await folded();
    for (const [atLeast, fold] of deliveries) {
      let statements = 1;
      for (; ; statements += 1) {
        await folds.clear();
        executioner.rearm(statements);
        const error = await fold().then(
          () => null,
          (thrown: unknown) => thrown,
        );
        const struck = executioner.rearm(Infinity);
        if (error !== null)
          expect([statements, error]).toMatchObject([
            statements,
            { code: 'DATABASE_UNAVAILABLE', retryable: true },
          ]);
        await foldAll();
        expect(await folded()).toEqual(wanted);
        if (!struck) break;
      }
      // BEGIN … COMMIT, and none of it was left out.
      expect(statements).toBeGreaterThanOrEqual(atLeast);
    }
  });

  it('answers a request, or says that the database is not there, and answers the next one', async () => {
    await foldsOver(pool).indexDeadLetters([letter(JOBS[3], 90, {})]);
    const { driver } = api.database as unknown as { driver: { master: WatchedPool } };
    const executioner = new Executioner(driver.master, admin);
    // The pool's connections began before they could be watched.
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'read api test'`,
    );
    await eventually(async () => (await fetch(`${api.url}/jobs`)).ok, 'a connection that is watched');
    const paths = [
      '/datasets',
      '/jobs',
      `/jobs/${JOBS[3]}`,
      `/jobs/${JOBS[3]}/batches`,
      `/dead-letters?job=${JOBS[3]}`,
      `/dead-letters/${JOBS[3]}/90`,
      '/parked-messages',
    ];
    for (const path of paths) {
      let statements = 1;
      for (; ; statements += 1) {
        await answers(path);
        executioner.rearm(statements);
        const { status } = await fetch(api.url + path);
        const struck = executioner.rearm(Infinity);
        expect({ path, statements, status: status === 503 ? 200 : status }).toEqual({
          path,
          statements,
          status: 200,
        });
        await answers(path);
        if (!struck) break;
      }
      expect(statements).toBeGreaterThan(1);
    }
  });

  async function answers(path: string): Promise<void> {
    expect([path, (await fetch(api.url + path)).status]).toEqual([path, 200]);
  }
});
