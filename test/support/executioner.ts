import type pg from 'pg';

/** Of `pg`, also TypeORM's (`driver.master`). */
export type WatchedPool = Pick<pg.Pool, 'on'>;

interface Connection {
  processID: number;
  query: (...parameters: unknown[]) => unknown;
  once(event: 'end', listener: () => void): void;
}

/**
 * Ends the backend of a connection once the pool's connections have answered a number of statements, before the next one
 * is sent. Connections that the pool had before are not watched.
 */
export class Executioner {
  private answered = 0;
  after = Infinity;

  constructor(
    pool: WatchedPool,
    private readonly admin: pg.Client,
  ) {
    pool.on('connect', (client) => {
      const connection = client as unknown as Connection;
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
