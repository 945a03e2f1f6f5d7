import type { Admin, Kafka } from 'kafkajs';
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
