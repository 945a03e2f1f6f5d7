import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { IncomingMessage, MessagePlace } from '#common/kafka/message.js';
import { readMessages } from '#common/kafka/transport/message-reader.js';
import { Publisher } from '#common/kafka/transport/publisher.js';
import { createLogger } from '#common/telemetry/logger.js';
import { SeededRandom } from '#core/dataset/generate.js';
import { poisonMessages } from './poison.js';

/** Partition → offset, of one topic: ends of partitions, or a group's next offsets to read. */
export type Offsets = ReadonlyMap<number, number>;

/** The topics as a process beside Sluice sees them. Every call may fail while the broker is away. */
export class ChaosTopics {
  private readonly kafka: Kafka;

  constructor(brokers: readonly string[]) {
    this.kafka = createKafka({ brokers, clientId: 'chaos', logger: createLogger('chaos', 'silent') });
  }

  async ends(topic: string): Promise<Offsets> {
    return this.withAdmin(async (admin) => offsetsOf(await admin.fetchTopicOffsets(topic)));
  }

  async committed(groupId: string, topic: string): Promise<Offsets> {
    return this.withAdmin(async (admin) => {
      const [fetched] = await admin.fetchOffsets({ groupId, topics: [topic] });
      return offsetsOf(fetched?.partitions ?? []);
    });
  }

  /** Every message from `start` up to, and without, `end`. */
  async read(topic: string, start: Offsets, end: Offsets): Promise<IncomingMessage[]> {
    const messages: IncomingMessage[] = [];
    await readMessages(this.kafka, places(topic, start, end), (message) => {
      messages.push(message);
      return Promise.resolve();
    });
    return messages;
  }

  /** Sends up to ten of the messages between `start` and the end again. @returns how many */
  async sendAgain(topic: string, start: Offsets, seed: number): Promise<number> {
    const random = new SeededRandom(seed);
    const all = places(topic, start, await this.ends(topic));
    if (all.length === 0) return 0;
    const chosen = Array.from({ length: Math.min(10, all.length) }, () => random.pick(all));
    const publisher = new Publisher(this.kafka);
    try {
      await readMessages(this.kafka, chosen, async ({ place, headers, value }) => {
        const texts = Object.entries(headers).map(([name, header]): [string, string] => [
          name,
          String(header),
        ]);
        const { partition } = place;
        const copy = {
          topic,
          partition,
          key: 'again',
          headers: Object.fromEntries(texts),
          value: value as Buffer,
        };
        await publisher.send([copy]);
      });
    } finally {
      await publisher.disconnect();
    }
    return chosen.length;
  }

  /** Whatever comes from now on is stored compressed. */
  async compress(topic: string, codec: string): Promise<boolean> {
    return this.withAdmin(async (admin) => {
      const type = kafkajs.ConfigResourceTypes.TOPIC;
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type, name: topic }],
      });
      // Alter replaces all entries, so those that were set are given again.
      const kept = (resources[0]?.configEntries ?? [])
        .filter(({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG)
        .filter(({ configName }) => configName !== 'compression.type')
        .map(({ configName, configValue }) => ({ name: configName, value: configValue }));
      const configEntries = [...kept, { name: 'compression.type', value: codec }];
      await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries }] });
      return true;
    });
  }

  async addPartition(topic: string): Promise<boolean> {
    return this.withAdmin(async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      const count = (topics[0]?.partitions.length ?? 0) + 1;
      await admin.createPartitions({ topicPartitions: [{ topic, count }] });
      return true;
    });
  }

  /** One message of each kind that cannot be read. */
  async sendPoison(topic: string): Promise<boolean> {
    const producer = this.kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    try {
      await producer.send({ topic, messages: poisonMessages(datasetOf(topic)) });
      return true;
    } finally {
      await producer.disconnect();
    }
  }

  private async withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.kafka.admin({ retry: { retries: 2 } });
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }
}

function offsetsOf(entries: readonly { partition: number; offset: string }[]): Offsets {
  // A group that has committed nothing says -1.
  return new Map(entries.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]));
}

function places(topic: string, start: Offsets, end: Offsets): MessagePlace[] {
  return [...end].flatMap(([partition, next]) => {
    const first = start.get(partition) ?? 0;
    return Array.from({ length: Math.max(0, next - first) }, (_, i) => ({
      topic,
      partition,
      offset: String(first + i),
    }));
  });
}

/** Null for the status topic. */
function datasetOf(topic: string): string | null {
  return /^sluice\.(.+)\.(?:raw|clean|dead)$/.exec(topic)?.[1] ?? null;
}
