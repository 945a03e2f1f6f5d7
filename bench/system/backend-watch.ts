import type pg from 'pg';
import { memoryOf } from './bench-system.js';

const SAMPLE_MS = 500;

/** Looks at PostgreSQL's backends that finalize, twice a second. */
export class BackendWatch {
  /** Of one backend. */
  peakMb = 0;
  seconds = 0;
  private isOver = false;
  private watching: Promise<void> | undefined;

  constructor(private readonly client: pg.Client) {}

  start(): void {
    this.watching = this.watch();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.watching;
  }

  /** Through temporary files since the database was made, as far as it is told yet. */
  async spilledMb(): Promise<number> {
    const { rows } = await this.client.query<{ mb: number }>(
      'SELECT (temp_bytes / 1048576)::int AS mb FROM pg_stat_database WHERE datname = current_database()',
    );
    return rows[0]?.mb ?? 0;
  }

  private async watch(): Promise<void> {
    let from: number | undefined;
    while (!this.isOver) {
      const { rows } = await this.client.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sluice-finalize:%'`,
      );
      if (rows.length > 0) {
        from ??= performance.now();
        this.seconds = (performance.now() - from) / 1000;
      }
      for (const { pid } of rows) this.peakMb = Math.max(this.peakMb, memoryOf(pid, 'RssAnon') || 0);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  }
}
