import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Ingesting, thingsOf } from '../../../../test/support/ingesting.js';
import { eventually } from '../../../../test/support/eventually.js';

interface Connection {
  processID: number;
  query: (...parameters: unknown[]) => unknown;
  once(event: 'end', listener: () => void): void;
}

/** Ends the backend of a connection once it has answered a number of statements, before the next one is sent. */
class Executioner {
  private answered = 0;
  after = Infinity;

  constructor(
    pool: { on(event: 'connect', listener: (connection: Connection) => void): void },
    private readonly admin: pg.Client,
  ) {
    pool.on('connect', (connection) => {
      const query = connection.query.bind(connection);
      const ended = new Promise<void>((resolve) => {
        connection.once('end', resolve);
      });
      connection.query = (...parameters) => {
        const answer = query(...parameters);
        return answer instanceof Promise ? this.pass(answer, connection.processID, ended) : answer;
      };
    });
  }

  /** @returns whether it has struck since the last time */
  rearm(after: number): boolean {
    const struck = this.answered >= this.after;
    this.answered = 0;
    this.after = after;
    return struck;
  }

  private async pass<T>(answer: Promise<T>, pid: number, ended: Promise<void>): Promise<T> {
    const result = await answer;
    this.answered += 1;
    if (this.answered !== this.after) return result;
    await this.admin.query('SELECT pg_terminate_backend($1)', [pid]);
    await ended;
    return result;
  }
}

describe('an ingestor whose connection is ended between two statements', () => {
  let ingesting: Ingesting;
  let admin: pg.Client;
  let executioner: Executioner;

  beforeAll(async () => {
    ingesting = await Ingesting.start();
    const { options, driver } = ingesting.database as unknown as {
      options: { url: string };
      driver: { master: ConstructorParameters<typeof Executioner>[0] };
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

  it('gives the job back and reads it to its end, wherever in its start that was (G8)', async () => {
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
    // claim, load, BEGIN … COMMIT with everything that is looked at, totals
    expect(statements).toBeGreaterThan(20);
  });
});
