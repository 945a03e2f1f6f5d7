import { setTimeout as sleep } from 'node:timers/promises';
import { openClient } from '../system/open-client.js';

const POLL_MS = 100;

interface Sample {
  readonly at: number;
  readonly job: string;
  readonly known: number;
}

/** Sees from the tracker's own counters, ten times a second, how many dead letters of the newest job it has indexed. */
export class LetterWatch {
  private readonly samples: Sample[] = [];
  private readonly watching: Promise<void>;
  private isOver = false;

  /** Begins at once. */
  constructor(databaseUrl: string) {
    this.watching = this.watch(databaseUrl);
    // What goes wrong is reported by `stop`.
    this.watching.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.watching;
  }

  /** Ms since 1970 when all of them were indexed first. @throws RangeError when that was never seen */
  indexedAt(job: string, letters: number): number {
    const first = this.samples.find((sample) => sample.job === job && sample.known >= letters);
    if (first === undefined)
      throw new RangeError(`The tracker was never seen with ${letters} dead letters of ${job}.`);
    return first.at;
  }

  private async watch(databaseUrl: string): Promise<void> {
    const client = await openClient(databaseUrl);
    try {
      for (;;) {
        // One look more after the end.
        const isLast = this.isOver;
        const { rows } = await client.query<{ job: string; known: number }>(
          `SELECT id AS job, (SELECT coalesce(sum(dead_letters), 0)::int FROM sluice.job_stage WHERE job = id) AS known
           FROM sluice.job ORDER BY created_at DESC LIMIT 1`,
        );
        for (const row of rows) this.samples.push({ at: Date.now(), ...row });
        if (isLast) return;
        await sleep(POLL_MS);
      }
    } finally {
      await client.end();
    }
  }
}
