import { MAX_MESSAGE_BYTES } from '#common/kafka/message.js';

/** Names of the topics. PURE. */
export type DatasetTopic = 'raw' | 'clean' | 'dead';

export function topicOf(dataset: string, kind: DatasetTopic): string {
  return `sluice.${dataset}.${kind}`;
}

export const STATUS_TOPIC = 'sluice.status';

/** Consumer groups, by the stage whose progress their offsets are. */
export const CONSUMER_GROUPS = { validate: 'sluice-validator', load: 'sluice-loader' } as const;

export { MAX_MESSAGE_BYTES };

const DAY_MS = 24 * 60 * 60 * 1000;

export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Every topic that the given datasets need, as the migration command creates them (docs/architecture.md, Topics). */
export function planTopics(datasets: readonly string[], partitions: number): TopicPlan[] {
  const plan = (topic: string, count: number, retentionMs: number): TopicPlan => ({
    topic,
    partitions: count,
    config: {
      'retention.ms': String(retentionMs),
      'max.message.bytes': String(MAX_MESSAGE_BYTES),
      'cleanup.policy': 'delete',
      // Whatever a foreign producer compresses, the brokers unpack (docs/decisions/0015).
      'compression.type': 'uncompressed',
    },
  });
  const forever = -1;
  return [
    plan(STATUS_TOPIC, 1, 14 * DAY_MS),
    ...datasets.flatMap((dataset) => [
      plan(topicOf(dataset, 'raw'), partitions, 14 * DAY_MS),
      plan(topicOf(dataset, 'clean'), partitions, 14 * DAY_MS),
      plan(topicOf(dataset, 'dead'), partitions, forever),
    ]),
  ];
}

/** What an existing topic is corrected in; how long it keeps messages is its operator's to change. */
export function correctedSettings({ topic, config }: TopicPlan): Pick<TopicPlan, 'topic' | 'config'> {
  return {
    topic,
    config: Object.fromEntries(
      Object.entries(config).filter(([name]) => name === 'compression.type' || name === 'max.message.bytes'),
    ),
  };
}
