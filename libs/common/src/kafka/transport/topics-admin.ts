import { setTimeout as delay } from 'node:timers/promises';
import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import {
  type AclOperation,
  brokerErrorCode,
  brokerErrorText,
  kafkaErrorName,
} from '../client/kafka-errors.js';

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

/** A topic that is being deleted may be listed still, or be neither listed nor free to be created. */
const MAX_CREATING_MS = 30_000;
const LOOK_AGAIN_MS = 100;

/**
 * Creates the topics that are missing; leaves the others alone.
 * @returns the names it created
 * @throws SluiceError BROKER_FAULT when topics of these names stay half deleted for half a minute
 */
export async function createTopics(
  kafka: Kafka,
  topics: readonly TopicSpecification[],
  replicationFactor: number,
): Promise<string[]> {
  return withAdmin(kafka, async (admin) => {
    const request = (wanted: readonly TopicSpecification[], validateOnly: boolean): Promise<boolean> =>
      admin.createTopics({
        validateOnly,
        topics: wanted.map(({ topic, partitions, config }) => ({
          topic,
          numPartitions: partitions,
          replicationFactor,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        })),
        // kafkajs's own wait ends with an error when a broker does not know the topic yet.
        waitForLeaders: false,
      });
    const deletedOf = async (listed: readonly TopicSpecification[]): Promise<Set<string>> => {
      const deleted = new Set<string>();
      for (const each of listed) if (await couldBeCreated(each)) deleted.add(each.topic);
      return deleted;
    };
    /** The controller knows of a deletion before the broker that lists topics; who may not ask it goes by the list. */
    const couldBeCreated = (each: TopicSpecification): Promise<boolean> =>
      request([each], true).catch((error: unknown) => {
        // A refusal, whatever its reason.
        if (error instanceof kafkajs.KafkaJSAggregateError) return false;
        throw error;
      });

    const listedAtFirst = new Set(await admin.listTopics());
    let listedStill = await deletedOf(topics.filter(({ topic }) => listedAtFirst.has(topic)));
    const wanted = topics.filter(({ topic }) => !listedAtFirst.has(topic) || listedStill.has(topic));
    const names = wanted.map(({ topic }) => topic);
    const until = Date.now() + MAX_CREATING_MS;
    let missing = wanted.filter(({ topic }) => !listedAtFirst.has(topic));
    while (names.length > 0) {
      if (missing.length + listedStill.size === 0 && (await haveLeaders(admin, names))) break;
      if (Date.now() > until)
        throw new SluiceError('BROKER_FAULT', `Topics can neither be seen nor created: ${names.join(', ')}.`);
      // Names that exist are no error: kafkajs answers false.
      if (missing.length > 0) await request(missing, false);
      await delay(LOOK_AGAIN_MS);
      const listed = new Set(await admin.listTopics());
      missing = wanted.filter(({ topic }) => !listed.has(topic));
      listedStill = await deletedOf(
        wanted.filter(({ topic }) => listed.has(topic) && listedStill.has(topic)),
      );
    }
    return names;
  });
}

async function haveLeaders(admin: Admin, topics: readonly string[]): Promise<boolean> {
  try {
    await admin.fetchTopicMetadata({ topics: [...topics] });
    return true;
  } catch (error) {
    if (NOT_YET.has(kafkaErrorName(error) ?? '')) return false;
    throw error;
  }
}

const NOT_YET = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']);

/** Gives topics the settings that they must have and have not. @returns each as `topic: name=value` */
export async function correctTopics(
  kafka: Kafka,
  topics: readonly Pick<TopicSpecification, 'topic' | 'config'>[],
): Promise<string[]> {
  // kafkajs refuses to describe nothing.
  if (topics.length === 0) return [];
  return withAdmin(kafka, async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map(({ topic: name }) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    });
    const corrected: string[] = [];
    for (const { topic, config } of topics) {
      const entries = resources.find(({ resourceName }) => resourceName === topic)?.configEntries ?? [];
      const valueOf = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
      const wrong = Object.entries(config).filter(
        ([name, value]) => !isAsWanted(name, valueOf.get(name), value),
      );
      if (wrong.length === 0) continue;
      // The request replaces all that was ever set on the topic, so that is sent along.
      const own = entries.filter(({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG);
      const all = new Map([
        ...own.map(({ configName, configValue }) => [configName, configValue] as const),
        ...wrong,
      ]);
      await admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: kafkajs.ConfigResourceTypes.TOPIC,
            name: topic,
            configEntries: [...all].map(([name, value]) => ({ name, value })),
          },
        ],
      });
      corrected.push(...wrong.map(([name, value]) => `${topic}: ${name}=${value}`));
    }
    return corrected;
  });
}

/** A limit may be larger than it has to be. */
function isAsWanted(name: string, actual: string | undefined, wanted: string): boolean {
  return name === 'max.message.bytes' ? Number(actual) >= Number(wanted) : actual === wanted;
}

