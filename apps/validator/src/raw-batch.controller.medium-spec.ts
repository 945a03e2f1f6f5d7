import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Admin, Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Settings } from '#common/config/environment.js';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { IncomingMessage, OutgoingMessage, ReadMessage } from '#common/kafka/message.js';
import { BatchServer } from '#common/kafka/transport/batch-server.js';
import { readMessages } from '#common/kafka/transport/message-reader.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics } from '#common/kafka/transport/topics-admin.js';
import { Column, Table } from '#core/dataset/columns.js';
import { loadRegistry } from '#core/registry/registry.js';
import { type CleanMessage, decodeCleanMessage, planMark } from '#core/message/clean-message.js';
import { type DeadLetter, decodeDeadLetter } from '#core/message/dead-letter-message.js';
import { MessageSeal } from '#core/message/message-seal.js';
import { encodeRawMessage } from '#core/message/raw-message.js';
import { type StatusEvent, decodeStatusEvent } from '#core/message/status-event.js';
import { CONSUMER_GROUPS, STATUS_TOPIC, planTopics, topicOf } from '#core/message/topics.js';
import { compileContract } from '#core/record/compile-contract.js';
import { eventually } from '#test/support/eventually.js';
import { metricValues } from '#test/support/metric-values.js';
import { type TestKafka, startKafkaBroker } from '#test/support/kafka.js';
import { batchOf } from '#test/support/record/cutting.js';
import { cutMessages } from '#test/support/record/messages.js';
import { ContractCache } from './contract-cache.js';
import { ValidatorConfig } from './validator.config.js';
import { ValidatorModule } from './validator.module.js';

const SECRET = 'a secret of this deployment';
const JOB = '01890000-0000-7000-8000-000000000001';
const NO_SUCH_RECORD = { index: 7, offset: 1, keptBytes: 1, bytes: 2, lines: 1 };

