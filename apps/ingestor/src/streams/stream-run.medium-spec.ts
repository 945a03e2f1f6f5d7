import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import pg from 'pg';
import { withAdmin } from '#common/kafka/transport/topics-admin.js';
import { eventually } from '#test/support/eventually.js';
import { startHeldBroker } from '#test/support/held-broker.js';
import { growTopic } from '#test/support/kafka.js';
import { queueJob } from '#test/support/queued-job.js';
import { Streaming, nexts } from '#test/support/streaming.js';

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => String(from + at));

describe('a stream on a real broker and PostgreSQL', () => {
  let streaming: Streaming;

  beforeAll(async () => {
    streaming = await Streaming.start();
  });
  afterAll(() => streaming.stop());
  beforeEach(() => streaming.renew());

  const sql = (text: string, parameters: unknown[] = []): Promise<unknown> =>
    streaming.base.database.query(text, parameters);

  it('makes jobs of what was there and of what arrives, each message once and in the order of its partition (SR1)', async () => {
    await streaming.send(0, ...numbers(0, 10));
    await streaming.send(2, ...numbers(10, 15));
    await streaming.startStream({ maxRecords: 4, maxMs: 50 });
    await streaming.ingestor();
    await streaming.untilTaken(numbers(0, 15));
    await streaming.send(0, ...numbers(15, 21));
    await streaming.untilTaken(numbers(0, 21));
    for (const { messages } of streaming.taken) {
      expect(messages.length).toBeLessThanOrEqual(4);
      const places = messages.map(({ place }) => place.partition * 1_000 + Number(place.offset));
      expect(places).toEqual(places.toSorted((a, b) => a - b));
    }
    for (const ranges of Object.values(await streaming.ranges())) {
      const ends = ranges.map((range) => range.split('-').map(Number));
      ends.forEach(([from], at) => {
        expect(from).toBe(ends[at - 1]?.[1] ?? 0);
      });
    }
    expect(nexts((await streaming.stream()).position)).toEqual({ 0: 16, 1: 0, 2: 5 });
    const jobs = await streaming.base.database.query<{ id: string; after_job: string | null }[]>(
      'SELECT id, after_job FROM sluice.job ORDER BY id',
    );
    expect(jobs.map(({ after_job }) => after_job)).toEqual([null, ...jobs.slice(0, -1).map(({ id }) => id)]);
  });

  it('says that it waits for brokers that take a connection and do not answer (SR3)', async () => {
    const [broker = ''] = streaming.brokers;
    const held = await startHeldBroker(broker);
    try {
      await streaming.send(0, 'a');
      await streaming.startStream();
      await streaming.ingestor('one', [held.address]);
      const wait = await eventually(async () => (await streaming.stream()).wait, 'the stream to say so');
      expect(wait).toMatchObject({ code: 'SERVER_AWAY', message: expect.stringContaining(streaming.topic) });
      // Not by the error that comes when the client gives up, half a minute later, or minutes where calls repeat calls.
      expect(held.givenUp).toBe(0);
      held.release();
      await streaming.untilTaken(['a']);
      await eventually(async () => (await streaming.stream()).wait === null, 'the wait to be over');
    } finally {
      held.release();
      await streaming.leave();
      await held.close();
    }
  });

  it('makes no job while nothing comes, and begins a new one where it had ended (SR4)', async () => {
    await streaming.startStream();
    const first = await streaming.ingestor();
    await streaming.send(1, 'a');
    await streaming.untilTaken(['a']);
    first?.drain.abort(new Error('ends'));
    await first?.ended;
    expect(await streaming.stream()).toMatchObject({ owner: null, leaseUntil: null, jobs: 1 });
    await streaming.send(1, 'b');
    await streaming.ingestor('two');
    await streaming.untilTaken(['a', 'b']);
    expect((await streaming.stream()).jobs).toBe(2);
  });

  it('gives up an open range when the lease is lost, and the next ingestor takes all of it (SR1)', async () => {
    await streaming.startStream({ maxMs: 60_000, maxRecords: 3 });
    const before = streaming.lostLeases;
    const first = await streaming.ingestor();
    await streaming.send(0, 'a', 'b');
    await eventually(async () => (await streaming.stream()).oldestWaiting !== null, 'an open range');
    await sql(`UPDATE sluice.stream SET lease_until = now() - interval '1 second'`);
    await streaming.ingestor('two');
    await streaming.send(0, 'c', 'd');
    await first?.ended;
    await streaming.untilTaken(['a', 'b', 'c']);
    expect((await streaming.stream()).owner).toBe('two');
    expect(streaming.lostLeases - before).toBe(1);
  });

  it('stands when messages expired while it was paused, says how many and where, and continues when an operator has them skipped', async () => {
    await streaming.startStream();
    await streaming.ingestor();
    await streaming.send(0, 'a', 'b');
    await streaming.untilTaken(['a', 'b']);
    await streaming.streams.pause(streaming.name);
    await streaming.leave();
    await streaming.send(0, 'c', 'd', 'e');
    await streaming.send(1, 'f', 'g');
    await streaming.expire({ 0: 4, 1: 1 });
    await streaming.streams.resume(streaming.name, false);
    await streaming.ingestor();
    const { reason, detail } = await streaming.untilState('paused');
    expect([reason, detail?.code]).toEqual(['inbox', 'INBOX_EXPIRED']);
    expect(detail?.lost).toEqual([
      { partition: 0, from: 2, to: 4 },
      { partition: 1, from: 0, to: 1 },
    ]);
    expect(detail?.message).toContain('partition 0: 2 (offsets 2 to 3); partition 1: 1 (offsets 0 to 0)');
    expect(streaming.values).toEqual(['a', 'b']);
    await streaming.streams.resume(streaming.name, true);
    await streaming.ingestor();
    await streaming.untilTaken(['a', 'b', 'e', 'g']);
    expect(await streaming.stream()).toMatchObject({ skipLost: false, detail: null });
  });

  it.each([
    ['fewer messages than were taken', ['x']],
    ['as many, which are others', ['x', 'y', 'z']],
  ])('stands when the topic was created again with %s', async (_, values) => {
    await streaming.startStream();
    const first = await streaming.ingestor();
    await streaming.send(0, 'a', 'b');
    await streaming.untilTaken(['a', 'b']);
    await streaming.streams.pause(streaming.name);
    await first?.ended;
    await streaming.recreate();
    await streaming.send(0, ...values);
    await streaming.streams.resume(streaming.name, false);
    await streaming.ingestor();
    const { detail } = await streaming.untilState('paused');
    expect(detail).toMatchObject({
      code: 'INBOX_RECREATED',
      message: expect.stringContaining('partition 0'),
    });
    await streaming.streams.resume(streaming.name, true);
    await streaming.ingestor();
    await streaming.untilTaken(['a', 'b', ...values]);
  });

  it('reads partitions that are added, from their first message', async () => {
    await streaming.startStream();
    await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    await growTopic(streaming.kafka, streaming.topic, 5);
    await streaming.send(4, 'b');
    await streaming.untilTaken(['a', 'b']);
  });

  it('waits while a job replaces the tables, and says so', async () => {
    const replacing = await queueJob(streaming.base.jobs, streaming.name);
    await streaming.startStream();
    await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilWait('DATASET_HELD');
    expect((await streaming.stream()).wait?.message).toContain(replacing);
    expect(streaming.values).toEqual([]);
    await streaming.base.operator.cancel(replacing);
    await streaming.untilTaken(['a']);
    await streaming.untilWait(null);
  });

  it('has four unfinished jobs at most, and waits for the next to end', async () => {
    streaming.ends = () => null;
    await streaming.startStream({ maxRecords: 1 });
    await streaming.ingestor();
    await streaming.send(0, ...numbers(0, 6));
    await streaming.untilWait('JOBS_IN_FLIGHT');
    expect(streaming.values).toEqual(numbers(0, 4));
    await streaming.finish(streaming.taken[0]?.id ?? '', { refused: 0 }, 1);
    await streaming.untilTaken(numbers(0, 5));
    for (const { id } of streaming.taken) await streaming.finish(id, { refused: 0 }, 1);
    await streaming.untilTaken(numbers(0, 6));
  });

  it('stands when a job of it is paused, names it and its most frequent findings', async () => {
    streaming.ends = () => null;
    await streaming.startStream();
    await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    const id = streaming.taken[0]?.id;
    const reasons = [{ code: 'REQUIRED', count: 9 }];
    const pause = { code: 'JOB_BREAKER', message: '9 of 10 were refused.', action: 'a', reasons };
    await sql(
      `UPDATE sluice.job SET state = 'paused', pause_reason = 'breaker', pause_detail = $2 WHERE id = $1`,
      [id, pause],
    );
    const { reason, detail } = await streaming.untilState('paused');
    expect([reason, detail?.code, detail?.job]).toEqual(['job', 'STREAM_JOB_STANDS', id]);
    expect(detail?.reasons).toEqual(reasons);
    expect(detail?.message).toContain('is paused (breaker): 9 of 10 were refused.');
    await streaming.send(0, 'b');
    expect(await streaming.ingestor('two')).toBeNull();
  });

  it('stands when a job of it has failed, also one of an earlier ingestor', async () => {
    streaming.ends = () => null;
    await streaming.startStream();
    const first = await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    first?.drain.abort(new Error('ends'));
    await first?.ended;
    const error = { code: 'JOB_UNBALANCED', message: 'The sums do not add up.', action: 'a' };
    await sql(
      `UPDATE sluice.job SET state = 'failed', finished_at = now(), error = $1, findings = '{"TOO_LONG": 3}'`,
      [error],
    );
    await streaming.ingestor('two');
    const { reason, detail } = await streaming.untilState('paused');
    expect([reason, detail?.reasons]).toEqual(['job', [{ code: 'TOO_LONG', count: 3 }]]);
    expect(detail?.message).toContain('has failed: The sums do not add up.');
  });

  it('measures how long the oldest message of each visible job has taken, until the end that its row says', async () => {
    streaming.ends = () => null;
    await streaming.startStream({ maxMs: 20 });
    await streaming.ingestor();
    await streaming.send(0, 'a', 'b');
    await streaming.untilTaken(['a', 'b']);
    await sql(`UPDATE sluice.job SET state = 'succeeded', finished_at = now() + interval '1 hour',
      counts = '{"read": 2, "refused": 0, "loaded": 2}', owner = NULL, lease_until = NULL`);
    const { name, taken } = streaming;
    const lines = await eventually(async () => {
      const text = await streaming.registry.getSingleMetricAsString('sluice_stream_latency_seconds');
      const now = text.split('\n');
      return now.includes(`sluice_stream_latency_seconds_count{dataset="${name}"} ${taken.length}`) && now;
    }, 'the latency of each job to be measured');
    expect(lines).toContain(`sluice_stream_latency_seconds_bucket{le="300",dataset="${name}"} 0`);
  });

  it('stands when too much of the latest jobs together was refused', async () => {
    streaming.ends = ({ messages }) => ({ refused: messages.length - 1, code: 'TOO_LONG' });
    await streaming.startStream({ maxRecords: 10, maxMs: 20 });
    await streaming.ingestor();
    await streaming.send(0, ...numbers(0, 90));
    await streaming.untilTaken(numbers(0, 90));
    expect((await streaming.stream()).state).toBe('running');
    await streaming.send(0, ...numbers(90, 130));
    const { reason, detail } = await streaming.untilState('paused');
    expect([reason, detail?.code, detail?.reasons?.[0]?.code]).toEqual([
      'breaker',
      'STREAM_BREAKER',
      'TOO_LONG',
    ]);
    // What has been seen is not judged again.
    streaming.ends = () => ({ refused: 0 });
    await streaming.streams.resume(streaming.name, false);
    await streaming.ingestor();
    await streaming.send(0, 'last');
    await eventually(() => streaming.values.includes('last'), 'the stream to continue');
    expect((await streaming.stream()).state).toBe('running');
  });

  it('drains: takes what is there at once, waits for its jobs, and stops', async () => {
    streaming.ends = () => null;
    await streaming.send(0, ...numbers(0, 3));
    await streaming.startStream({ maxMs: 600_000 });
    await streaming.streams.drain(streaming.name);
    const ingestor = await streaming.ingestor();
    await streaming.untilTaken(numbers(0, 3));
    expect((await streaming.stream()).state).toBe('draining');
    await streaming.finish(streaming.taken[0]?.id ?? '', { refused: 0 }, 3);
    await streaming.untilState('stopped');
    await ingestor?.ended;
    await streaming.send(0, 'later');
    expect(await streaming.ingestor()).toBeNull();
    await streaming.startStream();
    await streaming.ingestor();
    await streaming.untilTaken([...numbers(0, 3), 'later']);
  });

  it('begins no job once it is paused, and leaves those that have begun', async () => {
    streaming.ends = () => null;
    await streaming.startStream();
    const ingestor = await streaming.ingestor();
    await streaming.send(0, 'a');
    await streaming.untilTaken(['a']);
    await streaming.streams.pause(streaming.name);
    await streaming.send(0, 'b');
    await ingestor?.ended;
    expect(streaming.values).toEqual(['a']);
    const [job] = await streaming.base.database.query<{ state: string }[]>('SELECT state FROM sluice.job');
    expect(job?.state).toBe('queued');
    await streaming.streams.resume(streaming.name, false);
    await streaming.ingestor();
    await streaming.untilTaken(['a', 'b']);
  });

  it('passes what no reader sees without a job: aborted transactions and the markers of all', async () => {
    const kafka = new kafkajs.Kafka({ brokers: streaming.brokers, logLevel: kafkajs.logLevel.NOTHING });
    const producer = kafka.producer({
      ...{ transactionalId: streaming.name, idempotent: true, maxInFlightRequests: 1 },
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const transact = async (value: string, ends: 'commit' | 'abort'): Promise<void> => {
      const transaction = await producer.transaction();
      await transaction.send({ topic: streaming.topic, messages: [{ partition: 0, value }] });
      await transaction[ends]();
    };
    await transact('a', 'commit');
    await transact('b', 'abort');
    await streaming.startStream();
    await streaming.ingestor();
    await streaming.untilTaken(['a']);
    await eventually(
      async () => nexts((await streaming.stream()).position)['0'] === 4,
      'the position to be behind the markers',
    );
    await transact('c', 'abort');
    await streaming.streams.drain(streaming.name);
    await streaming.untilState('stopped');
    await producer.disconnect();
    expect([streaming.values, await streaming.ranges()]).toEqual([['a'], { 0: ['0-1'] }]);
  });

  it('changes its bounds while it runs', async () => {
    await streaming.startStream({ maxMs: 600_000 });
    const ingestor = await streaming.ingestor();
    await streaming.send(0, 'a');
    await eventually(async () => (await streaming.stream()).oldestWaiting !== null, 'an open range');
    expect(streaming.values).toEqual([]);
    await streaming.startStream({ maxMs: 10 });
    await ingestor?.run.look();
    await streaming.untilTaken(['a']);
  });

  it('loses and repeats nothing while its connections to PostgreSQL are ended (TK3)', async () => {
    await streaming.startStream({ maxMs: 5, maxRecords: 3 });
    await streaming.ingestor();
    const other = new pg.Client({ connectionString: streaming.base.server.url });
    await other.connect();
    for (let round = 0; round < 30; round++) {
      await streaming.send(round % 3, ...numbers(round * 4, round * 4 + 4));
      await other.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
    }
    await other.end();
    await streaming.untilTaken(numbers(0, 120));
    expect(nexts((await streaming.stream()).position)).toEqual({ 0: 40, 1: 40, 2: 40 });
  });

  it('stands when an error that is not known comes again and again, and messages with it (SR3)', async () => {
    await sql(`CREATE FUNCTION sluice.spoil() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'the moon is full' USING ERRCODE = 'not_null_violation'; END $$`);
    await sql(
      'CREATE TRIGGER spoil BEFORE INSERT ON sluice.job FOR EACH ROW EXECUTE FUNCTION sluice.spoil()',
    );
    try {
      await streaming.startStream({ maxMs: 20 });
      await streaming.send(0, 'a');
      await streaming.ingestor();
      const { reason, detail } = await streaming.untilState('paused');
      expect([reason, detail?.code]).toEqual(['fault', 'STREAM_FAULT']);
      expect(detail?.message).toContain('the moon is full');
    } finally {
      await sql('DROP FUNCTION sluice.spoil CASCADE');
    }
    await streaming.streams.resume(streaming.name, false);
    await streaming.ingestor();
    await streaming.untilTaken(['a']);
  });

  it('stands when the inbox is gone', async () => {
    await streaming.startStream();
    await withAdmin(streaming.kafka, (admin) => admin.deleteTopics({ topics: [streaming.topic] }));
    await streaming.ingestor();
    expect(await streaming.untilState('paused')).toMatchObject({
      ...{ reason: 'inbox', detail: { code: 'TOPIC_MISSING' } },
    });
  });
});
