import type { Pool } from 'pg';
import { messageOf } from '../errors/sluice-error.js';

const PROBE_INTERVAL_MS = 2_000;

/**
 * Asks the database every two seconds whether it answers. An outage makes a service not ready, never not
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
      await this.pool.query('SELECT 1');
      this.problem = null;
    } catch (error) {
      this.problem = `the database does not answer: ${messageOf(error)}`;
    } finally {
      this.asking = false;
    }
  }
}
