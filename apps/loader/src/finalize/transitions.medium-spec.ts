import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { DataSource } from 'typeorm';
import type { JobState } from '#api/job-words.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import { TRANSITIONS, type TransitionOwner } from '#core/job/job-state.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import { JobRepository } from '#core/job/job.repository.js';
import { failLoading, pauseFinalizing, pauseLoading } from '#core/job/loader-transitions.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { StagedJobs } from '#test/support/staged-job.js';
import { AnnounceRepository } from '../announce/announce.repository.js';
import { FinalizeRepository } from '../sweep/finalize.repository.js';
import { Leftovers } from '../sweep/leftovers.js';
import { fail, succeed } from './conclude.js';
import type { FinalizingJob } from './finalizing-job.js';

/** How a job stands before an act: columns of its row, of a job that is loaded whole, has no lease and has epoch 1. */
const SITUATIONS: readonly (readonly [from: JobState, columns: string])[] = [
  ['queued', 'started_at = NULL, total_batches = NULL, checkpoint = NULL'],
  ['queued', 'lease_until = now()'],
  ['running', 'lease_until = NULL'],
  ['running', `lease_until = now() - interval '1 hour', total_batches = NULL`],
  ['paused', `pause_reason = 'operator'`],
  ['paused', `pause_reason = 'schema', total_batches = NULL`],
  ['paused', `pause_reason = 'contract'`],
  ['finalizing', `lease_until = now() + interval '1 hour'`],
  ['finalizing', 'lease_until = NULL'],
  ['succeeded', 'finished_at = now()'],
  ['failed', 'finished_at = now()'],
  ['failed', `finished_at = now(), started_at = NULL, total_batches = NULL, checkpoint = NULL`],
  ['failed', `finished_at = now(), error = '{"code": "BATCH_DIFFERS"}'`],
  ['failed', `finished_at = now() - interval '1 year'`],
  ['failed', 'finished_at = now(), resumable = false'],
  ['cancelled', 'finished_at = now(), resumable = false'],
];

const PROBLEM = { code: 'JOB_FAULT', message: 'm', action: 'a' };
const ERROR = new SluiceError('JOB_FAULT', 'm');
const OUTCOME = { inserted: 1, updated: 0, unchanged: 0, deleted: 0, superseded: 0 };

let jobs: StagedJobs;
let database: DataSource;
let id: string;
let acts: readonly (readonly [owner: TransitionOwner, act: () => Promise<unknown>])[];

