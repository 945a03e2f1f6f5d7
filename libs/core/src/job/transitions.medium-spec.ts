import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { JOB_STATES, type JobState } from '#api/job-words.js';
import { poolOf } from '#common/postgres/typeorm.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { queueJob } from '#test/support/queued-job.js';
import { claimToFinalize } from './finalize-claim.js';
import { type JobStart, failReading, pauseForContract, startJob } from './ingestor-transitions.js';
import { TRANSITIONS, type TransitionName } from './job-state.js';
import {
  failFinalizing,
  failLoading,
  pauseFinalizing,
  pauseLoading,
  succeedJob,
} from './loader-transitions.js';
import { cancelJob, continueFromStart, continueJob, pauseJob, resumeJob } from './operator-transitions.js';

const EPOCH = 3;
const PROBLEM = { code: 'JOB_FAULT', message: 'm', action: 'a' };
const START = {
  ...{ cutting: {}, head: {}, sourceIdentity: {}, expectedBytes: null, contractVersion: 1, signed: false },
} as unknown as JobStart;
const OUTCOME = { counts: {} as never, findings: {} };
const DISCARDED = { loadedBatches: 0, loadedRecords: 0, pendingBatches: 0, pendingRecords: 0 };

/** What a row has in each state, besides what all have; in every other respect each transition can be made. */
const COLUMNS: Readonly<Record<JobState, string>> = {
  queued: 'lease_until = NULL',
  running: 'lease_until = NULL',
  paused: `pause_reason = 'schema', pause_detail = '{}'`,
  finalizing: `owner = 'one', lease_until = now() + interval '1 hour'`,
  succeeded: 'finished_at = now()',
  failed: `finished_at = now(), error = '{}'`,
  cancelled: 'finished_at = now()',
};

/** Of each transition the function that makes it. @returns whether it says so */
const ACTS: Readonly<Record<TransitionName, (pool: Pool, id: string, epoch: number) => Promise<boolean>>> = {
  start: (pool, id, epoch) => startJob(pool, { id, epoch }, START),
  failReading: (pool, id, epoch) => failReading(pool, { id, epoch }, PROBLEM, true),
  pauseForContract: (pool, id, epoch) => pauseForContract(pool, { id, epoch }, PROBLEM),
  pauseLoading: (pool, id) => pauseLoading(pool, id, 'breaker', PROBLEM),
  failLoading: (pool, id) => failLoading(pool, id, PROBLEM),
  claimToFinalize: async (pool) => {
    const request = { owner: 'two', leaseSeconds: 30, datasets: ['things'], maxBytes: 1 };
    return (await claimToFinalize(pool, request)) !== null;
  },
  succeed: (pool, id, epoch) => succeedJob(pool, { id, epoch }, OUTCOME),
  failFinalizing: (pool, id, epoch) => failFinalizing(pool, { id, epoch }, OUTCOME, PROBLEM),
  pauseFinalizing: (pool, id, epoch) => pauseFinalizing(pool, { id, epoch }, 'fault', PROBLEM),
  cancel: (pool, id) => cancelJob(pool, id, DISCARDED),
  pause: pauseJob,
  continue: continueJob,
  continueFromStart,
  resume: (pool, id) => resumeJob(pool, id, 'resume', true),
  resumeFromStart: (pool, id) => resumeJob(pool, id, 'resumeFromStart', false),
};
const UNDER_A_CLAIM: readonly TransitionName[] = [
  ...(['start', 'failReading', 'pauseForContract'] as const),
  ...(['succeed', 'failFinalizing', 'pauseFinalizing'] as const),
];

interface Row extends Readonly<Record<string, unknown>> {
  readonly state: JobState;
}

/** The table once more: the statements are built from TRANSITIONS, so that alone cannot show that it has changed. */
const EXPECTED: Readonly<Record<TransitionName, readonly [from: readonly JobState[], to: JobState]>> = {
  start: [['queued'], 'running'],
  failReading: [['queued', 'running', 'paused'], 'failed'],
  pauseForContract: [['running'], 'paused'],
  pauseLoading: [['running'], 'paused'],
  failLoading: [['running'], 'failed'],
  claimToFinalize: [['running'], 'finalizing'],
  succeed: [['finalizing'], 'succeeded'],
  failFinalizing: [['finalizing'], 'failed'],
  pauseFinalizing: [['finalizing'], 'paused'],
  cancel: [['queued', 'running', 'paused', 'finalizing'], 'cancelled'],
  pause: [['running'], 'paused'],
  continue: [['paused'], 'running'],
  continueFromStart: [['paused'], 'queued'],
  resume: [['failed'], 'running'],
  resumeFromStart: [['failed'], 'queued'],
};

describe('the transitions of a job, on real PostgreSQL', () => {
  let base: JobDatabase;
  let pool: Pool;
  let id: string;

  beforeAll(async () => {
    base = await startJobDatabase();
    pool = poolOf(base.database);
    id = await queueJob(base.jobs);
    await pool.query('CREATE TABLE public.job AS SELECT * FROM sluice.job');
  });

  afterAll(() => base.stop());

  async function row(): Promise<Row> {
    const { rows } = await pool.query<{ row: Row }>('SELECT to_jsonb(job) AS row FROM sluice.job');
    return rows[0]!.row;
  }

  /** A complete job of no batches that waits for something. */
  async function begin(state: JobState): Promise<Row> {
    await base.forgetJobs();
    await pool.query('INSERT INTO sluice.job SELECT * FROM public.job');
    await pool.query(
      `UPDATE sluice.job SET state = '${state}', epoch = ${EPOCH}, total_batches = 0, total_records = 0, total_bytes = 0,
         wait = '{}', ${COLUMNS[state]}`,
    );
    return row();
  }

  const names = Object.keys(ACTS) as TransitionName[];

  it('are all in the table, and the table lists no other', () => {
    const table = names.map((name) => {
      const listed = TRANSITIONS.filter((transition) => transition.name === name);
      return [name, [listed.map(({ from }) => from), ...new Set(listed.map(({ to }) => to))]];
    });
    expect(Object.fromEntries(table)).toEqual(EXPECTED);
    expect(TRANSITIONS.filter(({ name }) => !names.includes(name))).toEqual([]);
  });

  it.each(JOB_STATES.flatMap((from) => names.map((name) => [from, name] as const)))(
    'from %s: %s is made when the table lists it, and else changes nothing (JS1)',
    async (from, name) => {
      const before = await begin(from);
      const isMade = await ACTS[name](pool, id, EPOCH);
      const after = await row();
      const [origins, target] = EXPECTED[name];
      expect(isMade).toBe(origins.includes(from));
      if (isMade) expect(after.state).toBe(target);
      else expect(after).toEqual(before);
    },
  );

  it.each(UNDER_A_CLAIM.flatMap((name) => EXPECTED[name][0].map((from) => [name, from] as const)))(
    '%s from %s changes nothing with another epoch',
    async (name, from) => {
      const before = await begin(from);
      for (const epoch of [EPOCH - 1, EPOCH + 1]) expect(await ACTS[name](pool, id, epoch)).toBe(false);
      expect(await row()).toEqual(before);
    },
  );
});
