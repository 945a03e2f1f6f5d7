import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { Settings } from '#common/config/environment.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import { BatchServer } from '#common/kafka/transport/batch-server.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics } from '#common/kafka/transport/topics-admin.js';
import { createPool } from '#common/postgres/pool.js';
import { loadRegistry } from '#core/registry/registry.js';
import { encodeDeadLetter } from '#core/message/dead-letter-message.js';
import { type BatchEvent, encodeStatusEvent } from '#core/message/status-event.js';
import { STATUS_TOPIC, planTopics, topicOf } from '#core/message/topics.js';
import { migrate } from '#core/schema/migrate.js';
import { eventually } from '#test/support/eventually.js';
import { type TestKafka, startKafkaBroker } from '#test/support/kafka.js';
import { type TestDatabase, startTestDatabase } from '#test/support/postgres.js';
import { rebuild } from './rebuild.js';
import { unregisteredGroups } from './testing/folds.js';
import { DeadLetterRow } from './rows/dead-letter.entity.js';
import { JobBatch } from './rows/job-batch.entity.js';
import { JobStage } from './rows/job-stage.entity.js';
import { ParkedMessageRow } from './rows/parked-message.entity.js';
import { TrackerConfig } from './tracker.config.js';
import { TrackerModule, trackerTopics } from './tracker.module.js';

const JOB = '01890000-0000-7000-8000-000000000001';
const LEDGER_JOB = '01890000-0000-7000-8000-000000000002';
const LEDGER_BATCHES = 4;
const BATCHES = 40;
const LETTERS = 120;

describe('the tracker on Kafka and PostgreSQL', () => {
  let broker: TestKafka;
  let server: TestDatabase;
  let publisher: Publisher;
  let dataset: string;
  let topics: string[];
  const running: INestApplication[] = [];
  const logger = pino({ level: 'silent' });

  const start = async (): Promise<INestApplication> => {
    const config = Object.assign(new TrackerConfig(), {
      kafkaBrokers: broker.brokers.join(','),
      databaseUrl: server.url,
    });
    const fatal = (error: Error): never => {
      throw error;
    };
    const module = await TrackerModule.for({
      name: 'tracker',
      config,
      settings: new Settings(new Map()),
      logger,
      instance: 'test:1',
      fatal,
    });
    const app = await NestFactory.create(module, { logger: false });
    running.push(app);
    await app.listen(0, '127.0.0.1');
    app.connectMicroservice({ strategy: app.get(BatchServer, { strict: false }) });
    await app.startAllMicroservices();
    return app;
  };
  const stop = async (app: INestApplication): Promise<void> => {
    running.splice(running.indexOf(app), 1);
    await app.close();
  };
  const folded = async (app: INestApplication): Promise<unknown[]> => {
    const database = app.get(DataSource);
    return [
      await database.getRepository(JobStage).find({ where: { job: JOB }, order: { stage: 'ASC' } }),
      await database
        .getRepository(JobBatch)
        .find({ where: { job: JOB }, order: { batch: 'ASC', stage: 'ASC' } }),
      await database.getRepository(DeadLetterRow).find({ where: { job: JOB }, order: { record: 'ASC' } }),
    ];
  };
  const untilFolded = async (app: INestApplication): Promise<void> => {
    const stages = app.get(DataSource).getRepository(JobStage);
    const whole = { job: JOB, stage: 'validate' as const, batches: BATCHES, deadLetters: LETTERS };
    await eventually(() => stages.existsBy(whole), 'the folds to be whole');
  };

  beforeAll(async () => {
    [broker, server] = await Promise.all([startKafkaBroker(), startTestDatabase()]);
    await migrate(server.url, []);
    const datasets = (await loadRegistry()).all().map(({ name }) => name);
    dataset = datasets[0] ?? '';
    const { status, dead } = trackerTopics(datasets);
    topics = [...status, ...dead];
    const kafka = createKafka({ brokers: broker.brokers, clientId: 'tracker test', logger });
    await createTopics(kafka, planTopics(datasets, 3), 1);
    publisher = new Publisher(kafka);
  });
  afterAll(async () => {
    await Promise.all(running.map((app) => app.close()));
    await publisher.disconnect();
    await Promise.all([broker.stop(), server.stop()]);
  });

  it('folds what is published, twice and with poison in between, and makes it again from the topics', async () => {
    const messages = [...events(dataset), ...letters(dataset)];
    const poison = messages
      .filter((_, index) => index % 30 === 0)
      .map((message) => ({ ...message, headers: {} }));
    await publisher.send([...poison, ...messages, ...poison]);
    const first = await start();
    await untilFolded(first);
    const before = await folded(first);
    // The last poison may come after the last dead letter; the producer may have sent some of it again.
    const parked = first.get(DataSource).getRepository(ParkedMessageRow);
    await eventually(async () => (await parked.count()) >= poison.length * 2, 'all poison to be parked');
    expect(new Set((await parked.find()).map(({ topic, reason }) => `${topic}: ${reason}`))).toEqual(
      new Set([STATUS_TOPIC, topicOf(dataset, 'dead')].map((topic) => `${topic}: header "v" is missing.`)),
    );

    await publisher.send(messages);
    const kafka = createKafka({ brokers: broker.brokers, clientId: 'rebuild test', logger });
    const pool = createPool({ url: server.url, applicationName: 'rebuild test', maxConnections: 1 });
    const refused = rebuild(kafka, pool, topics, unregisteredGroups());
    await expect(refused).rejects.toMatchObject({ code: 'TRACKER_RUNNING' }); // TB1
    expect(await folded(first)).toEqual(before);
    await stop(first);

    await rebuild(kafka, pool, topics, unregisteredGroups());
    expect((await pool.query('SELECT FROM sluice.job_stage')).rowCount).toBe(0);
    await pool.end();

    const second = await start();
    await untilFolded(second);
    expect(await folded(second)).toEqual(before);
    const metrics = await (await fetch(`${await second.getUrl()}/metrics`)).text();
    expect(metrics).toContain(
      `sluice_records_total{dataset="${dataset}",stage="validate",service="tracker"} ${BATCHES * 10}`,
    );
    await stop(second);
  });

  it('resumes by itself when the status topic is lost and created again; a rebuild takes what was lost from the ledger', async () => {
    await insertLedger(server.url, dataset);
    const first = await start();
    const ofBatches = (...batches: number[]): OutgoingMessage[] =>
      events(dataset, LEDGER_JOB).filter((_, batch) => batches.includes(batch));
    const untilKnown = (app: INestApplication, batches: number): Promise<unknown> => {
      const stages = app.get(DataSource).getRepository(JobStage);
      const known = { job: LEDGER_JOB, stage: 'validate' as const, batches };
      return eventually(() => stages.existsBy(known), `${batches} batches to be known`);
    };
    await publisher.send(ofBatches(0, 1));
    await untilKnown(first, 2);

    // No tracker ever sees the event of batch 2: it is lost with the topic.
    const kafka = createKafka({ brokers: broker.brokers, clientId: 'loss test', logger });
    const admin = kafka.admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [STATUS_TOPIC] });
    await admin.disconnect();
    await eventually(
      () => createTopics(kafka, planTopics([dataset], 3), 1).then(({ length }) => length > 0),
      'the topic to be made anew',
    );
    await eventually(
      () =>
        publisher.send(ofBatches(3)).then(
          () => true,
          () => false,
        ),
      'the new topic to take events',
    );
    await untilKnown(first, 3);
    await stop(first);

    const pool = createPool({ url: server.url, applicationName: 'rebuild test', maxConnections: 1 });
    await rebuild(kafka, pool, topics, unregisteredGroups());
    await pool.end();
    const second = await start();
    await untilKnown(second, LEDGER_BATCHES);
    const sums = await second.get(DataSource).getRepository(JobStage).findBy({ job: LEDGER_JOB });
    expect(sums).toHaveLength(3);
    const everything = { batches: LEDGER_BATCHES, records: LEDGER_BATCHES * 10, bytes: LEDGER_BATCHES * 100 };
    expect(sums).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          ...everything,
          stage: 'ingest',
          accepted: LEDGER_BATCHES * 10,
          findings: {},
        }),
        expect.objectContaining({
          ...everything,
          stage: 'validate',
          accepted: LEDGER_BATCHES * 7,
          refused: LEDGER_BATCHES * 3,
          warnings: LEDGER_BATCHES,
          findings: { BAD: LEDGER_BATCHES * 3, ODD: LEDGER_BATCHES },
        }),
        expect.objectContaining({ ...everything, stage: 'load', accepted: LEDGER_BATCHES * 7, refused: 0 }),
      ]),
    );
    await stop(second);
  });
});

