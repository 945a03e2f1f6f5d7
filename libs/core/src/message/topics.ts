import { SluiceError } from '#common/errors/sluice-error.js';
import { MAX_MESSAGE_BYTES } from '#common/kafka/message.js';
import type { Dataset } from '../dataset/dataset.js';

/** Names of the topics. PURE. */
export type DatasetTopic = 'inbox' | 'repair' | 'raw' | 'clean' | 'dead';

export function topicOf(dataset: string, kind: DatasetTopic): string {
  return `sluice.${dataset}.${kind}`;
}

export const STATUS_TOPIC = 'sluice.status';

/** What the database alone knows, for a rebuild: the latest state of each key stays for ever. */
export const HISTORY_TOPIC = 'sluice.history';

/** Consumer groups, by the stage whose progress their offsets are. */
export const CONSUMER_GROUPS = { validate: 'sluice-validator', load: 'sluice-loader' } as const;

export { MAX_MESSAGE_BYTES };

const DAY_MS = 24 * 60 * 60 * 1000;

export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
  /** The topic is its producers': once it is made, its settings are their operator's to change. */
  readonly isForeign?: true;
}

/** A dataset with an inbox, and the partitions of its topic; null: as many as a raw topic has. */
export interface InboxPlan {
  readonly dataset: string;
  readonly partitions: number | null;
}

/** Every topic that the given datasets need, as the migration command creates them (docs/architecture.md, Topics). */
export function planTopics(
  datasets: readonly string[],
  partitions: number,
  inboxes: readonly InboxPlan[] = [],
): TopicPlan[] {
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
    {
      topic: HISTORY_TOPIC,
      partitions: 1,
      config: { ...plan(HISTORY_TOPIC, 1, forever).config, 'cleanup.policy': 'compact' },
    },
    ...datasets.flatMap((dataset) => [
      plan(topicOf(dataset, 'raw'), partitions, 14 * DAY_MS),
      plan(topicOf(dataset, 'clean'), partitions, 14 * DAY_MS),
      plan(topicOf(dataset, 'dead'), partitions, forever),
      // One partition: a resubmission is one range of it, in the order in which it was sent.
      plan(topicOf(dataset, 'repair'), 1, 14 * DAY_MS),
    ]),
    ...inboxes.map((inbox): TopicPlan => ({
      topic: topicOf(inbox.dataset, 'inbox'),
      partitions: inbox.partitions ?? partitions,
      isForeign: true,
      // As long as what is made of it, so that a job's messages can be read again while its batches are. What producers
      // compress stays compressed (`compression.type` as the brokers have it: producer).
      config: {
        'retention.ms': String(14 * DAY_MS),
        'max.message.bytes': String(MAX_MESSAGE_BYTES),
        'cleanup.policy': 'delete',
      },
    })),
  ];
}

/** The inboxes of the datasets that have one. */
export function inboxesOf(datasets: readonly Pick<Dataset, 'name' | 'inbox'>[]): InboxPlan[] {
  return datasets.flatMap(({ name, inbox }) =>
    inbox === undefined ? [] : [{ dataset: name, partitions: inbox.partitions ?? null }],
  );
}

/**
 * @returns the inbox's topic
 * @throws SluiceError NO_INBOX
 */
export function inboxOf({ name, inbox }: Pick<Dataset, 'name' | 'inbox'>): string {
  if (inbox !== undefined) return topicOf(name, 'inbox');
  throw new SluiceError('NO_INBOX', `Dataset ${name} has no inbox.`, { dataset: name });
}

/** What an existing topic is corrected in; how long it keeps messages is its operator's to change. */
export function correctedSettings({
  topic,
  config,
  isForeign,
}: TopicPlan): Pick<TopicPlan, 'topic' | 'config'> {
  if (isForeign) return { topic, config: {} };
  return {
    topic,
    config: Object.fromEntries(
      Object.entries(config).filter(([name]) => name === 'compression.type' || name === 'max.message.bytes'),
    ),
  };
}
