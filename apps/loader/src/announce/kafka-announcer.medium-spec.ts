import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { crc32c } from '@node-rs/crc32';
import kafkajs, { type Kafka } from 'kafkajs';
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { DatasetRegistry } from '#core/registry/registry.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { createPool } from '#common/postgres/pool.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { markAnnounced, recordRefusals, unannouncedBatches } from '#core/ledger/ledger.repository.js';
import { type DeadLetter, decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { encodeRawMessage } from '#core/message/raw-message.js';
import { planTopics, topicOf } from '#core/message/topics.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { type TestDatabase, startMigratedDatabase } from '#test/support/postgres.js';
import { KafkaAnnouncer } from './kafka-announcer.js';

/** Without it a dead letter that never comes would hang the spec instead of failing it. */
const PATIENCE_MS = 60_000;

const REFUSAL: LoadRefusal = {
  record: 11,
  sqlstate: '23514',
  findings: [{ code: 'REFUSED_BY_DATABASE', field: null, message: 'no', severity: 'error' }],
};

/** What is reachable: garbage is collected first. */
function heapBytes(): number {
  setFlagsFromString('--expose_gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

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
    [server, broker] = await Promise.all([startMigratedDatabase(), startTestKafka()]);
    pool = createPool({ url: server.url, applicationName: 'test', maxConnections: 2 });
    kafka = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING });
    publisher = new Publisher(kafka);
    announcer = new KafkaAnnouncer(pool, kafka, publisher, new DatasetRegistry([]));
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
    await pool.query(
      `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options, contract_version)
       VALUES ($1, $2, 'replace', 'running', '{}', '', false, 0.05, '{}', 1)`,
      [job, dataset],
    );
    await addBatch(3, 10, 0);
  });

  /** Two records from `firstRecord` on, in the raw topic at `offset` and in the ledger; the second is refused. */
  async function addBatch(batch: number, firstRecord: number, offset: number): Promise<void> {
    await publishBatch(job, batch, firstRecord);
    await pool.query(
      `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted,
         refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset, load_refusals, refusals_announced)
       VALUES ($1, $4, $5, 12, 2, 100, 108, $7, 2, 0, 0, 0, '{}', $2, 0, $6, $3, false)`,
      [
        job,
        topicOf(dataset, 'raw'),
        JSON.stringify([{ ...REFUSAL, record: firstRecord + 1 }]),
        ...[batch, firstRecord, offset, crc32c('one\ntwo\n')],
      ],
    );
  }

  async function publishBatch(ofJob: string, batch: number, firstRecord: number): Promise<void> {
    await publisher.send([
      encodeRawMessage(
        {
          ...{
            dataset,
            job: ofJob,
            epoch: 1,
            format: 'csv',
            columns: ['a'],
            context: {},
            contractVersion: 1,
          },
          options: {},
          attempt: 0,
          batch: {
            ...{ batch, firstRecord, firstLine: 12, records: 2, lines: 2, byteStart: 100, byteEnd: 108 },
            bytes: Buffer.from('one\ntwo\n'),
            unreadable: [],
          },
        },
        1,
      ),
    ]);
  }

  async function deadLetter(): Promise<DeadLetter> {
    return (await deadLetters(1))[0] as DeadLetter;
  }

  /** The first `count` dead letters in the topic. */
  async function deadLetters(count: number): Promise<DeadLetter[]> {
    const consumer = kafka.consumer({ groupId: `reader-${uuidv7()}`, maxWaitTimeInMs: 50 });
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [topicOf(dataset, 'dead')], fromBeginning: true });
      return await new Promise<DeadLetter[]>((resolve, reject) => {
        const found: DeadLetter[] = [];
        const late = setTimeout(() => {
          reject(new Error(`Only ${found.length} of ${count} dead letters came.`));
        }, PATIENCE_MS);
        consumer
          .run({
            eachMessage: ({ topic, partition, message: { offset, headers = {}, value } }) => {
              found.push(decodeDeadLetter({ place: { topic, partition, offset }, headers, value }));
              if (found.length === count) {
                clearTimeout(late);
                resolve(found);
              }
              return Promise.resolve();
            },
          })
          .catch(reject);
      });
    } finally {
      await consumer.disconnect();
    }
  }

  const unannounced = async (): Promise<number | undefined> =>
    (
      await pool.query<{ count: number }>(
        'SELECT count(*)::integer AS count FROM sluice.ledger WHERE job = $1 AND NOT refusals_announced',
        [job],
      )
    ).rows[0]?.count;

  const isAnnounced = async (): Promise<boolean | undefined> =>
    (
      await pool.query<{ announced: boolean }>(
        'SELECT refusals_announced AS announced FROM sluice.ledger WHERE job = $1',
        [job],
      )
    ).rows[0]?.announced;

  it('announces a refusal with the record’s own bytes and place, from the raw topic', async () => {
    await announcer.announceRefusals(job);
    expect(await deadLetter()).toMatchObject({
      ...{ job, record: 11, line: 13, byteStart: 104, byteEnd: 107, stage: 'load', sqlstate: '23514' },
      bytes: Buffer.from('two'),
      findings: REFUSAL.findings,
    });
    expect(await isAnnounced()).toBe(true);
  });

  it('announces it without bytes when its raw batch has expired, and the job’s end is not held up', async () => {
    await withAdmin(kafka, async (admin) => {
      const topic = topicOf(dataset, 'raw');
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] });
    });
    await announcer.announceRefusals(job);
    expect(await deadLetter()).toMatchObject({
      ...{ job, record: 11, line: 12, byteStart: 100, byteEnd: 108, stage: 'load', sqlstate: '23514' },
      bytes: Buffer.alloc(0),
      findings: [...REFUSAL.findings, { code: 'BYTES_EXPIRED', severity: 'warning' }],
    });
    expect(await isAnnounced()).toBe(true);
  });

  const WITHOUT_BYTES = {
    record: 11,
    line: 12,
    byteStart: 100,
    byteEnd: 108,
    sqlstate: '23514',
    columns: null,
  };

  it.each<[string, string, (topic: string) => Promise<unknown>]>([
    [
      'is beyond the end of its topic',
      'its partition ends before it, at 1',
      () => pool.query('UPDATE sluice.ledger SET raw_offset = 999999 WHERE job = $1', [job]),
    ],
    [
      'was in a partition that is not there any more',
      'its topic or partition is not there any more',
      () => pool.query('UPDATE sluice.ledger SET raw_partition = 7 WHERE job = $1', [job]),
    ],
    [
      'was in a topic that is not there any more',
      'its topic or partition is not there any more',
      () => pool.query(`UPDATE sluice.ledger SET raw_topic = 'sluice.gone.raw' WHERE job = $1`, [job]),
    ],
    [
      'gave its place to the same batch of another job',
      'another message has its place',
      async () => {
        await publishBatch(uuidv7(), 3, 10);
        await pool.query('UPDATE sluice.ledger SET raw_offset = 1 WHERE job = $1', [job]);
      },
    ],
    [
      'gave its place to another batch',
      'another message has its place',
      () => pool.query('UPDATE sluice.ledger SET batch = 4 WHERE job = $1', [job]),
    ],
    [
      'gave its place to one with other bytes',
      'another message has its place',
      () => pool.query('UPDATE sluice.ledger SET crc32c = 5 WHERE job = $1', [job]),
    ],
    [
      'cannot be read',
      'it cannot be read',
      async (topic) => {
        await publisher.send([{ topic, partition: 0, key: 'x', value: Buffer.from('junk'), headers: {} }]);
        await pool.query('UPDATE sluice.ledger SET raw_offset = 1 WHERE job = $1', [job]);
      },
    ],
  ])('announces it without bytes when its raw batch %s (KA1)', async (_, why, spoil) => {
    await spoil(topicOf(dataset, 'raw'));
    expect(await announcer.announceRefusals(job)).toBe(false);
    const announced = await deadLetter();
    expect(announced).toMatchObject({ ...WITHOUT_BYTES, bytes: Buffer.alloc(0) });
    expect(announced.findings.at(-1)).toMatchObject({
      code: 'BYTES_EXPIRED',
      message: expect.stringContaining(why),
    });
    expect(await isAnnounced()).toBe(true);
  });

  it('announces the others with their bytes when one has gone (KA1)', async () => {
    await addBatch(4, 12, 1);
    await pool.query('UPDATE sluice.ledger SET raw_offset = 999999 WHERE job = $1 AND batch = 3', [job]);
    await announcer.announceRefusals(job);
    const announced = await deadLetters(2);
    expect(announced.map(({ record, bytes }) => [record, bytes.toString()]).sort()).toEqual([
      [11, ''],
      [13, 'two'],
    ]);
  });

  it('announces both batches that had one place, before and after their topic was made again', async () => {
    await addBatch(4, 12, 1);
    await pool.query('UPDATE sluice.ledger SET raw_offset = 0 WHERE job = $1 AND batch = 4', [job]);
    expect(await announcer.announceRefusals(job)).toBe(false);
    const announced = await deadLetters(2);
    expect(announced.map(({ record, bytes }) => [record, bytes.toString()]).sort()).toEqual([
      [11, 'two'],
      [13, ''],
    ]);
    expect(await unannounced()).toBe(0);
  });

  it('leaves out no refusal, though its record is not in the raw batch', async () => {
    await recordRefusals(pool, job, 3, [{ ...REFUSAL, record: 77 }]);
    await announcer.announceRefusals(job);
    expect((await deadLetters(2)).map(({ record, bytes }) => [record, bytes.toString()])).toEqual([
      [11, 'two'],
      [77, ''],
    ]);
  });

  it('holds no more of batches of 20,000 refusals than goes out at once (KA2, G9)', async () => {
    const BATCHES = 3;
    const records = 20_000;
    const bytes = Buffer.from('record\n'.repeat(records));
    await pool.query('DELETE FROM sluice.ledger WHERE job = $1', [job]);
    for (let batch = 0; batch < BATCHES; batch++) {
      await publisher.send([
        encodeRawMessage(
          {
            ...{ dataset, job, epoch: 1, format: 'csv', columns: ['a'], context: {}, contractVersion: 1 },
            options: {},
            attempt: 0,
            batch: {
              ...{ batch, firstRecord: batch * records, firstLine: 2, records, lines: records },
              ...{ byteStart: 0, byteEnd: bytes.length, bytes, unreadable: [] },
            },
          },
          1,
        ),
      ]);
    }
    await pool.query(
      `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted,
         refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset, load_refusals, refusals_announced)
       SELECT $1, batch, batch * $3, 2, $3, 0, 1, $4, $3, 0, 0, 0, '{}', $2, 0, batch + 1,
         (SELECT jsonb_agg($5::jsonb || jsonb_build_object('record', batch * $3 + at)) FROM generate_series(0, $3 - 1) AS at), false
       FROM generate_series(0, 2) AS batch`,
      [job, topicOf(dataset, 'raw'), records, crc32c(bytes), JSON.stringify(REFUSAL)],
    );
    let sent = 0;
    let most = 0;
    const before = heapBytes();
    const watching = Object.assign(Object.create(publisher) as Publisher, {
      send: async (messages: Parameters<Publisher['send']>[0]) => {
        const all = [...messages];
        sent += all.length;
        if (sent % (records / 2) === 0) most = Math.max(most, heapBytes() - before);
        await publisher.send(all);
      },
    });
    expect(
      await new KafkaAnnouncer(pool, kafka, watching, new DatasetRegistry([])).announceRefusals(job),
    ).toBe(false);
    expect(sent).toBe(BATCHES * records);
    // All at once would be more than twice as much.
    expect(most).toBeLessThan(24 * 1024 * 1024);
    expect(await isAnnounced()).toBe(true);
  });

  it('announces many batches, more than go out together, each once', async () => {
    const more = Array.from({ length: 20 }, (_, at) => at + 1);
    for (const at of more) await addBatch(3 + at, 10 + 2 * at, at);
    await announcer.announceRefusals(job);
    const announced = await deadLetters(more.length + 1);
    expect(announced.map(({ record }) => record).sort((a, b) => a - b)).toEqual([
      11,
      ...more.map((at) => 11 + 2 * at),
    ]);
    expect(announced.every(({ bytes }) => bytes.toString() === 'two')).toBe(true);
    const { rows } = await pool.query(`SELECT FROM sluice.ledger WHERE job = $1 AND NOT refusals_announced`, [
      job,
    ]);
    expect(rows).toEqual([]);
  });

  it('leaves a batch unannounced to which refusals were added since it was read', async () => {
    await addBatch(4, 12, 1);
    const read = await unannouncedBatches(pool, job, 10);
    await recordRefusals(pool, job, 3, [{ ...REFUSAL, record: 10 }]);
    await markAnnounced(pool, job, read);
    const { rows } = await pool.query(
      `SELECT batch::int, refusals_announced AS announced FROM sluice.ledger WHERE job = $1 ORDER BY batch`,
      [job],
    );
    expect(rows).toEqual([
      { batch: 3, announced: false },
      { batch: 4, announced: true },
    ]);
  });
});
