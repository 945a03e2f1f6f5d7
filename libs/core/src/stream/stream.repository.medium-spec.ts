import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { STREAM_STATES, type StreamState } from '#api/stream-words.js';
import { type JobDatabase, startJobDatabase } from '#test/support/job-database.js';
import { queueJob } from '#test/support/queued-job.js';
import { rangeToTake } from '#test/support/stream-jobs.js';
import type { StreamClaim } from './stream-claim.js';
import { STREAM_TRANSITIONS, type StreamTransitionName } from './stream-state.js';
import { StreamRepository } from './stream.repository.js';
import type { Stream } from './stream.entity.js';

const DETAIL = { code: 'STREAM_FAULT', message: 'm', action: 'a' };
const range = (from: number, to: number, partition = 0): Parameters<typeof rangeToTake>[0] => [
  { partition, from, to },
];

describe('streams in PostgreSQL', () => {
  let base: JobDatabase;
  let streams: StreamRepository;

  beforeAll(async () => {
    base = await startJobDatabase();
    streams = new StreamRepository(base.database);
  });

  afterAll(() => base.stop());

  beforeEach(async () => {
    await base.forgetJobs();
    await base.database.query('TRUNCATE sluice.stream');
  });

  const sql = <T>(text: string, parameters: unknown[] = []): Promise<T[]> =>
    base.database.query<T[]>(text, parameters);

  async function found(): Promise<Stream> {
    const stream = await streams.find('things');
    if (!stream) throw new Error('no stream');
    return stream;
  }

  async function claimed(owner = 'one', version = 1): Promise<StreamClaim> {
    const [stream] = await streams.claim(owner, { things: version });
    if (!stream) throw new Error('nothing to claim');
    return stream;
  }

  const expire = (): Promise<unknown> =>
    sql(`UPDATE sluice.stream SET lease_until = now() - interval '1 second'`);

  const jobs = (): Promise<{ id: string; after_job: string | null; owner: string; epoch: number }[]> =>
    sql('SELECT id, after_job, owner, epoch FROM sluice.job ORDER BY id');

  async function inState(state: StreamState): Promise<StreamClaim> {
    await sql('TRUNCATE sluice.stream');
    await streams.start('things', {}, 1);
    const claim = await claimed();
    if (state === 'paused')
      await sql(
        `UPDATE sluice.stream SET state = 'paused', reason = 'fault', owner = NULL, lease_until = NULL`,
      );
    else if (state === 'stopped')
      await sql(`UPDATE sluice.stream SET state = 'stopped', owner = NULL, lease_until = NULL`);
    else await sql(`UPDATE sluice.stream SET state = $1, drain_to = '{"0": {"next": 7}}'`, [state]);
    return claim;
  }

  /** Of each transition the function that makes it. @returns whether it says so */
  const ACTS: Readonly<Record<StreamTransitionName, (claim: StreamClaim) => Promise<boolean>>> = {
    start: () => said(streams.start('things', {}, 1)),
    pause: () => said(streams.pause('things')),
    stand: (claim) => streams.stand(claim, 'fault', DETAIL),
    resume: () => said(streams.resume('things', false)),
    drain: () => said(streams.drain('things')),
    stop: (claim) => streams.stop(claim, { 0: { next: 7 } }),
  };

  /** The table once more: the statements are built from it, so that alone cannot show that it has changed. */
  const EXPECTED: Readonly<
    Record<StreamTransitionName, readonly [from: readonly StreamState[], to: StreamState]>
  > = {
    start: [['running', 'draining', 'stopped'], 'running'],
    pause: [['running', 'draining'], 'paused'],
    stand: [['running', 'draining'], 'paused'],
    resume: [['paused'], 'running'],
    drain: [['running', 'draining', 'paused'], 'draining'],
    stop: [['draining'], 'stopped'],
  };

  it.each(STREAM_TRANSITIONS.map(({ name }) => name))(
    'changes its state by `%s` from the states of the table alone (SS1)',
    async (name) => {
      const [from, to] = EXPECTED[name];
      for (const state of STREAM_STATES) {
        const claim = await inState(state);
        const says = await ACTS[name](claim);
        expect([state, says]).toEqual([state, from.includes(state)]);
        expect((await found()).state).toBe(from.includes(state) ? to : state);
      }
    },
  );

  it('is not stopped at an end that another order to drain has replaced', async () => {
    const claim = await inState('draining');
    expect(await streams.stop(claim, { 0: { next: 6 } })).toBe(false);
    expect((await found()).state).toBe('draining');
  });

  it('says in which state it is when an order is refused, also when it was never started', async () => {
    await expect(streams.pause('things')).rejects.toMatchObject({
      code: 'STREAM_TRANSITION_REFUSED',
      message: 'The stream of things cannot be paused: it is stopped.',
    });
    await inState('paused');
    await expect(streams.start('things', {}, 1)).rejects.toThrow(/cannot be started: it is paused/);
  });

  it('takes settings that are given, and keeps the others', async () => {
    expect(await streams.start('things', { maxMs: 200 }, 1)).toMatchObject({
      ...{ maxRecords: 20_000, maxBytes: 4 * 1024 * 1024, maxMs: 200, state: 'running' },
    });
    expect(await streams.start('things', { maxRecords: 7 }, 1)).toMatchObject({ maxRecords: 7, maxMs: 200 });
  });

  it('belongs to one ingestor, until its lease runs out, it is released, or paused', async () => {
    await streams.start('things', {}, 1);
    const first = await claimed();
    expect(await streams.claim('two', { things: 1 })).toEqual([]);
    expect(await streams.renew(first, null)).toMatchObject({ owner: 'one', epoch: first.epoch });
    await expire();
    const second = await claimed('two');
    expect(second.epoch).toBe(first.epoch + 1);
    expect(await streams.renew(first, null)).toBeNull();
    expect(await streams.stand(first, 'fault', DETAIL)).toBe(false);
    await streams.release(first);
    expect(await streams.renew(second, null)).not.toBeNull();
    await streams.release(second);
    const third = await claimed('one');
    await streams.pause('things');
    expect(await streams.renew(third, null)).toBeNull();
    expect(await streams.claim('one', { things: 1 })).toEqual([]);
  });

  it('is not run by an older version of its dataset than the one that has run it, nor by an ingestor without the dataset', async () => {
    await streams.start('things', {}, 2);
    expect(await streams.claim('one', { things: 1 })).toEqual([]);
    expect(await streams.claim('one', { others: 5 })).toEqual([]);
    expect(await streams.ofNewerVersions({ things: 1 })).toEqual(['things']);
    await streams.release(await claimed('one', 3));
    expect(await streams.claim('one', { things: 2 })).toEqual([]);
    expect(await streams.ofNewerVersions({ things: 3 })).toEqual([]);
  });

  it('begins jobs in a row, each with its predecessor and claimed, and moves with each (TK1)', async () => {
    await streams.start('things', {}, 1);
    const claim = await claimed();
    await streams.setPosition(claim, { 0: { next: 5 }, 1: { next: 0 } });
    const ranges = [range(5, 9), range(9, 10), range(0, 3, 1)];
    for (const one of ranges) expect(await streams.take(claim, 'one', rangeToTake(one))).toBe('taken');
    const [first, second, third] = await jobs();
    expect([first, second, third].map((job) => job?.after_job)).toEqual([null, first?.id, second?.id]);
    expect(first).toMatchObject({ owner: 'one', epoch: 1 });
    expect(await found()).toMatchObject({
      position: { 0: { next: 10 }, 1: { next: 3 } },
      ...{ lastJob: third?.id, jobs: 3, records: 8 },
    });
  });

  it('begins no job and moves nowhere when either cannot be written', async () => {
    await streams.start('things', {}, 1);
    const claim = await claimed();
    await expect(streams.take(claim, 'one', rangeToTake(range(3, 4)))).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    await sql('ALTER TABLE sluice.stream ADD CONSTRAINT stands CHECK (jobs = 0)');
    try {
      await expect(streams.take(claim, 'one', rangeToTake(range(0, 4)))).rejects.toThrow(/stands/);
    } finally {
      await sql('ALTER TABLE sluice.stream DROP CONSTRAINT stands');
    }
    expect(await jobs()).toEqual([]);
    expect(await found()).toMatchObject({ position: null, jobs: 0, lastJob: null });
  });

  it('does nothing a second time, when it was not known whether the first was committed (TK3)', async () => {
    await streams.start('things', {}, 1);
    const claim = await claimed();
    const once = rangeToTake(range(0, 4));
    expect(await streams.take(claim, 'one', once)).toBe('taken');
    expect(await streams.take(claim, 'one', once)).toBe('taken');
    expect(await found()).toMatchObject({ jobs: 1, records: 4 });
  });

  it('begins no job under a lost claim or when it is paused, and none beyond those that it may have (TK2)', async () => {
    await streams.start('things', {}, 1);
    const first = await claimed();
    await expire();
    const second = await claimed('two');
    expect(await streams.take(first, 'one', rangeToTake(range(0, 1)))).toBe('lost');
    const bounds = { maxJobsInFlight: 1 };
    expect(await streams.take(second, 'two', rangeToTake(range(0, 1), bounds))).toBe('taken');
    expect(await streams.take(second, 'two', rangeToTake(range(1, 2), bounds))).toBe('full');
    await sql(`UPDATE sluice.job SET state = 'succeeded', finished_at = now()`);
    expect(await streams.take(second, 'two', rangeToTake(range(1, 2), bounds))).toBe('taken');
    await streams.pause('things');
    expect(await streams.take(second, 'two', rangeToTake(range(2, 3)))).toBe('lost');
    expect(await jobs()).toHaveLength(2);
  });

  it('lets one of two owners that race take a range, in either order', async () => {
    await streams.start('things', {}, 1);
    const first = await claimed();
    const races = await Promise.allSettled([
      streams.take(first, 'one', rangeToTake(range(0, 1))),
      streams.take(first, 'one', rangeToTake(range(0, 1))),
    ]);
    expect(races.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await jobs()).toHaveLength(1);
  });

  it('waits while a job of the dataset replaces the tables', async () => {
    await queueJob(base.jobs, 'things');
    await streams.start('things', {}, 1);
    const claim = await claimed();
    const take = streams.take(claim, 'one', rangeToTake(range(0, 1)));
    await expect(take).rejects.toMatchObject({ code: 'JOB_ACTIVE' });
    expect(await found()).toMatchObject({ position: null });
  });

  it('declares a wait once, keeps its beginning, and forgets it with the next state', async () => {
    await streams.start('things', {}, 1);
    await streams.declareWait('things', { code: 'SERVER_AWAY', message: 'a' });
    const since = (await found()).wait?.since;
    await streams.declareWait('things', { code: 'SERVER_AWAY', message: 'b' });
    expect((await found()).wait).toEqual({ code: 'SERVER_AWAY', message: 'b', since });
    await streams.pause('things');
    expect((await found()).wait).toBeNull();
    await streams.declareWait('things', { code: 'SERVER_AWAY', message: 'c' });
    expect((await found()).wait).toBeNull();
    await streams.resume('things', true);
    await streams.declareWait('things', { code: 'SERVER_AWAY', message: 'c' });
    await streams.declareWait('things', null);
    expect(await found()).toMatchObject({ wait: null, skipLost: true });
  });

  it('knows the jobs that keep it from continuing, and what the latest ones have loaded', async () => {
    await streams.start('things', {}, 1);
    const claim = await claimed();
    for (let at = 0; at < 4; at++) await streams.take(claim, 'one', rangeToTake(range(at, at + 1)));
    const [one, two, three, four] = (await jobs()).map(({ id }) => id);
    const counts = { read: 10, refused: 2 };
    await sql(
      `UPDATE sluice.job SET state = 'succeeded', finished_at = now(), counts = $2, findings = '{"REQUIRED": 2}',
         total_records = 10 WHERE id = $1`,
      [one, counts],
    );
    await sql(`UPDATE sluice.job SET state = 'paused', pause_reason = 'breaker' WHERE id = $1`, [two]);
    await sql(
      `UPDATE sluice.job SET state = 'failed', finished_at = now(), resumable = false WHERE id = $1`,
      [three],
    );
    const stream = await found();
    expect((await streams.standingJobs(stream)).map(({ id }) => id)).toEqual([two, three]);
    expect(await streams.latestSuccesses(stream)).toEqual([{ counts, findings: { REQUIRED: 2 } }]);
    expect(await streams.jobFacts(stream)).toMatchObject({
      ...{ inFlight: 2, recordsOfLastMinute: 10, findings: { REQUIRED: 2 } },
      lastJob: { id: four, state: 'queued' },
    });
    // What has failed for good was looked at when the stream is resumed; what can be resumed still stands.
    await streams.pause('things');
    const resumed = await streams.resume('things', false);
    expect((await streams.standingJobs(resumed)).map(({ id }) => id)).toEqual([two]);
    expect(await streams.latestSuccesses(resumed)).toEqual([]);
  });
});

/** Whether an order was carried out. */
async function said(order: Promise<Stream>): Promise<boolean> {
  try {
    await order;
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'STREAM_TRANSITION_REFUSED' });
    return false;
  }
}
