import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { SluiceError } from '../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText, kafkaErrorName } from './kafka-errors.js';

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

/**
 * @returns partitions of each topic
 * @throws SluiceError TOPIC_MISSING naming those that are not there, BROKER_FAULT naming those that may not be seen,
 * BROKER_UNAVAILABLE
 */
export async function countPartitions(kafka: Kafka, topics: readonly string[]): Promise<Map<string, number>> {
  if (topics.length === 0) return new Map();
  try {
    return await withAdmin(kafka, async (admin) => {
      try {
        return await partitionsIn(admin, topics);
      } catch (error) {
        if (!IS_ONE_TOPICS_FAULT.has(kafkaErrorName(error) ?? '')) throw error;
        throw await faultOfTopics(admin, topics, error);
      }
    });
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError(
      brokerErrorCode(error),
      `Topics cannot be looked at: ${brokerErrorText(error, 'DESCRIBE')}`,
      {},
      { cause: error },
    );
  }
}

async function partitionsIn(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const { topics: metadata } = await admin.fetchTopicMetadata({ topics: [...topics] });
  return new Map(metadata.map(({ name, partitions }) => [name, partitions.length]));
}

const IS_ONE_TOPICS_FAULT = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'TOPIC_AUTHORIZATION_FAILED']);

/** The brokers answer for all topics with the first fault of any, and do not say whose it is. */
async function faultOfTopics(admin: Admin, topics: readonly string[], first: unknown): Promise<SluiceError> {
  const missing: string[] = [];
  const denied: string[] = [];
  let refusal: unknown = first;
  for (const topic of topics) {
    try {
      await partitionsIn(admin, [topic]);
    } catch (error) {
      const name = kafkaErrorName(error);
      if (name === 'UNKNOWN_TOPIC_OR_PARTITION') missing.push(topic);
      else {
        denied.push(topic);
        refusal = error;
      }
    }
  }
  if (denied.length === 0)
    return new SluiceError('TOPIC_MISSING', `Topics are missing: ${missing.join(', ')}.`);
  return new SluiceError(
    brokerErrorCode(refusal),
    `Topics cannot be looked at: ${brokerErrorText(refusal, 'DESCRIBE', denied.join(', '))}`,
    {},
    { cause: refusal },
  );
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
  const settings = await topicSettings(kafka, topics, ['max.message.bytes']);
  return [...settings]
    .map(([topic, values]) => ({
      topic,
      maxMessageBytes: Number(values.get('max.message.bytes') ?? Infinity),
    }))
    .filter(({ maxMessageBytes }) => maxMessageBytes < messageBytes);
}

/** @returns the largest batch of records, in bytes, that the topic takes; null when the brokers do not say */
export async function maxMessageBytesOf(kafka: Kafka, topic: string): Promise<number | null> {
  const settings = await topicSettings(kafka, [topic], ['max.message.bytes']);
  const value = settings.get(topic)?.get('max.message.bytes');
  return value === undefined ? null : Number(value);
}

/** @returns by topic the values of the named settings that the brokers tell, theirs where the topic has none */
export async function topicSettings(
  kafka: Kafka,
  topics: readonly string[],
  names: readonly string[],
): Promise<Map<string, ReadonlyMap<string, string>>> {
  return withAdmin(kafka, async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name,
        configNames: [...names],
      })),
    });
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      ]),
    );
  });
}
