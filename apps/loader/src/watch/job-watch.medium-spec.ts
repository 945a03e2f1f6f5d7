import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type EachMessagePayload, type Kafka, type Producer } from 'kafkajs';
import type pg from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { createPool } from '#common/postgres/pool.js';
import type { Breaker } from '#core/dataset/dataset.js';
import { OperatorRepository } from '#core/job/operator.repository.js';
import { CONSUMER_GROUPS, planTopics, topicOf } from '#core/message/topics.js';
import { controlDatabase } from '#core/schema/control-database.js';
import { eventually } from '#test/support/eventually.js';
import { type TestKafka, startKafkaBroker } from '#test/support/kafka.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { JobWatch } from './job-watch.js';

interface Batch {
  readonly records?: number;
  readonly refused?: number;
  readonly findings?: Record<string, number>;
}

interface JobRow {
  readonly state: string;
  readonly pause_reason: string | null;
  readonly pause_detail: unknown;
  readonly problem: unknown;
  readonly wait: { readonly stage: string } | null;
}

describe('JobWatch on real PostgreSQL and Kafka', () => {
  let server: TestDatabase;
  let broker: TestKafka;
  let pool: pg.Pool;
  let kafka: Kafka;
  let producer: Producer;
  let watch: JobWatch;
  let dataset: string;
  let job: string;
  /** How often the watch has asked for the jobs that wait for batches, the last thing of each look. */
  let looks = 0;

  beforeAll(async () => {
    server = await startMigratedDatabase();
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 4 });
    const query = pool.query.bind(pool) as (...args: unknown[]) => unknown;
    pool.query = ((...args: unknown[]) => {
      if (typeof args[0] === 'string' && args[0].includes('total_batches > (')) looks += 1;
      return query(...args);
    }) as typeof pool.query;
    // Of its own: the groups are the product's.
    broker = await startKafkaBroker();
    kafka = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING });
    producer = kafka.producer();
    await producer.connect();
  });

  afterAll(async () => {
    await producer.disconnect();
    await broker.stop();
    await pool.end();
    await server.stop();
  });

  beforeEach(() => {
    job = uuidv7();
    dataset = `things-${job}`;
    watch = new JobWatch({
      pool,
      kafka,
      datasets: new Map([[dataset, { warningCodes: () => new Set(['BAD_PHONE']) }]]),
      config: { watchIntervalMs: 100, missingAfterSeconds: 0 },
      logger: pino({ level: 'silent' }),
    });
  });

  afterEach(async () => {
    await watch.stop();
    await pool.query('TRUNCATE sluice.job CASCADE');
  });

  async function running(facts: { breaker?: Breaker; totalBatches?: number }): Promise<void> {
    await pool.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
         contract_version, started_at, breaker, total_batches)
       VALUES ($1, $2, 'replace', 'running', '{}', '', false, 0.05, '{}', 1, now() - interval '1 minute', $3, $4)`,
      [job, dataset, facts.breaker ?? null, facts.totalBatches ?? null],
    );
  }

  async function loaded(number: number, { records = 100, refused = 0, findings = {} }: Batch): Promise<void> {
    await pool.query(
      `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c,
         accepted, refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
       VALUES ($1, $2, 0, 2, $3::int, 0, 10, 1, $3::int - $4::int, $4, 0, 0, $5, 'sluice.things.raw', 0, $2)`,
      [job, number, records, refused, findings],
    );
  }

  /** As an operator does, of what is loaded now. */
  async function continued(): Promise<void> {
    const database = await controlDatabase({ url: server.url, applicationName: 'test' }).initialize();
    try {
      const operator = new OperatorRepository(database);
      await operator.pause(job);
      await operator.continue(job);
    } finally {
      await database.destroy();
    }
  }

  async function row(): Promise<JobRow | undefined> {
    const { rows } = await pool.query<JobRow>(
      'SELECT state, pause_reason, pause_detail, problem, wait FROM sluice.job WHERE id = $1',
      [job],
    );
    return rows[0];
  }

  async function waits(stage: string): Promise<void> {
    await eventually(async () => (await row())?.wait?.stage === stage, `a wait of stage ${stage}`);
  }

  /** Two whole looks from now on. */
  async function looked(): Promise<void> {
    const before = looks;
    await eventually(() => looks >= before + 2, 'two more looks');
  }

  describe('the breaker (JW1)', () => {
    const breaker: Breaker = { windowRecords: 300, maxShare: 0.2, maxCount: null };

    it('pauses a job when more than its share of the window is refused, with the most frequent reasons', async () => {
      await running({ breaker });
      await loaded(0, {});
      await loaded(1, { refused: 30, findings: { BAD_TAX_ID: 30 } });
      await loaded(2, { refused: 20, findings: { BAD_TAX_ID: 5, MALFORMED_ROW: 15, BAD_PHONE: 90 } });
      await loaded(3, { refused: 40, findings: { MALFORMED_ROW: 40 } });
      watch.start();
      await eventually(async () => (await row())?.state === 'paused', 'the job to be paused');
      expect(await row()).toMatchObject({
        pause_reason: 'breaker',
        pause_detail: {
          code: 'JOB_BREAKER',
          message: '90 of the last 300 records were refused (30.0 %); more than 20.0 % pause the job.',
          records: 300,
          refused: 90,
          reasons: [
            { code: 'MALFORMED_ROW', count: 55 },
            { code: 'BAD_TAX_ID', count: 35 },
          ],
        },
      });
    });

    it('does not judge a share before the window is full, nor batches that have left it', async () => {
      await running({ breaker });
      await loaded(0, { refused: 100 });
      await loaded(1, { refused: 100 });
      watch.start();
      await looked();
      expect(await row()).toMatchObject({ state: 'running' });
      await pool.query('DELETE FROM sluice.ledger');
      await loaded(0, { refused: 100 });
      for (const number of [1, 2, 3]) await loaded(number, { refused: 20 });
      await looked();
      expect(await row()).toMatchObject({ state: 'running' });
    });

    it('pauses at a number of refusals, full window or not; refusals of the database count', async () => {
      await running({ breaker: { ...breaker, maxCount: 2 } });
      await loaded(0, { refused: 2 });
      watch.start();
      await looked();
      expect(await row()).toMatchObject({ state: 'running' });
      await pool.query(`UPDATE sluice.ledger SET load_refusals = $1`, [
        JSON.stringify([
          {
            record: 7,
            sqlstate: '23514',
            findings: [{ code: 'REFUSED_BY_DATABASE', field: null, message: '', severity: 'error' }],
          },
        ]),
      ]);
      await eventually(async () => (await row())?.state === 'paused', 'the job to be paused');
      expect(await row()).toMatchObject({
        pause_detail: { refused: 3, reasons: [{ code: 'REFUSED_BY_DATABASE', count: 1 }] },
      });
    });

    it('leaves out what was there when the job was continued', async () => {
      await running({ breaker });
      for (const number of [0, 1, 2]) await loaded(number, { refused: 100 });
      await continued();
      for (const number of [3, 4, 5]) await loaded(number, { refused: 10 });
      watch.start();
      await looked();
      expect(await row()).toMatchObject({ state: 'running' });
    });

    it('judges the batches of a partition that is far behind the others when they come', async () => {
      await running({ breaker });
      for (const number of [6, 7, 8, 9]) await loaded(number, {});
      watch.start();
      await looked();
      for (const number of [0, 1, 2]) await loaded(number, { refused: 30 });
      await eventually(async () => (await row())?.state === 'paused', 'the job to be paused');
      expect(await row()).toMatchObject({ pause_detail: { records: 300, refused: 90 } });
    });

    it('is not tripped by old batches when those of a partition ahead are in order', async () => {
      await running({ breaker });
      for (const number of [0, 1, 2]) await loaded(number, { refused: 20 });
      for (const number of [12, 18, 24, 3]) await loaded(number, {});
      watch.start();
      await looked();
      expect(await row()).toMatchObject({ state: 'running' });
    });

    it('judges batches of partitions that were behind when the job was continued', async () => {
      await running({ breaker });
      for (const number of [0, 5, 6, 7]) await loaded(number, { refused: 100 });
      await continued();
      watch.start();
      await looked();
      expect(await row()).toMatchObject({ state: 'running' });
      for (const number of [1, 2, 3]) await loaded(number, { refused: 30 });
      await eventually(async () => (await row())?.state === 'paused', 'the job to be paused');
      expect(await row()).toMatchObject({ pause_detail: { records: 300, refused: 90 } });
    });
  });

  describe('missing batches (JW2)', () => {
    const raw = (): string => topicOf(dataset, 'raw');
    const clean = (): string => topicOf(dataset, 'clean');

    beforeEach(async () => {
      await createTopics(kafka, planTopics([dataset], 1), 1);
      await producer.send({ topic: raw(), messages: Array.from({ length: 6 }, () => ({ value: 'x' })) });
      await producer.send({ topic: clean(), messages: Array.from({ length: 6 }, () => ({ value: 'x' })) });
    });

    /** Reads the topic to its end and commits, as the group's own consumer would. */
    async function handled(groupId: string, topic: string): Promise<void> {
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 50 });
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await new Promise<void>((resolve, reject) => {
        const eachMessage = ({ message }: EachMessagePayload): Promise<void> => {
          if (message.offset === '5') resolve();
          return Promise.resolve();
        };
        consumer.run({ eachMessage }).catch(reject);
      });
      // Commits what was handled.
      await consumer.disconnect();
    }

    async function expired(...topics: string[]): Promise<void> {
      await withAdmin(kafka, async (admin) => {
        for (const topic of topics) {
          // kafkajs deletes only from topics that it has heard of.
          await admin.fetchTopicOffsets(topic);
          await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
        }
      });
    }

    it.each([
      ['load', 'validate'],
      ['validate', 'load'],
    ] as const)(
      'are named when nothing is left to handle in either topic (%s first)',
      async (first, second) => {
        await running({ totalBatches: 9 });
        for (const number of [0, 1, 4, 6]) await loaded(number, {});
        const topics = { validate: raw(), load: clean() };
        watch.start();
        await looked();
        expect(await row()).toMatchObject({ problem: null });
        await handled(CONSUMER_GROUPS[first], topics[first]);
        await looked();
        expect(await row()).toMatchObject({ problem: null });
        await handled(CONSUMER_GROUPS[second], topics[second]);
        await eventually(async () => (await row())?.problem !== null, 'the problem to be reported');
        expect(await row()).toMatchObject({
          state: 'running',
          problem: {
            code: 'BATCHES_MISSING',
            message: 'Batches 2–3, 5, 7–8 are neither loaded nor in the topics any more.',
            firstMissingBatch: 2,
          },
        });
      },
    );

    it('are named though messages of other jobs stand behind those that were handled', async () => {
      const moreIn = (topic: string): Promise<unknown> =>
        producer.send({ topic, messages: [{ value: 'of another job' }] });
      const handledAllButThat = (groupId: string, topic: string): Promise<unknown> =>
        withAdmin(kafka, (admin) =>
          admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '6' }] }),
        );
      await running({ totalBatches: 2 });
      await loaded(0, {});
      watch.start();
      await looked();
      await moreIn(raw());
      await handledAllButThat(CONSUMER_GROUPS.validate, raw());
      await looked();
      await moreIn(clean());
      expect(await row()).toMatchObject({ problem: null });
      await handledAllButThat(CONSUMER_GROUPS.load, clean());
      await eventually(async () => (await row())?.problem !== null, 'the problem to be reported');
      expect(await row()).toMatchObject({ problem: { firstMissingBatch: 1 } });
    });

    it('are noticed also when the messages have expired unread', async () => {
      await running({ totalBatches: 2 });
      await loaded(0, {});
      await expired(raw(), clean());
      watch.start();
      await eventually(async () => (await row())?.problem !== null, 'the problem to be reported');
      expect(await row()).toMatchObject({ problem: { firstMissingBatch: 1 } });
    });

    it('says which stage has messages before it and handles none, as long as that is so (JW3)', async () => {
      await running({ totalBatches: 9 });
      watch.start();
      await waits('validate');
      expect((await row())?.wait).toMatchObject({
        code: 'STAGE_BEHIND',
        message: `consumer group ${CONSUMER_GROUPS.validate} has no members and handles none of 6 messages in ${raw()}`,
      });
      await handled(CONSUMER_GROUPS.validate, raw());
      await waits('load');
      for (let number = 0; number < 9; number++) await loaded(number, {});
      await eventually(async () => (await row())?.wait === null, 'the wait to be over');
    });

    it('checks the others though the topics of one are gone (JW4)', async () => {
      const gone = uuidv7();
      await watch.stop();
      watch = new JobWatch({
        pool,
        kafka,
        datasets: new Map([`gone-${job}`, dataset].map((name) => [name, { warningCodes: () => new Set() }])),
        config: { watchIntervalMs: 100, missingAfterSeconds: 0 },
        logger: pino({ level: 'silent' }),
      });
      await pool.query(
        `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
           contract_version, started_at, total_batches)
         VALUES ($1, $2, 'replace', 'running', '{}', '', false, 0.05, '{}', 1, now() - interval '1 minute', 3)`,
        [gone, `gone-${job}`],
      );
      await running({ totalBatches: 9 });
      watch.start();
      await waits('validate');
      const { rows } = await pool.query(`SELECT wait->>'message' AS message FROM sluice.job WHERE id = $1`, [
        gone,
      ]);
      expect(rows).toEqual([{ message: expect.stringContaining('is not there: run sluice migrate') }]);
    });

    it('are still in Kafka when a committed offset is above the end of a topic that was made again', async () => {
      await running({ totalBatches: 9 });
      await withAdmin(kafka, (admin) =>
        admin.setOffsets({
          groupId: CONSUMER_GROUPS.validate,
          topic: raw(),
          partitions: [{ partition: 0, offset: '50' }],
        }),
      );
      await handled(CONSUMER_GROUPS.load, clean());
      watch.start();
      await waits('validate');
      expect(await row()).toMatchObject({ problem: null });
    });

    it('are not searched while the source is still read', async () => {
      await running({});
      await loaded(3, {});
      await expired(raw(), clean());
      watch.start();
      await looked();
      expect(await row()).toMatchObject({ problem: null });
    });
  });
});