/**
 * @param operation what the caller needs the topics for, to be named when it is not allowed: every operation comes with
 * DESCRIBE, so who may not look lacks it too
 * @returns partitions of each topic
 * @throws SluiceError TOPIC_MISSING naming those that are not there, BROKER_FAULT naming those that may not be seen,
 * BROKER_UNAVAILABLE
 */
export async function countPartitions(
  kafka: Kafka,
  topics: readonly string[],
  operation: AclOperation = 'DESCRIBE',
): Promise<Map<string, number>> {
  if (topics.length === 0) return new Map();
  try {
    return await withAdmin(kafka, async (admin) => {
      try {
        return await partitionsIn(admin, topics);
      } catch (error) {
        if (!IS_ONE_TOPICS_FAULT.has(kafkaErrorName(error) ?? '')) throw error;
        throw await faultOfTopics(admin, topics, operation, error);
      }
    });
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError(
      brokerErrorCode(error),
      `Cannot read the topics: ${brokerErrorText(error, { operation })}`,
      {},
      { cause: error },
    );
  }
}

export async function partitionsIn(admin: Admin, topics: readonly string[]): Promise<Map<string, number>> {
  const { topics: metadata } = await admin.fetchTopicMetadata({ topics: [...topics] });
  return new Map(metadata.map(({ name, partitions }) => [name, partitions.length]));
}

const IS_ONE_TOPICS_FAULT = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'TOPIC_AUTHORIZATION_FAILED']);

/** The brokers answer for all topics with the first fault of any, and do not say whose it is. */
async function faultOfTopics(
  admin: Admin,
  topics: readonly string[],
  operation: AclOperation,
  first: unknown,
): Promise<SluiceError> {
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
    `Cannot read the topics: ${brokerErrorText(refusal, { operation, topic: denied.join(', ') })}`,
    {},
    { cause: refusal },
  );
}

/** @returns what of the topics' settings is not as it has to be, in words; empty when everything is */
export async function findUnfitTopics(
  kafka: Kafka,
  topics: readonly string[],
  messageBytes: number,
): Promise<string[]> {
  const settings = await topicSettings(kafka, topics, ['max.message.bytes', 'compression.type']);
  return [...settings].flatMap(([topic, values]) => {
    const largest = Number(values.get('max.message.bytes') ?? Infinity);
    const compression = values.get('compression.type') ?? 'uncompressed';
    return [
      ...(largest < messageBytes ? [`max.message.bytes of ${topic} must be ${messageBytes} at least`] : []),
      ...(compression === 'uncompressed'
        ? []
        : [
            `compression.type of ${topic} must be uncompressed, and is ${compression}; \`sluice migrate\` sets it`,
          ]),
    ];
  });
}

/** @returns the largest batch of records, in bytes, that the topic takes; null when the brokers do not say */
export async function maxMessageBytesOf(kafka: Kafka, topic: string): Promise<number | null> {
  const settings = await topicSettings(kafka, [topic], ['max.message.bytes']);
  const value = settings.get(topic)?.get('max.message.bytes');
  return value === undefined ? null : Number(value);
}

/** @returns by topic the values of the named settings that the brokers report, their own where the topic has none */
export async function topicSettings(
  kafka: Kafka,
  topics: readonly string[],
  names: readonly string[],
): Promise<Map<string, ReadonlyMap<string, string>>> {
  if (topics.length === 0) return new Map();
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

/** The longest time until new partitions of a topic are noticed. */
const COUNT_MAX_AGE_MS = 30_000;

/**
 * How many partitions topics have, read rarely. Counts grow at any time and never shrink but by deleting the topic, so
 * an older count is good enough to choose a partition by: it names none that is not there.
 */
export class PartitionCounts {
  private readonly known = new Map<string, { readonly count: number; readonly askedAt: number }>();
  private readonly asking = new Map<string, Promise<number>>();

  constructor(
    private readonly kafka: Kafka,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @throws SluiceError TOPIC_MISSING, BROKER_FAULT, BROKER_UNAVAILABLE when it is not known from before */
  async of(topic: string): Promise<number> {
    const known = this.known.get(topic);
    if (known && this.now() - known.askedAt < COUNT_MAX_AGE_MS) return known.count;
    const asking = this.asking.get(topic) ?? this.ask(topic);
    this.asking.set(topic, asking);
    try {
      return await asking;
    } catch (error) {
      if (known) return known.count;
      throw error;
    } finally {
      this.asking.delete(topic);
    }
  }

  /** The next call reads it again. */
  forget(topic: string): void {
    this.known.delete(topic);
  }

  private async ask(topic: string): Promise<number> {
    const count = (await countPartitions(this.kafka, [topic])).get(topic) ?? 1;
    this.known.set(topic, { count, askedAt: this.now() });
    return count;
  }
}
