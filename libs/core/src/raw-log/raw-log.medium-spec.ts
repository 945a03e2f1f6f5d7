import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Kafka } from 'kafkajs';
import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createTopics } from '#common/kafka/transport/topics-admin.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import { MessageSeal } from '../message/message-seal.js';
import { encodeRawMessage } from '../message/raw-message.js';
import { batchesAt, findBatches } from './job-batches.js';
import { openRaw } from './raw-log-message.js';
import { RawLogReader } from './raw-log-reader.js';

/** RQ1 to RQ4 are the invariants of raw-log-reader.ts. */
describe('the raw log on a real broker', () => {
  const seal = MessageSeal.of('a secret of this deployment');
  const never = new AbortController().signal;
  const PARTITIONS = 2;
  let broker: TestKafka;
  let kafka: Kafka;
  let publisher: Publisher;
  let dataset: string;
  let reader: RawLogReader;

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = createKafka({
      brokers: broker.brokers,
      clientId: 'raw-log-spec',
      logger: pino({ level: 'silent' }),
    });
    publisher = new Publisher(kafka);
  });

  beforeEach(async () => {
    dataset = `log-${randomUUID()}`;
    await createTopics(kafka, [{ topic: `sluice.${dataset}.raw`, partitions: PARTITIONS, config: {} }], 1);
    reader = await RawLogReader.open(kafka, dataset, PARTITIONS);
  });

  afterEach(() => reader.close());

  afterAll(async () => {
    await publisher.disconnect();
    await broker.stop();
  });

  interface Draft {
    readonly job: string;
    readonly batch: number;
    readonly epoch?: number;
    readonly text?: string;
    readonly isSealed?: boolean;
    /** Another one than its own. */
    readonly partition?: number;
  }

  /** One after the other, so that they stand in this order. */
  async function send(...drafts: readonly Draft[]): Promise<void> {
    for (const { job, batch, epoch = 1, text = `${job} ${batch}\n`, isSealed = true, partition } of drafts) {
      const bytes = Buffer.from(text);
      const message = encodeRawMessage(
        {
          ...{ dataset, job, epoch, format: 'csv', columns: ['a'], context: {}, contractVersion: 1 },
          ...{ options: {}, attempt: 0 },
          batch: {
            ...{ batch, firstRecord: batch, firstLine: batch + 1, records: 1, lines: 1 },
            ...{ byteStart: batch * 10, byteEnd: batch * 10 + bytes.length, bytes, unreadable: [] },
          },
        },
        PARTITIONS,
      );
      const placed = partition === undefined ? message : { ...message, partition };
      await publisher.send([isSealed && seal !== null ? seal.sealed(placed) : placed]);
    }
  }

  async function whole(): Promise<{ partition: number; from: number; to: number }[]> {
    return [...(await reader.ends())].map(([partition, { low, high }]) => ({
      ...{ partition, from: Number(low), to: Number(high) },
    }));
  }

  const batchesOf = async (job: string, firstEpoch = 1, isSealed = true): Promise<string[]> => {
    const wanted = { job, firstEpoch, isSealed };
    const places = await findBatches(reader, await whole(), wanted, seal, never);
    const texts: string[] = [];
    for await (const { place, raw } of batchesAt(reader, places, wanted, seal, never))
      texts.push(`${place.batch}: ${raw.batch.bytes.toString().trim()}`);
    return texts;
  };

  it('gives each batch of a job once and in order, wherever and however often it stands there (RQ2)', async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const order = [0, 3, 1, 2, 1, 0, 5, 4, 3, 6];
    await send(
      ...order.flatMap((batch) => [
        { job: one, batch },
        { job: other, batch: 9 - batch },
      ]),
    );
    await send({ job: one, batch: 7, partition: 0 });
    expect(await batchesOf(one)).toEqual(Array.from({ length: 8 }, (_, at) => `${at}: ${one} ${at}`));
    expect(await batchesOf(randomUUID())).toEqual([]);
  });

  it('skips what is not the job’s: earlier runs, messages without a seal, with a wrong one, or of no batch (RQ3)', async () => {
    const job = randomUUID();
    await send(
      { job, batch: 0, epoch: 1, text: 'given up\n' },
      { job, batch: 0, epoch: 2, text: 'forged\n', isSealed: false },
    );
    const topic = `sluice.${dataset}.raw`;
    await publisher.send([
      { topic, partition: 0, key: null, headers: {}, value: null },
      { topic, partition: 0, key: null, headers: { job, batch: '0', epoch: '2', records: '1' }, value: null },
      {
        ...{ topic, partition: 0, key: null, value: Buffer.from('x\n') },
        headers: { job, batch: 'x', epoch: '2', records: '1', seal: 'ab' },
      },
    ]);
    await send({ job, batch: 0, epoch: 2, text: 'right\n' });
    expect(await batchesOf(job, 2)).toEqual(['0: right']);
    expect(await batchesOf(job, 2, false)).toEqual(['0: forged']);
    expect(await batchesOf(job, 1)).toEqual(['0: given up']);
    const messages = [];
    for await (const portion of reader.scan(await whole(), never)) messages.push(...portion);
    expect(messages).toHaveLength(6);
    const opened = messages.map((message) => {
      try {
        return openRaw(message, seal).isSealed;
      } catch (error) {
        return error;
      }
    });
    const invalid = expect.objectContaining({ code: 'MESSAGE_INVALID' });
    expect(opened).toEqual([true, false, invalid, invalid, invalid, true]);
  });

  it('scans ranges, each message once, and finds by time where they begin', async () => {
    const job = randomUUID();
    await send(...Array.from({ length: 6 }, (_, batch) => ({ job, batch })));
    const ranges = [
      { partition: 0, from: 1, to: 2 },
      { partition: 1, from: 0, to: 0 },
      { partition: 1, from: 1, to: 3 },
    ];
    const places: string[] = [];
    const times: number[] = [];
    for await (const messages of reader.scan(ranges, never))
      for (const { place, timestamp } of messages) {
        places.push(`${place.partition}/${place.offset}`);
        times.push(timestamp);
      }
    expect(places).toEqual(['0/1', '1/1', '1/2']);
    const [first = 0] = times;
    expect(await reader.offsetsAt(new Date(0))).toEqual(
      new Map([
        [0, 0n],
        [1, 0n],
      ]),
    );
    expect((await reader.offsetsAt(new Date(first))).get(0)).toBeLessThanOrEqual(1n);
    expect(await reader.offsetsAt(new Date(8.64e15))).toEqual(
      new Map([
        [0, 3n],
        [1, 3n],
      ]),
    );
  });

  it('reads single places in any order', async () => {
    const job = randomUUID();
    await send(...Array.from({ length: 8 }, (_, batch) => ({ job, batch })));
    const read = async (partition: number, offset: string): Promise<string | undefined> =>
      (await reader.at({ partition, offset }, never))?.value?.toString().trim();
    for (const [partition, offset, batch] of [
      [0, '2', 4],
      [1, '0', 1],
      [0, '3', 6],
      [0, '0', 0],
      [1, '3', 7],
      [1, '1', 3],
    ] as const)
      expect(await read(partition, offset)).toBe(`${job} ${batch}`);
  });

  it('says what is gone', async () => {
    const job = randomUUID();
    await send({ job, batch: 0 }, { job, batch: 1 });
    const admin = kafka.admin();
    await admin.connect();
    await admin.fetchTopicOffsets(`sluice.${dataset}.raw`); // so that its leaders are known
    await admin.deleteTopicRecords({
      topic: `sluice.${dataset}.raw`,
      partitions: [{ partition: 0, offset: '1' }],
    });
    await admin.disconnect();
    expect((await reader.ends()).get(0)).toEqual({ low: 1n, high: 1n });
    const gone = expect.objectContaining({ code: 'MESSAGE_EXPIRED' });
    const scan = async (): Promise<void> => {
      for await (const _ of reader.scan([{ partition: 0, from: 0, to: 1 }], never));
    };
    await expect(scan()).rejects.toEqual(gone);
    await expect(reader.at({ partition: 0, offset: '0' }, never)).rejects.toEqual(gone);
    expect(await batchesOf(job)).toEqual([`1: ${job} 1`]);
    const elsewhere = { batch: 5, records: 1, partition: 1, offset: '0' };
    const reading = batchesAt(reader, [elsewhere], { job }, seal, never);
    await expect(reading.next()).rejects.toEqual(gone);
  });

  it('ends with the signal', async () => {
    const stop = new AbortController();
    const reading = reader.scan([{ partition: 0, from: 0, to: 5 }], stop.signal).next();
    const reason = new Error('cancelled');
    stop.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });
});
