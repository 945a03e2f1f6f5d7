import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { Ingesting, type TestIngestor, thingsOf } from '#test/support/ingesting.js';

const CONTENT = thingsOf(Array.from({ length: 40 }, (_, number) => number));

describe('commands to running jobs', () => {
  let ingesting: Ingesting;
  let source: string;

  beforeAll(async () => {
    ingesting = await Ingesting.start();
    source = ingesting.file('things', CONTENT);
  });

  afterAll(() => ingesting.stop());

  /** A job that waits for the acknowledgement of batches 2 to 5, which are all that may be under way. */
  async function runningJob(ingestor: TestIngestor): Promise<{ id: string; run: Promise<void> }> {
    const id = await ingesting.queue(source);
    ingestor.broker.heldFrom = 2;
    const run = ingestor.run();
    await eventually(() => ingestor.broker.sent.length === 6, 'four batches to be under way');
    return { id, run };
  }

  /** Whether the promise has come to its end. */
  function watched<T>(promise: Promise<T>): { isDone: () => boolean; end: Promise<T> } {
    let done = false;
    return { isDone: () => done, end: promise.finally(() => (done = true)) };
  }

  const stateOf = async (id: string): Promise<string> => (await ingesting.load(id)).state;

  it('answer a cancel when nothing of the job is under way any more (JR4)', async () => {
    const ingestor = ingesting.ingestor();
    const { id, run } = await runningJob(ingestor);
    const cancelling = watched(ingestor.commands.cancel(id));
    await eventually(async () => (await stateOf(id)) === 'cancelled', 'the job to be cancelled');
    for (let looks = 0; looks < 10; looks++) {
      await expect(ingesting.operator.ownerOf(id)).resolves.toBe('one');
      expect(cancelling.isDone()).toBe(false);
    }
    ingestor.broker.acknowledge();
    await expect(cancelling.end).resolves.toMatchObject({
      state: 'cancelled',
      discarded: { loadedBatches: 0 },
    });
    expect(ingestor.broker.sent).toHaveLength(6);
    await run;
    expect(ingestor.broker.sent).toHaveLength(6);
    expect(await ingesting.load(id)).toMatchObject({ owner: null, leaseUntil: null, state: 'cancelled' });
  });

  it('answer a cancel when another ingestor has released the job, which it does by itself', async () => {
    const other = ingesting.ingestor('two', 600);
    const { id, run } = await runningJob(other);
    const cancelling = watched(ingesting.ingestor('one').commands.cancel(id));
    await eventually(async () => (await stateOf(id)) === 'cancelled', 'the job to be cancelled');
    expect(cancelling.isDone()).toBe(false);
    other.broker.acknowledge();
    await cancelling.end;
    const { length } = other.broker.sent;
    await run;
    expect(other.broker.sent).toHaveLength(length);
  });

  it('answer a cancel when the lease of an ingestor that is gone is over', async () => {
    const id = await ingesting.queue(source);
    await ingesting.database.query(
      `UPDATE sluice.job SET owner = 'gone', lease_until = now() + interval '1 second' WHERE id = $1`,
      [id],
    );
    await ingesting.ingestor().commands.cancel(id);
    const [lease] = await ingesting.database.query<{ over: boolean }[]>(
      'SELECT lease_until < now() AS over FROM sluice.job WHERE id = $1',
      [id],
    );
    expect(lease?.over).toBe(true);
  });

  it.each([
    ['its own ingestor', true],
    ['another one', false],
  ])('pause a job of %s: nothing is published until it is continued', async (_whose, isOwn) => {
    const ingestor = ingesting.ingestor('two', 3);
    const { commands } = isOwn ? ingestor : ingesting.ingestor('one');
    const { id, run } = await runningJob(ingestor);
    await expect(commands.pause(id)).resolves.toMatchObject({ state: 'paused' });
    await looked(id);
    ingestor.broker.acknowledge();
    await looked(id);
    expect(ingestor.broker.sent).toHaveLength(6);
    await expect(commands.continue(id)).resolves.toMatchObject({ state: 'running' });
    await run;
    expect(ingestor.broker.sent).toEqual(Array.from({ length: 20 }, (_, batch) => batch));
    expect(await ingesting.load(id)).toMatchObject({ state: 'running', totalBatches: 20 });
  });

  /** The ingestor has read the job twice from now on: the read is also the renewal of its lease. */
  async function looked(id: string): Promise<void> {
    for (let looks = 0; looks < 2; looks++) {
      const { leaseUntil } = await ingesting.load(id);
      await eventually(
        async () => (await ingesting.load(id)).leaseUntil?.getTime() !== leaseUntil?.getTime(),
        'a look at the job',
      );
    }
  }

  it('release a paused job when the process has to end, and it resumes when it is continued', async () => {
    const ingestor = ingesting.ingestor();
    const { id, run } = await runningJob(ingestor);
    await ingestor.commands.pause(id);
    ingestor.broker.acknowledge();
    ingestor.drain.abort();
    await run;
    expect(await ingesting.load(id)).toMatchObject({ state: 'paused', owner: null });
    const next = ingesting.ingestor('two');
    await next.commands.continue(id);
    await next.run();
    expect(next.broker.sent).toEqual(Array.from({ length: 14 }, (_, batch) => 6 + batch));
  });

  it('resume the newest job that can be, and say when there is none or another one is active', async () => {
    const { commands } = ingesting.ingestor();
    const id = await ingesting.queue(source);
    await expect(commands.resumeNewest({})).rejects.toMatchObject({ code: 'JOB_NOTHING_TO_RESUME' });
    await ingesting.database.query(
      `UPDATE sluice.job SET state = 'failed', started_at = now(), finished_at = now(), resumable = false
       WHERE id = $1`,
      [id],
    );
    await expect(commands.resumeNewest({})).rejects.toMatchObject({ code: 'JOB_NOTHING_TO_RESUME' });
    await ingesting.database.query('UPDATE sluice.job SET resumable = true WHERE id = $1', [id]);
    const active = '00000000-0000-7000-8000-000000000000';
    await ingesting.database.query(
      `INSERT INTO sluice.job SELECT (jsonb_populate_record(job, 
         jsonb_build_object('id', $2::text, 'state', 'queued', 'started_at', NULL, 'finished_at', NULL))).*
       FROM sluice.job WHERE id = $1`,
      [id, active],
    );
    await expect(commands.resume(id, {})).rejects.toMatchObject({
      code: 'JOB_ACTIVE',
      status: 409,
      members: { activeJob: active },
    });
    await ingesting.database.query('DELETE FROM sluice.job WHERE id = $1', [active]);
    await expect(commands.resumeNewest({ maxRefusedShare: 0.5 })).resolves.toMatchObject({
      id,
      state: 'running',
    });
    expect(await ingesting.load(id)).toMatchObject({ maxRefusedShare: 0.5, error: null });
  });
});
