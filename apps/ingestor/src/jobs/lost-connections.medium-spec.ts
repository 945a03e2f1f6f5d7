import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Ingesting, thingsOf } from '#test/support/ingesting.js';
import { eventually } from '#test/support/eventually.js';
import { Executioner, type WatchedPool } from '#test/support/executioner.js';

describe('an ingestor whose connection is ended between two statements', () => {
  let ingesting: Ingesting;
  let admin: pg.Client;
  let executioner: Executioner;

  beforeAll(async () => {
    ingesting = await Ingesting.start();
    const { options, driver } = ingesting.database as unknown as {
      options: { url: string };
      driver: { master: WatchedPool };
    };
    admin = new pg.Client({ connectionString: options.url });
    await admin.connect();
    executioner = new Executioner(driver.master, admin);
    // The pool's first connection began before it could be watched.
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    await eventually(
      () =>
        ingesting.database.query('SELECT 1').then(
          () => true,
          () => false,
        ),
      'a connection that is watched',
    );
  });
  afterAll(async () => {
    await admin.end();
    await ingesting.stop();
  });

  it('releases the job, which is read to its end, wherever in its start that was (G8)', async () => {
    const file = ingesting.file('lost.txt', thingsOf([1, 2, 3]));
    let statements = 1;
    for (; ; statements += 1) {
      executioner.rearm(Infinity);
      const id = await ingesting.queue(file);
      executioner.rearm(statements);
      await ingesting
        .ingestor('one', 1)
        .run()
        .catch(() => undefined);
      const struck = executioner.rearm(Infinity);
      const { error, state } = await ingesting.load(id);
      expect({ statements, state, error }).toMatchObject({
        state: expect.stringMatching(/^(queued|running)$/),
        error: null,
      });
      await eventually(async () => {
        if ((await ingesting.load(id)).totalBatches !== null) return true;
        await ingesting
          .ingestor('two', 1)
          .run()
          .catch(() => undefined);
        return false;
      }, `the end of the job after statement ${statements}`);
      if (!struck) break;
    }
    // claim, load, BEGIN … COMMIT with every check in it, totals
    expect(statements).toBeGreaterThan(20);
  });
});
