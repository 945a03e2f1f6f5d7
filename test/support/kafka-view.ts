import { randomUUID } from 'node:crypto';
import kafkajs, { type Admin, type Consumer, type IHeaders, type Producer } from 'kafkajs';
import { eventually } from './eventually.js';
import type { System } from './system.js';

/** A message as it stands in its topic. */
export interface SeenMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

/** One partition of a topic: what a group has committed (null: nothing), and what there is. */
export interface GroupOffset {
  readonly partition: number;
  readonly committed: number | null;
  /** First offset that is still there, and the one that the next message gets. */
  readonly low: number;
  readonly high: number;
}

/**
 * A system's topics as an onlooker sees them, with every message since it began to look, and the hand that meddles with them.
 */
export class KafkaView {
  private readonly seen = new Map<string, SeenMessage[]>();
  private readonly nextOffset = new Map<string, number>();

  private constructor(
    readonly admin: Admin,
    private readonly consumer: Consumer,
    readonly producer: Producer,
  ) {}

  /** @param topics to be kept an eye on; the others may be meddled with too */
  static async open(system: System, topics: readonly string[]): Promise<KafkaView> {
    const kafka = new kafkajs.Kafka({
      clientId: 'onlooker',
      brokers: [...system.brokers],
      logLevel: kafkajs.logLevel.NOTHING,
      // The broker may be away for a while.
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 60 },
    });
    // A broker's restart makes a new member of it, which waits until the old one is missed.
    const consumer = kafka.consumer({
      groupId: `onlooker-${randomUUID()}`,
      maxWaitTimeInMs: 50,
      sessionTimeout: 3_000,
      heartbeatInterval: 300,
    });
    const view = new KafkaView(
      kafka.admin(),
      consumer,
      kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner }),
    );
    await Promise.all([view.admin.connect(), view.producer.connect(), consumer.connect()]);
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch }) => {
        for (const message of batch.messages) view.keep(batch.topic, batch.partition, message);
        return Promise.resolve();
      },
    });
    return view;
  }

  async close(): Promise<void> {
    await Promise.all([this.consumer.disconnect(), this.producer.disconnect(), this.admin.disconnect()]);
  }

  /** Every message of a topic up to now, by partition and offset. */
  async messages(topic: string): Promise<readonly SeenMessage[]> {
    const ends = await this.admin.fetchTopicOffsets(topic);
    await eventually(
      () =>
        ends.every(
          ({ partition, high, low }) =>
            high === low || (this.nextOffset.get(`${topic}/${partition}`) ?? 0) >= Number(high),
        ),
      `the onlooker to have read ${topic}`,
    );
    return ends.flatMap(({ partition }) => this.seen.get(`${topic}/${partition}`) ?? []);
  }

  async offsetsOf(group: string, topic: string): Promise<GroupOffset[]> {
    const [answer] = await this.admin.fetchOffsets({ groupId: group, topics: [topic] });
    const ends = await this.admin.fetchTopicOffsets(topic);
    return ends.map(({ partition, low, high }) => {
      const at = answer?.partitions.find((p) => p.partition === partition)?.offset ?? '-1';
      return { partition, committed: at === '-1' ? null : Number(at), low: Number(low), high: Number(high) };
    });
  }

  /** Messages that the group has not committed yet, in all partitions of the topic. */
  async lagOf(group: string, topic: string): Promise<number> {
    const offsets = await this.offsetsOf(group, topic);
    return offsets.reduce((sum, { committed, low, high }) => sum + high - Math.max(committed ?? 0, low), 0);
  }

  /** Sends copies of messages to where they were, in the given order. */
  async sendAgain(messages: readonly SeenMessage[]): Promise<void> {
    for (const { topic, partition, key, value, headers } of messages) {
      await this.producer.send({ topic, acks: -1, messages: [{ partition, key, value, headers }] });
    }
  }

  /** Sets what a group that is not at work has committed. @param at of one partition */
  async seek(group: string, topic: string, at: (offset: GroupOffset) => number): Promise<void> {
    const partitions = (await this.offsetsOf(group, topic)).map((offset) => ({
      partition: offset.partition,
      offset: String(at(offset)),
    }));
    await this.whenAtRest(group, () => this.admin.setOffsets({ groupId: group, topic, partitions }));
  }

  /** Forgets what a group that is not at work has committed. */
  async forget(group: string): Promise<void> {
    await this.whenAtRest(group, () => this.admin.deleteGroups([group]));
  }

  /** Deletes every message that is in the topic now, as its retention would. */
  async expire(topic: string): Promise<void> {
    const partitions = (await this.admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({
      partition,
      offset: high,
    }));
    await this.admin.deleteTopicRecords({ topic, partitions });
  }

  async setLargestMessage(topic: string, bytes: number): Promise<void> {
    const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }];
    const { TOPIC } = kafkajs.ConfigResourceTypes;
    await this.admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: TOPIC, name: topic, configEntries }],
    });
  }

  /** Kafka keeps a killed consumer in its group for a session, and changes no group that is at work. */
  async whenAtRest<T>(group: string, work: () => Promise<T>): Promise<T> {
    await eventually(async () => {
      const { groups } = await this.admin.describeGroups([group]);
      return groups.every(({ members }) => members.length === 0);
    }, `the group ${group} to have no member`);
    return work();
  }

  async membersOf(group: string): Promise<number> {
    const { groups } = await this.admin.describeGroups([group]);
    return groups.reduce((sum, { members }) => sum + members.length, 0);
  }

  private keep(
    topic: string,
    partition: number,
    message: { offset: string; key: Buffer | null; value: Buffer | null; headers?: IHeaders },
  ): void {
    const place = `${topic}/${partition}`;
    const offset = Number(message.offset);
    // After a broker's restart it begins again.
    if (offset < (this.nextOffset.get(place) ?? 0)) return;
    this.nextOffset.set(place, offset + 1);
    const { key, value, headers = {} } = message;
    const seen = { topic, partition, offset, key, value, headers };
    const all = this.seen.get(place);
    if (all) all.push(seen);
    else this.seen.set(place, [seen]);
  }
}
