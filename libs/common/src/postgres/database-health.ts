import type { Pool } from 'pg';
import { databaseProblem } from './database-problem.js';

const PROBE_INTERVAL_MS = 2_000;

/**
 * Asks the database every two seconds whether it answers, and whether it can be written to. An outage makes a service not ready, never not
 * live: restarting every service would not bring the database back.
 */
export class DatabaseHealth {
  private problem: string | null = 'the database has not been asked yet';
  private readonly timer: NodeJS.Timeout;
  private asking = false;

  constructor(private readonly pool: Pool) {
    this.timer = setInterval(() => {
      void this.ask();
    }, PROBE_INTERVAL_MS);
    this.timer.unref();
    void this.ask();
  }

  notLive(): string[] {
    return [];
  }

  notReady(): string[] {
    return this.problem === null ? [] : [this.problem];
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      const { rows } = await this.pool.query<{ isReadOnly: boolean }>(
        `SELECT current_setting('transaction_read_only')::boolean AS "isReadOnly"`,
      );
      this.problem =
        rows[0]?.isReadOnly === true
          ? 'the database is read-only: a standby, or default_transaction_read_only; nothing can be written'
          : null;
    } catch (error) {
      this.problem = `the database does not answer: ${(databaseProblem(error) ?? (error as Error)).message}`;
    } finally {
      this.asking = false;
    }
  }
}
