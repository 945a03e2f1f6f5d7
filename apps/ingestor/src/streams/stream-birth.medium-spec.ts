import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { NewJob } from '#core/job/create-job.js';
import { Streaming } from '#test/support/streaming.js';
import type { JobStart } from '#core/job/ingestor-transitions.js';
import { KnownTargets } from '#core/staging/known-targets.js';
import { JobAtBirth } from '../jobs/job-at-birth.js';
import { TOPIC_IDENTITY } from '../sources/topic/topic-address.js';

const STARTED: JobStart = {
  cutting: {
    ...{ format: 'ndjson', lineEnd: 'lf', partitions: 1 },
    ...{ maxBatchBytes: 1_000, maxBatchRecords: 10, maxRecordBytes: 1_000 },
  },
  head: { columns: ['number'], context: {}, dataStart: 0, firstLine: 1, bytes: 0, lines: 0 },
  sourceIdentity: TOPIC_IDENTITY,
  expectedBytes: null,
  contractVersion: 1,
  signed: false,
};

/** A job of a stream is started in the transaction that makes its row. */
describe('the start of a stream’s jobs on a real broker and PostgreSQL', () => {
  let streaming: Streaming;

  beforeAll(async () => {
    streaming = await Streaming.start();
  });
  afterAll(() => streaming.stop());
  beforeEach(() => streaming.renew());

  /** Marks the row as started, or fails in the middle of it. */
  function starting(fails: boolean): { asked: string[] } {
    const asked: string[] = [];
    streaming.starterOf = ({ id }: NewJob) => {
      asked.push(id);
      const birth = {
        hasFailed: false,
        start: async (client: SqlClient): Promise<void> => {
          await client.query(`UPDATE sluice.job SET options = '{"started":true}' WHERE id = $1`, [id]);
          if (!fails) return;
          birth.hasFailed = true;
          throw new Error('the tables are not fit');
        },
      };
      return Promise.resolve(birth as unknown as JobAtBirth);
    };
    return { asked };
  }

  const options = async (): Promise<unknown[]> =>
    (
      await streaming.base.database.query<{ options: unknown }[]>(
        'SELECT options FROM sluice.job WHERE stream = $1 ORDER BY id',
        [streaming.name],
      )
    ).map((row) => row.options);

  it('starts each with its row', async () => {
    const { asked } = starting(false);
    await streaming.startStream({ maxRecords: 1, maxMs: 50 });
    await streaming.ingestor();
    await streaming.send(0, 'a', 'b');
    await streaming.untilTaken(['a', 'b']);
    expect(await options()).toEqual([{ started: true }, { started: true }]);
    expect(asked).toEqual(streaming.taken.map(({ id }) => id));
  });

  it('makes the row alone when that fails: its run finds what is wrong again, and says it (SR3)', async () => {
    starting(true);
    await streaming.startStream({ maxMs: 50 });
    await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    expect(await options()).toEqual([{}]);
    expect((await streaming.stream()).jobs).toBe(1);
  });

  it('makes the row alone when it cannot be known how to start it', async () => {
    streaming.starterOf = () => Promise.reject(new Error('no broker answers'));
    await streaming.startStream({ maxMs: 50 });
    await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    expect(await options()).toEqual([{}]);
  });

  it('does not wait for a broker that never says how to start it, nor when the ingestor ends', async () => {
    let asked = 0;
    streaming.starterOf = () => new Promise(() => (asked += 1));
    await streaming.startStream({ maxRecords: 1, maxMs: 50 });
    const ingestor = await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    expect(await options()).toEqual([{}]);
    expect(asked).toBe(1);
    ingestor?.drain.abort(new Error('the ingestor ends'));
    await ingestor?.ended;
  });

  it('makes the row alone when another session’s lock of the target keeps it from being started', async () => {
    const { database } = streaming.base;
    await database.query('CREATE TABLE public.thing (number text PRIMARY KEY)');
    const births: JobAtBirth[] = [];
    streaming.starterOf = (job: NewJob) => {
      const birth = new JobAtBirth(job, streaming.dataset, STARTED, new KnownTargets());
      births.push(birth);
      return Promise.resolve(birth);
    };
    const holder = database.createQueryRunner();
    await holder.startTransaction();
    try {
      await holder.query('LOCK TABLE public.thing IN ACCESS EXCLUSIVE MODE');
      await streaming.startStream({ maxRecords: 1, maxMs: 50 });
      await streaming.ingestor();
      await streaming.send(0, 'a');
      await streaming.untilTaken(['a']);
      expect(births.map(({ hasFailed }) => hasFailed)).toEqual([true]);
      await holder.commitTransaction();
      await streaming.send(0, 'b');
      await streaming.untilTaken(['a', 'b']);
      expect(births.map(({ hasFailed }) => hasFailed)).toEqual([true, false]);
    } finally {
      if (holder.isTransactionActive) await holder.rollbackTransaction();
      await holder.release();
      await database.query('DROP TABLE public.thing');
    }
  });
});