/** A job whose batches the ledger holds, with the counts that `events` announces. */
async function insertLedger(databaseUrl: string, dataset: string): Promise<void> {
  const pool = createPool({ url: databaseUrl, applicationName: 'ledger of a test', maxConnections: 1 });
  await pool.query(
    `INSERT INTO sluice.job (id, dataset, mode, state, source, secret_uri, dry_run, max_refused_share, options,
                             contract_version)
     VALUES ($1, $2, 'replace', 'running', '{"kind":"file","display":"x","own":{"trustedCaller":true}}', 'x', false, 1, '{}', 1)`,
    [LEDGER_JOB, dataset],
  );
  await pool.query(
    `INSERT INTO sluice.ledger (job, batch, first_record, first_line, records, byte_start, byte_end, crc32c, accepted,
                                refused, skipped, warnings, findings, raw_topic, raw_partition, raw_offset)
     SELECT $1, batch, batch * 10, 1, 10, batch * 100, batch * 100 + 100, 0, 7, 3, 0, 1, '{"BAD":3,"ODD":1}', 'x', 0, 0
       FROM generate_series(0, $2 - 1) AS batch`,
    [LEDGER_JOB, LEDGER_BATCHES],
  );
  await pool.end();
}

function events(dataset: string, job = JOB): OutgoingMessage[] {
  return Array.from({ length: BATCHES }, (_, batch): BatchEvent => {
    return {
      type: 'batch',
      dataset,
      job,
      batch,
      stage: 'validate',
      records: 10,
      bytes: 100,
      accepted: 7,
      refused: 3,
      skipped: 0,
      warnings: 1,
      findings: { BAD: 3, ODD: 1 },
      at: new Date(Date.UTC(2026, 0, 1, 0, 0, batch)).toISOString(),
    };
  }).map(encodeStatusEvent);
}

function letters(dataset: string): OutgoingMessage[] {
  return Array.from({ length: LETTERS }, (_, record) =>
    encodeDeadLetter({
      dataset,
      job: JOB,
      batch: Math.floor(record / 3),
      record,
      line: record + 2,
      byteStart: record * 10,
      byteEnd: record * 10 + 10,
      stage: 'validate',
      findings: [{ code: 'BAD', field: 'name', message: `is wrong in ${record}\0`, severity: 'error' }],
      sqlstate: null,
      attempt: 0,
      columns: ['no', 'name'],
      bytes: Buffer.from([record, 0, 255]),
    }),
  );
}
