/** The stages between the services: raw batches to a broker and back, by the product's own publisher and transport. */
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer, Kafka } from 'kafkajs';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { v7 as uuidv7 } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { OutgoingMessage } from '#common/kafka/message.js';
import type { Delivery } from '#common/kafka/transport/batch-handler.decorator.js';
import { BatchServer } from '#common/kafka/transport/batch-server.js';
import { MessageParking } from '#common/kafka/transport/message-parking.js';
import { createTopics, withAdmin } from '#common/kafka/transport/topics-admin.js';
import { encodeCleanMessage } from '#core/message/clean-message.js';
import { encodeRawMessage } from '#core/message/raw-message.js';
import {
  type DatasetTopic,
  MAX_MESSAGE_BYTES,
  type TopicPlan,
  planTopics,
  topicOf,
} from '#core/message/topics.js';
import { IngestorConfig } from '../../apps/ingestor/src/ingestor.config.js';
import { LOAD_GROUP } from '../../apps/loader/src/load/group-loader.js';
import { LoaderConfig } from '../../apps/loader/src/loader.config.js';
import { BENCH_DATASET, type JudgedBatch, PARTITIONS, PLAN } from './judging.js';
import { repeated } from './registrations.js';
import type { Amount } from './stage-run.js';

const MAX_SILENCE_MS = 30_000;
const MOST_ATTEMPTS = 20;
const ATTEMPT_DELAY_MS = 250;
/** One handler takes all topics, so any name will do. */
const KIND = 'any';

/** Topics of a dataset that no service listens to, made as `sluice migrate` makes any; they go afterwards. */
export async function withTopics<T>(
  kafka: Kafka,
  kinds: readonly DatasetTopic[],
  work: (topics: readonly string[]) => Promise<T>,
): Promise<T> {
  const topics = kinds.map((kind) => topicOf(BENCH_DATASET, kind));
  const plans = planTopics([BENCH_DATASET], PARTITIONS).filter(({ topic }) => topics.includes(topic));
  await createKnownTopics(kafka, plans);
  try {
    return await work(topics);
  } finally {
    await withAdmin(kafka, (admin) => admin.deleteTopics({ topics: [...topics] }));
  }
}

/** A broker that is busy with removing topics may not know yet what it has just made; kafkajs does not wait for that. */
async function createKnownTopics(kafka: Kafka, plans: readonly TopicPlan[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await createTopics(kafka, plans, 1);
      return;
    } catch (error) {
      if (attempt === MOST_ATTEMPTS) throw error;
      await delay(ATTEMPT_DELAY_MS);
    }
  }
}

export interface CountedMessage {
  readonly message: OutgoingMessage;
  /** That are counted for it; none for the clean message of a batch, whose raw one has been counted. */
  readonly rows: number;
}

export function rawMessagesOf(judged: readonly JudgedBatch[]): CountedMessage[] {
  return judged.map(({ raw }) => ({ message: encodeRawMessage(raw, PARTITIONS), rows: raw.batch.records }));
}

export function cleanMessagesOf(judged: readonly JudgedBatch[]): CountedMessage[] {
  return judged.map(({ raw, verdict, messages }) => ({
    message: encodeCleanMessage(raw, messages.raw.place, { verdict, plan: PLAN }, PARTITIONS),
    rows: 0,
  }));
}

/** As the ingestor does it: one message a request, several requests in flight. */
export async function produce(
  send: (message: OutgoingMessage) => Promise<unknown>,
  messages: readonly CountedMessage[],
  rows: number,
): Promise<Amount> {
  const maxInFlight = new IngestorConfig().publishesInFlight;
  const inFlight = new Set<Promise<unknown>>();
  const amount = { rows: 0, bytes: 0 };
  for (const { message, rows: carried } of repeated(messages, rows, (each) => each.rows)) {
    while (inFlight.size >= maxInFlight) await Promise.race(inFlight);
    const sending: Promise<unknown> = send(message).finally(() => inFlight.delete(sending));
    inFlight.add(sending);
    amount.rows += carried;
    amount.bytes += message.value.length;
  }
  await Promise.all(inFlight);
  return amount;
}

/**
 * As the loader does it, offsets committed group by group.
 * @param produced what is in the topics, and is read to its last byte
 * @throws SluiceError BROKER_UNAVAILABLE when nothing comes for half a minute
 * @returns seconds from the moment that the consumer had joined its group: joining takes as long as reading 500 MB
 */
export async function consume(
  kafka: Kafka,
  topics: readonly string[],
  produced: Amount,
): Promise<Amount & { readonly seconds: number }> {
  const { concurrentPartitions, sessionTimeoutMs } = new LoaderConfig();
  const reading = new EventEmitter();
  const server = new BatchServer({
    ...{ kafka, concurrentPartitions, sessionTimeoutMs },
    groupId: `bench-${uuidv7()}`,
    topics: { [KIND]: topics },
    ...LOAD_GROUP,
    maxBytesPerPartition: LOAD_GROUP.maxGroupBytes,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    parking: new MessageParking(new Registry(), pino({ level: 'silent' }), () => Promise.resolve()),
    registry: new Registry(),
    logger: pino({ level: 'silent' }),
    onFatal: (error) => reading.emit('error', error),
  });
  const consumer = server.unwrap<Consumer>();
  let joinedAt = performance.now();
  consumer.on(consumer.events.GROUP_JOIN, () => {
    joinedAt = performance.now();
  });
  // What cannot be read, kafkajs tries again for ever.
  const silence = setTimeout(() => {
    reading.emit('error', new SluiceError('BROKER_UNAVAILABLE', 'Nothing more could be read back.'));
  }, MAX_SILENCE_MS);
  let bytes = 0;
  const take = ({ messages }: Delivery): Promise<void> => {
    silence.refresh();
    for (const { value } of messages) bytes += value?.length ?? 0;
    if (bytes >= produced.bytes) reading.emit('end');
    return Promise.resolve();
  };
  server.addHandler(KIND, take, true);
  const end = once(reading, 'end');
  server.listen((error) => {
    if (error !== undefined) reading.emit('error', error);
  });
  try {
    await end;
    const seconds = (performance.now() - joinedAt) / 1e3;
    return { rows: produced.rows, bytes: produced.bytes, seconds };
  } finally {
    clearTimeout(silence);
    await server.close();
  }
}
