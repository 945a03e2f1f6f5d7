import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { eventually } from '#test/support/eventually.js';
import { SweepHarness, untilRow } from '#test/support/finalizing.js';
import { StagedJobs } from '#test/support/staged-job.js';

describe('HeldJob', () => {
  let jobs: StagedJobs;
  let harness: SweepHarness;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
  });
  afterAll(() => jobs.stop());
  beforeEach(async () => {
    await jobs.reset();
    harness = new SweepHarness(jobs);
  });
  afterEach(() => harness.stop());

  it('ends only when its search for its own backends has ended (HJ3)', async () => {
    const id = await jobs.loaded([[{ number: '1', name: 'a' }]]);
    const reader = await jobs.session();
    await reader.query('BEGIN; SELECT FROM public.shop');
    const search = new HeldSearch(jobs.pool);
    const sweep = harness.sweep({ swapLockTimeoutMs: 20 }, { pool: search.pool });
    await untilRow(
      jobs.pool,
      `SELECT FROM sluice.job WHERE id = $1 AND wait->>'code' = 'SESSIONS_IN_THE_WAY'`,
      [id],
    );
    search.hold();
    const stopped = sweep.stop().then(() => search.ended);
    await eventually(() => search.held > 0, 'the search for backends');
    // The step that runs is not ended by the search that we hold: the lock's time-out ends it.
    await untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND owner IS NULL`, [id]);
    search.release();
    await expect(stopped).resolves.toBe(search.held);
  });
});

/** A pool that can hold back the statement that ends backends. */
class HeldSearch {
  readonly pool: Pool;
  held = 0;
  ended = 0;
  private gate: Promise<void> = Promise.resolve();
  private open: () => void = () => undefined;
  private holds = false;

  constructor(pool: Pool) {
    const query = async (...parameters: [string, unknown[]]): Promise<unknown> => {
      if (!this.holds || !parameters[0].includes('pg_terminate_backend')) return pool.query(...parameters);
      this.held += 1;
      await this.gate;
      try {
        return await pool.query(...parameters);
      } finally {
        this.ended += 1;
      }
    };
    this.pool = new Proxy(pool, {
      get: (target, name) => {
        if (name === 'query') return query;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  hold(): void {
    this.holds = true;
    this.gate = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  release(): void {
    this.open();
  }
}
