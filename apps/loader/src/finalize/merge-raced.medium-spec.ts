import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { SweepHarness, finalizeJob, untilRow } from '#test/support/finalizing.js';
import { StagedJobs } from '#test/support/staged-job.js';
import { FINALIZING_ATTEMPTS_AGAINST_OTHERS } from '../faults/job-faults.js';

/** Rounds of judging within one attempt (`MAX_ROUNDS` of merge.ts). */
const ROUNDS = 5;

/**
 * Before a merge inserts, it waits at a gate of its own for each time that it comes by: a trigger takes an advisory lock
 * with the next number. So another session can be first in each round, after everything was judged.
 */
const GATES = `
  CREATE SEQUENCE public.round;
  CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(nextval('public.round')); RETURN NULL; END $$;
  CREATE TRIGGER gate BEFORE INSERT ON public.shop FOR EACH STATEMENT
    WHEN (current_setting('application_name') LIKE 'sluice-finalize:%') EXECUTE FUNCTION public.gate()`;

describe('a merge that is raced in every round', () => {
  let jobs: StagedJobs;
  let database: DataSource;
  let harness: SweepHarness;
  let keeper: pg.Client;

  beforeAll(async () => {
    jobs = await StagedJobs.start();
    database = await controlDatabase({ url: jobs.url, applicationName: 'test' }).initialize();
  });
  afterAll(async () => {
    await database.destroy();
    await jobs.stop();
  });
  beforeEach(async () => {
    await jobs.reset();
    harness = new SweepHarness(jobs);
    keeper = await jobs.session('keeper');
  });

  const shopsOf = (count: number): { number: string; name: string; items: string[] }[] =>
    Array.from({ length: count }, (_, at) => ({ number: String(100 + at), name: 'ours', items: ['x'] }));

  /** Closes all gates; each is opened when another session has inserted one more of the job's keys. */
  async function raceThrough(rounds: number): Promise<void> {
    for (let round = 1; round <= rounds; round++) {
      await untilRow(
        jobs.pool,
        `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        [round],
      );
      await jobs.pool.query(`INSERT INTO public.shop (number, name) VALUES ($1, 'theirs')`, [99 + round]);
      await keeper.query('SELECT pg_advisory_unlock($1)', [round]);
    }
  }
  const close = (rounds: number): Promise<unknown> =>
    keeper.query('SELECT pg_advisory_lock(round) FROM generate_series(1, $1::int) AS round', [rounds]);
  const after = (theirs: number, all: number): string[] =>
    Array.from({ length: all }, (_, at) => `${100 + at} ${at < theirs ? 'theirs' : 'ours x'}`);

  it('twice is not taken for a trigger that loses rows', async () => {
    await close(2);
    const id = await jobs.loaded([shopsOf(4)], { mode: 'append' });
    await jobs.pool.query(GATES);
    try {
      await Promise.all([finalizeJob(jobs), raceThrough(2)]);
    } finally {
      await jobs.pool.query('DROP FUNCTION public.gate CASCADE; DROP SEQUENCE public.round');
    }
    expect(await jobs.end(id)).toMatchObject({ state: 'succeeded', counts: { inserted: 2, superseded: 2 } });
    expect(await jobs.shops()).toEqual(after(2, 4));
  });

  it('pauses its job after some attempts (MERGE_RACED), and ends it right when it is continued', async () => {
    const rounds = ROUNDS * FINALIZING_ATTEMPTS_AGAINST_OTHERS;
    await close(rounds);
    const id = await jobs.loaded([shopsOf(rounds + 3)], { mode: 'append' });
    await jobs.pool.query(GATES);
    try {
      harness.sweep({}, { firstPauseMs: 0 });
      await raceThrough(rounds);
      await untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND state = 'paused'`, [id]);
      const { rows } = await jobs.pool.query(
        `SELECT pause_reason, pause_detail ->> 'code' AS code, wait, owner FROM sluice.job WHERE id = $1`,
        [id],
      );
      expect(rows).toEqual([{ pause_reason: 'fault', code: 'MERGE_RACED', wait: null, owner: null }]);
      expect(await jobs.shops()).toEqual(after(rounds, rounds));
      // Another one holds no gate: the others have let the table rest.
      await new OperatorRepository(database).continue(id);
      await untilRow(jobs.pool, `SELECT FROM sluice.job WHERE id = $1 AND state = 'succeeded'`, [id]);
    } finally {
      await harness.stop();
      await jobs.pool.query('DROP FUNCTION public.gate CASCADE; DROP SEQUENCE public.round');
    }
    expect(await jobs.end(id)).toMatchObject({ counts: { inserted: 3, superseded: rounds, refused: 0 } });
    expect(await jobs.shops()).toEqual(after(rounds, rounds + 3));
  });
});
