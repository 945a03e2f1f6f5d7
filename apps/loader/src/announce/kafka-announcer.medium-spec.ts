import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Kafka } from 'kafkajs';
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { Publisher } from '#common/kafka/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/topics-admin.js';
import { createPool } from '#common/postgres/pool.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { type DeadLetter, decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { encodeRawMessage } from '#core/message/raw-message.js';
import { planTopics, topicOf } from '#core/message/topics.js';
import { migrate } from '#core/schema/migrate.js';
import { type TestKafka, startTestKafka } from '../../../../test/support/kafka.js';
import { type TestDatabase, startTestDatabase } from '../../../../test/support/postgres.js';
import { KafkaAnnouncer } from './kafka-announcer.js';

const REFUSAL: LoadRefusal = {
  record: 11,
  sqlstate: '23514',
  findings: [{ code: 'REFUSED_BY_DATABASE', field: null, message: 'no', severity: 'error' }],
};

describe('KafkaAnnouncer on real Kafka and PostgreSQL', () => {
  let server: TestDatabase;
  let pool: pg.Pool;
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let announcer: KafkaAnnouncer;
  let job: string;
  let dataset: string;

  beforeAll(async () => {
    [server, broker] = await Promise.all([startTestDatabase(), startTestKafka()]);
    await migrate(server.url, []);
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 2 });
    kafka = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING });
    publisher = new Publisher(kafka);
    announcer = new KafkaAnnouncer(pool, kafka, publisher);
  });

  afterAll(async () => {
    await publisher.disconnect();
    await pool.end();
    await Promise.all([server.stop(), broker.stop()]);
  });

  /** A job with one batch of two records, 10 and 11, the second refused by the database. */
  beforeEach(async () => {
    job = uuidv7();
    dataset = `things-${job}`;
    await createTopics(kafka, planTopics([dataset], 1), 1);
    await publisher.send([
      encodeRawMessage(
        {
          ...{ dataset, job, epoch: 1, format: 'csv', columns: ['a'], context: {}, contractVersion: 1 },
          options: {},
          attempt: 0,
          batch: {
            ...{
              batch: 3,
              firstRecord: 10,
              firstLine: 12,
              records: 2,
              lines: 2,
              byteStart: 100,
              byteEnd: 108,
            },
            bytes: Buffer.from('one\ntwo\n'),
            oversized: [],
          },
        },
        1,
      ),
    ]);
    await pool.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version)
       VALUES ($1, $2, 'replace', 'running', '{}', '', false, 0.05, '{}', 1)`,
      [job, dataset],
    );
    await pool.query(
      `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted,
         refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset, load_refusals, refusals_announced)
       VALUES ($1, 3, 10, 12, 2, 100, 108, 1, 2, 0, 0, 0, '{}', $2, 0, 0, $3, false)`,
      [job, topicOf(dataset, 'raw'), JSON.stringify([REFUSAL])],
    );
  });

  /** The one letter in the topic. */
  async function letter(): Promise<DeadLetter> {
    const consumer = kafka.consumer({ groupId: `reader-${uuidv7()}`, maxWaitTimeInMs: 50 });
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [topicOf(dataset, 'dead')], fromBeginning: true });
      return await new Promise<DeadLetter>((resolve, reject) => {
        consumer
          .run({
            eachMessage: ({ topic, partition, message: { offset, headers = {}, value } }) => {
              resolve(decodeDeadLetter({ place: { topic, partition, offset }, headers, value }));
              return Promise.resolve();
            },
          })
          .catch(reject);
      });
    } finally {
      await consumer.disconnect();
    }
  }

  const isAnnounced = async (): Promise<boolean | undefined> =>
    (
      await pool.query<{ told: boolean }>(
        'SELECT refusals_announced AS told FROM sluice.ledger WHERE job = $1',
        [job],
      )
    ).rows[0]?.told;

  it('tells of a refusal with the record’s own bytes and place, from the raw topic', async () => {
    await announcer.announceRefusals(job);
    expect(await letter()).toMatchObject({
      ...{ job, record: 11, line: 13, byteStart: 104, byteEnd: 107, stage: 'load', sqlstate: '23514' },
      bytes: Buffer.from('two'),
      findings: REFUSAL.findings,
    });
    expect(await isAnnounced()).toBe(true);
  });

  it('tells of it without bytes when its raw batch has expired, and the job’s end is not held up', async () => {
    await withAdmin(kafka, async (admin) => {
      const topic = topicOf(dataset, 'raw');
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] });
    });
    await announcer.announceRefusals(job);
    expect(await letter()).toMatchObject({
      ...{ job, record: 11, line: 12, byteStart: 100, byteEnd: 108, stage: 'load', sqlstate: '23514' },
      bytes: Buffer.alloc(0),
      findings: [...REFUSAL.findings, { code: 'BYTES_EXPIRED', severity: 'warning' }],
    });
    expect(await isAnnounced()).toBe(true);
  });
});
