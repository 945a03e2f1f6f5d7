import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { eventually } from '#test/support/eventually.js';
import { type TestKafka, startTestKafka } from '#test/support/kafka.js';
import {
  correctTopics,
  countPartitions,
  createTopics,
  findUnfitTopics,
  topicSettings,
  withAdmin,
} from './topics-admin.js';

describe('topics of a real broker', () => {
  let broker: TestKafka;
  let kafka: Kafka;
  let topic: string;

  beforeAll(async () => {
    broker = await startTestKafka();
    kafka = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING });
  });

  beforeEach(() => {
    topic = `topics-${randomUUID()}`;
  });

  afterAll(async () => {
    await broker.stop();
  });

  const settingsOf = async (...names: string[]): Promise<unknown> =>
    Object.fromEntries((await topicSettings(kafka, [topic], names)).get(topic) ?? []);

  it('are created once, and again while they are being deleted', async () => {
    const plan = Array.from({ length: 20 }, (_, at) => ({
      topic: `${topic}-${at}`,
      partitions: 3,
      config: {},
    }));
    const names = plan.map(({ topic: name }) => name);
    expect(await createTopics(kafka, plan, 1)).toEqual(names);
    expect(await createTopics(kafka, plan, 1)).toEqual([]);
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: names }));
    await createTopics(kafka, plan, 1);
    expect(await countPartitions(kafka, names)).toEqual(new Map(names.map((name) => [name, 3])));
  });

  it('are created again while the broker that is asked still lists those that were deleted', async () => {
    const plan = [0, 1].map((at) => ({ topic: `${topic}-${at}`, partitions: 2, config: {} }));
    const names = plan.map(({ topic: name }) => name);
    await createTopics(kafka, plan, 1);
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: names.slice(1) }));
    let lists = 0;
    const late = Object.assign(Object.create(kafka) as Kafka, {
      admin: () => {
        const admin = kafka.admin();
        return Object.assign(Object.create(admin) as Admin, {
          listTopics: async () => ((lists += 1) <= 3 ? names : admin.listTopics()),
        });
      },
    });
    expect(await createTopics(late, plan, 1)).toEqual(names.slice(1));
    expect(lists).toBeGreaterThan(3);
    expect(await countPartitions(kafka, names)).toEqual(new Map(names.map((name) => [name, 2])));
  });

  it('are corrected in what must be so, and keep whatever else was set', async () => {
    const config = { 'compression.type': 'zstd', 'max.message.bytes': '5000', 'retention.ms': '123456' };
    await createTopics(kafka, [{ topic, partitions: 1, config }], 1);
    expect(await findUnfitTopics(kafka, [topic], 9_000)).toEqual([
      `max.message.bytes of ${topic} must be 9000 at least`,
      `compression.type of ${topic} must be uncompressed, and is zstd; \`sluice migrate\` sets it`,
    ]);
    const wanted = { topic, config: { 'compression.type': 'uncompressed', 'max.message.bytes': '9000' } };
    expect(await correctTopics(kafka, [wanted])).toEqual([
      `${topic}: compression.type=uncompressed`,
      `${topic}: max.message.bytes=9000`,
    ]);
    await eventually(
      async () => (await findUnfitTopics(kafka, [topic], 9_000)).length === 0,
      'the settings to be in force',
    );
    expect(await settingsOf('compression.type', 'max.message.bytes', 'retention.ms')).toEqual({
      'compression.type': 'uncompressed',
      'max.message.bytes': '9000',
      'retention.ms': '123456',
    });
    expect(await correctTopics(kafka, [wanted])).toEqual([]);
    const smaller = { topic, config: { 'max.message.bytes': '8000' } };
    expect(await correctTopics(kafka, [smaller])).toEqual([]);
  });

  it('that are missing are named', async () => {
    await createTopics(kafka, [{ topic, partitions: 1, config: {} }], 1);
    await expect(countPartitions(kafka, [topic, 'not-there', 'nor-this'])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: 'Topics are missing: not-there, nor-this.',
    });
    expect(await countPartitions(kafka, [])).toEqual(new Map());
    expect(await correctTopics(kafka, [])).toEqual([]);
    expect(await topicSettings(kafka, [], ['max.message.bytes'])).toEqual(new Map());
  });
});