describe('the validator on Kafka', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let admin: Admin;
  let publisher: Publisher;
  let raw: string;
  let message: Parameters<typeof encodeRawMessage>[0];
  let good: OutgoingMessage;
  let app: INestApplication;
  const logger = pino({ level: 'silent' });

  beforeAll(async () => {
    broker = await startKafkaBroker();
    kafka = createKafka({ brokers: broker.brokers, clientId: 'validator test', logger });
    admin = kafka.admin();
    await admin.connect();
    const registry = await loadRegistry();
    const [entry] = registry.entries();
    if (!entry) throw new Error('no dataset is registered');
    const { dataset, folder } = entry;
    const [fixture = ''] = readdirSync(join(folder, 'fixtures')).filter((file) => file.startsWith('input.'));
    const head = dataset.prologue(readFileSync(join(folder, 'fixtures', fixture)), true);
    raw = topicOf(dataset.name, 'raw');
    const plans = planTopics(
      registry.all().map(({ name }) => name),
      1,
    );
    await createTopics(kafka, plans, 1);
    publisher = new Publisher(kafka);
    message = {
      dataset: dataset.name,
      job: JOB,
      epoch: 1,
      // A blank record: skipped, by any contract.
      batch: batchOf('\n', dataset.format),
      format: dataset.format,
      columns: head?.columns ?? [],
      context: head?.context ?? {},
      contractVersion: dataset.contractVersion,
      options: {},
      attempt: 0,
    };
    good = encodeRawMessage(message, 1);
    const config = Object.assign(new ValidatorConfig(), {
      kafkaBrokers: broker.brokers.join(','),
      messageKey: SECRET,
    });
    const fatal = (error: Error): never => {
      throw error;
    };
    const module = ValidatorModule.for({
      name: 'validator',
      config,
      settings: new Settings(new Map()),
      logger,
      instance: 'test:1',
      fatal,
    });
    app = await NestFactory.create(module, { logger: false });
    await app.listen(0, '127.0.0.1');
    app.connectMicroservice({ strategy: app.get(BatchServer, { strict: false }) });
    await app.startAllMicroservices();
  });

  afterAll(async () => {
    await app.close();
    await publisher.disconnect();
    await admin.disconnect();
    await broker.stop();
  });

  const values = (name: string): Promise<Record<string, number>> =>
    metricValues(app.get(Registry, { strict: false }), name);
  const committed = async (): Promise<string | undefined> => {
    const [topic] = await admin.fetchOffsets({ groupId: CONSUMER_GROUPS.validate, topics: [raw] });
    return topic?.partitions[0]?.offset;
  };
  /** Where the validator reads next: every test ends with all of its messages committed. */
  const nextOffset = async (): Promise<number> => Math.max(0, Number(await committed()));
  const endOf = async (topic: string): Promise<number> =>
    Number((await admin.fetchTopicOffsets(topic))[0]?.high);
  const statusEvents = async (count: number): Promise<StatusEvent[]> => {
    const found: StatusEvent[] = [];
    const consumer = kafka.consumer({ groupId: `status of a test ${randomUUID()}` });
    await consumer.connect();
    await consumer.subscribe({ topics: [STATUS_TOPIC], fromBeginning: true });
    await consumer.run({
      eachMessage: ({ topic, partition, message }) => {
        const incoming: IncomingMessage = {
          place: { topic, partition, offset: message.offset },
          headers: message.headers ?? {},
          value: message.value,
        };
        found.push(decodeStatusEvent(incoming));
        return Promise.resolve();
      },
    });
    await eventually(() => found.length >= count, `${count} status events`);
    await consumer.disconnect();
    return found;
  };

  it('parks an unreadable message, reports it before its offset is committed, and continues behind it', async () => {
    const { v: _version, ...withoutVersion } = good.headers;
    const poison: [OutgoingMessage, RegExp][] = [
      [{ ...good, headers: withoutVersion }, /header "v" is missing/],
      [{ ...good, headers: { ...good.headers, v: '99' } }, /version 99/],
      [{ ...good, value: good.value.subarray(1) }, /does not fit its crc32c/],
      [
        { ...good, headers: { ...good.headers, records: '2' } },
        /says that it holds 2 records, and 1 were found/,
      ],
      [
        { ...good, headers: { ...good.headers, oversized: JSON.stringify([NO_SUCH_RECORD]) } },
        /says that record 7 of it is unreadable, where there is no such one/,
      ],
    ];
    const clean = raw.replace(/raw$/, 'clean');
    const [begin, cleanBegin] = [await nextOffset(), await endOf(clean)];
    // A parked message is reported in the status topic, which is not there for now.
    await admin.deleteTopics({ topics: [STATUS_TOPIC] });
    await eventually(async () => !(await admin.listTopics()).includes(STATUS_TOPIC), 'the topic to be gone');
    for (const [message] of poison) await publisher.send([message]);
    await publisher.send([good]);
    const health = app.get(BatchServer, { strict: false }).health;
    await eventually(() => health.notReady().some((wait) => wait.includes(raw)), 'the validator to wait');
    expect(await nextOffset()).toBe(begin);

    await createTopics(kafka, planTopics([], 1), 1);
    await eventually(async () => (await nextOffset()) === begin + poison.length + 1, 'the offset to follow');
    const events = await statusEvents(poison.length + 1);
    expect(events.filter((event) => event.type === 'parked')).toEqual(
      expect.arrayContaining(
        poison.map(([, reason], at) => ({
          type: 'parked',
          topic: raw,
          partition: 0,
          offset: String(begin + at),
          reason: expect.stringMatching(reason),
          at: expect.any(String),
        })),
      ),
    );
    expect(events.filter((event) => event.type === 'batch')).toEqual([
      expect.objectContaining({ job: JOB, batch: 0, stage: 'validate', skipped: 1 }),
    ]);
    expect(await endOf(clean)).toBe(cleanBegin + 1);
  });

  it('reports every record of a batch whose records are all refused, however many findings they have', async () => {
    const deadTopic = raw.replace(/raw$/, 'dead');
    const [before, begin] = [await endOf(deadTopic), await nextOffset()];
    // 41 bytes a row, two findings a field: by their values alone these dead letters would be half a megabyte.
    const row = String.raw`\0,x\0,x\0,\0,x\0,x\0,\0,x\0,\0,x\0,\0,x\0,\0,x\0,\0,x\0`.replaceAll(
      String.raw`\0`,
      '\0',
    );
    const batch = batchOf(`${row}\n`.repeat(13_000), 'csv');
    await publisher.send([encodeRawMessage({ ...message, batch }, 1), good]);
    await eventually(async () => (await nextOffset()) === begin + 2, 'the offset to follow');
    expect((await endOf(deadTopic)) - before).toBe(13_000);
    const [counted, bytes] = [
      await values('sluice_validated_batches_total'),
      batch.byteEnd - batch.byteStart,
    ];
    expect(counted[`${message.dataset} validated`]).toBeGreaterThanOrEqual(3);
    const validated = (await values('sluice_validated_bytes_total'))[`${message.dataset} validated`];
    expect(validated).toBeGreaterThanOrEqual(bytes);
    expect((await values('sluice_findings_total'))[`NUL_REMOVED ${message.dataset} value`]).toBeGreaterThan(
      0,
    );
    expect(await values('sluice_in_flight_batches')).toEqual({ '': 0 });
    expect(await values('sluice_in_flight_bytes')).toEqual({ '': 0 });
    expect(await values('sluice_in_flight_limit_bytes')).toEqual({ '': 3 * 1024 * 1024 });
    expect(await values('sluice_waiting_deliveries')).toEqual({ '': 0 });
  });

  it('makes one dead letter of each message that does not hold exactly one record, with what the message said', async () => {
    const deadTopic = raw.replace(/raw$/, 'dead');
    const inbox = raw.replace(/raw$/, 'inbox');
    const before = await endOf(deadTopic);
    const begin = await nextOffset();
    const { columns, format } = message;
    const place = (offset: number): ReadMessage['place'] => ({
      topic: inbox,
      partition: 4,
      offset: String(offset),
    });
    const told = { key: Buffer.from('the key'), headers: { trace: Buffer.from([0xff]) }, timestamp: 0 };
    const messages: ReadMessage[] = [
      { ...told, place: place(5), value: null },
      { ...told, place: place(6), value: Buffer.from('#\n#') },
      {
        ...told,
        place: place(8),
        value: Buffer.alloc(0),
        headers: { 'content-type': Buffer.from('image/png') },
      },
    ];
    const [batch] = cutMessages([messages], {
      ...{ topic: inbox, format, columns, accepts: () => true, limitRecords: null },
      ...{ maxBatchBytes: 1_000_000, maxBatchRecords: 10, maxRecordBytes: 1_000 },
    });
    if (batch === undefined) throw new Error('no batch was cut');
    await publisher.send([
      encodeRawMessage({ ...message, batch: { ...batch, head: { columns, context: message.context } } }, 1),
    ]);
    await eventually(async () => (await nextOffset()) === begin + 1, 'the offset to follow');
    const letters: DeadLetter[] = [];
    await readMessages(
      kafka,
      messages.map((_, at) => ({ topic: deadTopic, partition: 0, offset: String(before + at) })),
      (each) => {
        letters.push(decodeDeadLetter(each));
        return Promise.resolve();
      },
    );
    const facts = {
      topic: inbox,
      partition: 4,
      timestamp: '1970-01-01T00:00:00.000Z',
      key: { text: 'the key' },
    };
    const trace = [{ name: 'trace', value: { base64: '/w==' } }];
    expect(
      letters.map(({ record, line, findings: [finding], message: said }) => [
        record,
        line,
        finding?.code,
        said,
      ]),
    ).toEqual([
      [0, 1, 'TOMBSTONE', { ...facts, offset: '5', headers: trace }],
      [1, 2, 'NOT_ONE_RECORD', { ...facts, offset: '6', headers: trace }],
      [
        2,
        3,
        'WRONG_CONTENT_TYPE',
        { ...facts, offset: '8', headers: [{ name: 'content-type', value: { text: 'image/png' } }] },
      ],
    ]);
    expect(letters.map(({ bytes }) => bytes.toString())).toEqual(['', '#\n#', '']);
    for (const letter of letters) expect(letter.columns).toEqual(columns);
  });

  it('seals what came sealed, and parks what was sealed with another secret (RB3)', async () => {
    const begin = await nextOffset();
    const topic = raw.replace(/raw$/, 'clean');
    const cleanBegin = await endOf(topic);
    const seal = MessageSeal.of(SECRET) as MessageSeal;
    const foreign = MessageSeal.of('a secret of somewhere else') as MessageSeal;
    await publisher.send([foreign.sealed(good), seal.sealed(good), good]);
    await eventually(async () => (await nextOffset()) === begin + 3, 'the offset to follow');
    const seals: boolean[] = [];
    const places = [cleanBegin, cleanBegin + 1].map((offset) => ({
      topic,
      partition: 0,
      offset: String(offset),
    }));
    await readMessages(kafka, places, (clean) => {
      seals.push(seal.check(clean));
      return Promise.resolve();
    });
    expect(seals.sort()).toEqual([false, true]);
  });

  it('hands what it cannot validate to the loader, and continues behind it (RB1)', async () => {
    const begin = await nextOffset();
    const topic = raw.replace(/raw$/, 'clean');
    const cleanBegin = await endOf(topic);
    const faulty: [Record<string, string>, string, RegExp][] = [
      [{ contract: '999' }, 'CONTRACT_MISMATCH', /version 999/],
      [{ columns: '[]' }, 'DATASET_INVALID', /column/],
    ];
    for (const [headers] of faulty)
      await publisher.send([{ ...good, headers: { ...good.headers, ...headers } }]);
    await publisher.send([good]);
    await eventually(async () => (await nextOffset()) === begin + faulty.length + 1, 'the offset to follow');
    const cleans: CleanMessage[] = [];
    const places = [cleanBegin, cleanBegin + 1, cleanBegin + 2]
      .map(String)
      .map((offset) => ({ topic, partition: 0, offset }));
    await readMessages(kafka, places, (message) => {
      cleans.push(decodeCleanMessage(message));
      return Promise.resolve();
    });
    expect(cleans.map(({ fault }) => fault)).toEqual([
      ...faulty.map(([, code, words]) => ({ code, message: expect.stringMatching(words) })),
      null,
    ]);
    expect((await values('sluice_validated_batches_total'))[`fault ${message.dataset}`]).toBe(faulty.length);
    expect(cleans[2]).toMatchObject({ counts: { skipped: 1 }, plan: expect.any(String) });
  });

  it('reports to the loader when code of the dataset throws, by class, property, record and line (RB1)', async () => {
    const throws = (): never => {
      throw new TypeError('SECRET');
    };
    @Table({ name: 'own', key: ['id'] })
    class Own {
      @Column({ source: 'id', kind: { name: 'own', message: 'x', accepts: throws } }) id!: string;
    }
    const inputs = { columns: ['id'], context: {}, options: {} };
    const contract = compileContract({ name: 'own', contract: Own, format: 'csv' }, inputs);
    jest
      .spyOn(app.get(ContractCache, { strict: false }), 'contractFor')
      .mockReturnValueOnce({ contract, plan: planMark(contract.tables) });
    const begin = await nextOffset();
    const topic = raw.replace(/raw$/, 'clean');
    const offset = String(await endOf(topic));
    await publisher.send([encodeRawMessage({ ...message, batch: batchOf('\n7\n', 'csv') }, 1)]);
    await eventually(async () => (await nextOffset()) === begin + 1, 'the offset to follow');
    const faults: unknown[] = [];
    await readMessages(kafka, [{ topic, partition: 0, offset }], (clean) => {
      faults.push(decodeCleanMessage(clean).fault);
      return Promise.resolve();
    });
    const words = /^Dataset own, class Own, property id, .* it threw TypeError at \S+ on record 1, line 2\.$/;
    expect(faults).toEqual([{ code: 'DATASET_CODE_FAILED', message: expect.stringMatching(words) }]);
  });
});