beforeAll(async () => {
  jobs = await StagedJobs.start();
  const { pool } = jobs;
  database = await controlDatabase({ url: jobs.url, applicationName: 'test' }).initialize();
  id = await jobs.loaded([[{ number: '1', name: 'a' }]]);
  await pool.query(`
    CREATE TABLE public.job AS SELECT * FROM sluice.job;
    CREATE TABLE public.ledger AS SELECT * FROM sluice.ledger`);

  const claim = { id, epoch: 1 };
  const { rows } = await pool.query<{ checkpoint: Checkpoint }>('SELECT checkpoint FROM sluice.job');
  const checkpoint = { ...rows[0]?.checkpoint, nextBatch: 1, nextRecord: 1, byteOffset: 17 } as Checkpoint;
  const ingestor = new JobRepository(database);
  const operator = new OperatorRepository(database, () => 1);
  const loader = new FinalizeRepository(pool, 'loader', 30);
  const leftovers = new Leftovers(pool, 72, pino({ level: 'silent' }));
  const announcing = new AnnounceRepository(pool, 'loader');
  const start = {
    ...{ cutting: {}, head: {}, sourceIdentity: {}, expectedBytes: null, contractVersion: 1, signed: false },
  } as Parameters<typeof ingestor.start>[1];
  const finalizing = {
    ...{ id, epoch: 1, dataset: 'shops', mode: 'replace', dryRun: false, strict: false, maxRefusedShare: 1 },
    ...{ maxShrinkShare: null, existingKeys: 'supersede', contractVersion: 1, mayBringNothing: false },
    source: { batches: 1, records: 1, bytes: 17, dataStart: 7, crc32cSum: 0 },
  } satisfies FinalizingJob;

  acts = [
    ['ingestor', () => ingestor.claimNext('ingestor')],
    ['ingestor', () => ingestor.start(claim, start, () => Promise.resolve())],
    ['ingestor', () => ingestor.renewLease(claim)],
    ['ingestor', () => ingestor.saveCheckpoint(claim, checkpoint)],
    ['ingestor', () => ingestor.finishSource(claim, checkpoint)],
    ['ingestor', () => ingestor.fail(claim, PROBLEM)],
    ['ingestor', () => ingestor.fail(claim, PROBLEM, false)],
    ['ingestor', () => ingestor.pauseForContract(claim, PROBLEM)],
    ['ingestor', () => ingestor.release(claim)],
    ['ingestor', () => ingestor.letGo(claim)],
    ['loader', () => pauseLoading(pool, id, 'breaker', PROBLEM)],
    ['loader', () => failLoading(pool, id, PROBLEM)],
    ['loader', () => loader.claimNext(['shops'])],
    ['loader', () => loader.renewLease(finalizing)],
    ['loader', () => loader.release(finalizing)],
    ['loader', () => inTransaction(pool, (client) => succeed(client, finalizing, OUTCOME))],
    ['loader', () => fail(pool, finalizing, ERROR)],
    ['loader', () => pauseFinalizing(pool, finalizing, 'fault', PROBLEM)],
    ['loader', () => leftovers.countUnsuccessful()],
    ['loader', () => leftovers.giveUp()],
    ['loader', () => leftovers.clear()],
    ['loader', () => announcing.take(id)],
    ['loader', () => announcing.markAnnounced(id)],
    ['operator', () => operator.cancel(id)],
    ['operator', () => operator.pause(id)],
    ['operator', () => operator.continue(id)],
    ['operator', () => operator.resume(id)],
    ['operator', () => operator.discard(id)],
  ];
});

afterAll(async () => {
  await database.destroy();
  await jobs.stop();
});

/** What is refused throws one of ours, or does nothing. */
async function refusals(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
  }
}

it('every statement that changes a job’s state makes the transitions of the table, each from every state, and no other (JS1, JS3)', async () => {
  const made = new Set<string>();
  for (const [from, columns] of SITUATIONS) {
    for (const [owner, act] of acts) {
      await jobs.pool.query(`
        DELETE FROM sluice.job;
        INSERT INTO sluice.job SELECT * FROM public.job;
        INSERT INTO sluice.ledger SELECT * FROM public.ledger;
        UPDATE sluice.job SET state = '${from}', ${columns}`);
      await refusals(act);
      const { state: to } = await jobs.end(id);
      if (to !== from) made.add(`${from} → ${to} by the ${owner}`);
    }
  }
  const table = TRANSITIONS.map(({ from, to, owner }) => `${from} → ${to} by the ${owner}`);
  expect([...made].sort()).toEqual([...new Set(table)].sort());
});

it.each<[end: string, act: (job: FinalizingJob) => Promise<unknown>, state: JobState, ours: boolean]>([
  [
    'our own success',
    (job) => inTransaction(jobs.pool, (client) => succeed(client, job, OUTCOME)),
    'succeeded',
    true,
  ],
  ['a cancel', () => new OperatorRepository(database, () => 1).cancel(id), 'cancelled', false],
])(
  'after %s the lease of a job that was finalizing is renewed as it should',
  async (_end, act, state, ours) => {
    await jobs.pool.query(`
    DELETE FROM sluice.job;
    INSERT INTO sluice.job SELECT * FROM public.job;
    INSERT INTO sluice.ledger SELECT * FROM public.ledger;
    UPDATE sluice.job SET lease_until = NULL`);
    const repository = new FinalizeRepository(jobs.pool, 'loader', 30);
    const job = (await repository.claimNext(['shops']))!;
    await act(job);
    expect(await jobs.end(id)).toMatchObject({ state });
    expect(await repository.renewLease(job)).toBe(ours);
  },
);
