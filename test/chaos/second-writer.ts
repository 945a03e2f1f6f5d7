import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { SeededRandom } from '#core/dataset/generate.js';

/** Rows of one transaction, and how long it holds them at most. */
const ROWS_AT_ONCE = 20;
const LONGEST_HOLD_MS = 150;
const REST_MS = 20;

/**
 * An application that writes to the target tables beside Sluice: it updates random rows to what they are already.
 * Every update moves a row and locks it, so a merge has to wait for it and to compare it again; but the tables hold
 * what they held, so the model need not know. Rows are locked in random order: a merge may meet a deadlock.
 */
export class SecondWriter {
  private readonly random: SeededRandom;
  private readonly stopping = new AbortController();
  private readonly loop: Promise<void>;
  private written = 0;

  constructor(
    private readonly databaseUrl: string,
    seed: number,
  ) {
    this.random = new SeededRandom(seed);
    this.loop = this.write();
  }

  /** @returns rows updated */
  async stop(): Promise<number> {
    this.stopping.abort();
    await this.loop;
    return this.written;
  }

  private async write(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const client = new pg.Client({ connectionString: this.databaseUrl, application_name: 'second-writer' });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await this.writeUntilStopped(client);
      } catch {
        // The database is away, a deadlock was ended, a swap has moved the table: a new connection tries again.
        await sleep(REST_MS);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  private async writeUntilStopped(client: pg.Client): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await this.writeOnce(client);
      await sleep(REST_MS);
    }
  }

  private async writeOnce(client: pg.Client): Promise<void> {
    const table = this.random.pick(['tax_registration', 'business_industry']);
    const column = table === 'tax_registration' ? 'business_name' : 'industry_name';
    await client.query('BEGIN');
    await client.query("SET LOCAL lock_timeout = '2s'");
    const { rowCount } = await client.query(
      `UPDATE public.${table} SET ${column} = ${column}
       WHERE ctid IN (SELECT ctid FROM public.${table} ORDER BY random() LIMIT ${ROWS_AT_ONCE})`,
    );
    await sleep(this.random.below(LONGEST_HOLD_MS));
    await client.query('COMMIT');
    this.written += rowCount ?? 0;
  }
}
