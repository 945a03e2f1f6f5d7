import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { SluiceError } from '../errors/sluice-error.js';

/** One topic as it has to be. */
export interface TopicSpecification {
  readonly topic: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Runs `work` with an admin connection of its own. */
export async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Creates the topics that are missing; leaves the others alone. @returns the names it created */
export async function createTopics(
  kafka: Kafka,
  topics: readonly TopicSpecification[],
  replicationFactor: number,
): Promise<string[]> {
  return withAdmin(kafka, async (admin) => {
    const present = new Set(await admin.listTopics());
    const missing = topics.filter(({ topic }) => !present.has(topic));
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map(({ topic, partitions, config }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      })),
    });
    return missing.map(({ topic }) => topic);
  });
}

/** @returns partitions of each topic. @throws SluiceError TOPIC_MISSING naming those that are not there */
export async function countPartitions(kafka: Kafka, topics: readonly string[]): Promise<Map<string, number>> {
  return withAdmin(kafka, async (admin) => {
    const present = new Set(await admin.listTopics());
    const missing = topics.filter((topic) => !present.has(topic));
    if (missing.length > 0)
      throw new SluiceError('TOPIC_MISSING', `Topics are missing: ${missing.join(', ')}.`);
    const { topics: metadata } = await admin.fetchTopicMetadata({ topics: [...topics] });
    return new Map(metadata.map(({ name, partitions }) => [name, partitions.length]));
  });
}

/** @returns by `topic/partition` the offset of the oldest message that is still there, or of the next one */
export async function firstOffsets(kafka: Kafka, topics: readonly string[]): Promise<Map<string, bigint>> {
  if (topics.length === 0) return new Map();
  return withAdmin(kafka, async (admin) => {
    const offsets = await Promise.all(
      topics.map(async (topic) =>
        (await admin.fetchTopicOffsets(topic)).map(
          ({ partition, low }) => [`${topic}/${partition}`, BigInt(low)] as const,
        ),
      ),
    );
    return new Map(offsets.flat());
  });
}

/** A topic that takes only smaller messages than it has to. */
export interface NarrowTopic {
  readonly topic: string;
  readonly maxMessageBytes: number;
}

/** @returns those of the topics whose max.message.bytes is below `messageBytes` */
export async function findNarrowTopics(
  kafka: Kafka,
  topics: readonly string[],
  messageBytes: number,
): Promise<NarrowTopic[]> {
  return withAdmin(kafka, async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name,
        configNames: ['max.message.bytes'],
      })),
    });
    return resources
      .map(({ resourceName, configEntries }) => ({
        topic: resourceName,
        maxMessageBytes: Number(configEntries[0]?.configValue ?? Infinity),
      }))
      .filter(({ maxMessageBytes }) => maxMessageBytes < messageBytes);
  });
}
