import { randomUUID } from 'node:crypto';
import type { EachBatchPayload, Kafka } from 'kafkajs';
import { SluiceError, messageOf } from '../../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText, classifyBrokerError } from '../client/kafka-errors.js';
import { undecodableOf } from '../client/record-batches.js';
import type { IncomingMessage, MessagePlace } from '../message.js';
import { isKafkas } from './fetched-messages.js';
import { type HeartbeatPace, withHeartbeats } from './heartbeats.js';
import { countPartitions, withAdmin } from './topics-admin.js';

/** Without a wanted message for this long, the brokers count as unavailable, whatever else they send. */
const MAX_MS_WITHOUT_PROGRESS = 30_000;
/** A message may stand for 20,000 dead letters that are published, while brokers are slow. */
const PACE: HeartbeatPace = { intervalMs: 1_000, longestMs: 10 * 60_000 };
const SESSION_TIMEOUT_MS = 30_000;
/** A wanted message further ahead than this is reached by a seek, not by reading. */
const SEEK_DISTANCE = 8n;
/** After this many seeks without reaching it, the partition no longer has the offset. */
const MAX_SEEKS = 3;

/** Each reading has a group of its own, of a name that begins so. */
const READER_GROUPS = 'sluice-reader-';

/** Called for a wanted message that cannot be read any more, with the reason. */
export type MessageGone = (place: MessagePlace, reason: string) => Promise<void>;

/**
 * Reads single messages by their places, in offset order partition by partition.
 *
 * kafkajs cannot read one offset without a consumer group: this makes one of its own for each call, seeks,
 * commits nothing, and deletes the group afterwards.
 *
 * - MR1: it ends. A place below the first offset of its partition, at or above the next one, of a topic or partition that is
 *   not there, or inside a batch that cannot be decoded is gone; one that the brokers have and do not send ends the call
 *   at once; whatever else keeps a wanted message away ends it after MAX_MS_WITHOUT_PROGRESS.
 * - MR2: it never asks for an offset that it knows to be out of range: kafkajs would begin at another one, without an error
 *   but with a line in the log for each attempt.
 * - MR3: the time that `take` and `gone` need is not bounded by the session of the group: heartbeats are sent meanwhile, for
 *   ten minutes a message at most.
 *
 * @param take called once for each wanted message; reading continues when its promise resolves
 * @param gone called once for each message that is gone; without it the first one ends the call
 * @throws SluiceError MESSAGE_EXPIRED when a wanted message is gone, and `gone` is not given
 * @throws SluiceError BROKER_UNAVAILABLE, BROKER_FAULT
 */
export async function readMessages(
  kafka: Kafka,
  places: readonly MessagePlace[],
  take: (message: IncomingMessage) => Promise<void>,
  gone: MessageGone = expired,
): Promise<void> {
  const wanted = new WantedOffsets(places);
  try {
    await passOverOutOfRange(kafka, wanted, gone);
    if (!wanted.isEmpty()) await readWanted(kafka, wanted, take, gone);
  } catch (error) {
    // What `take` and `gone` throw is theirs.
    throw isKafkas(error) ? unavailable(error, wanted.topics()) : error;
  }
}

/** MR1 and MR2, as far as the ends of partitions say it. */
async function passOverOutOfRange(kafka: Kafka, wanted: WantedOffsets, gone: MessageGone): Promise<void> {
  for (const topic of wanted.topics()) {
    const ends = await endsOf(kafka, topic);
    for (const place of wanted.placesIn(topic)) {
      const offset = BigInt(place.offset);
      const end = ends.get(place.partition);
      if (end && offset >= end.low && offset < end.high) continue;
      wanted.drop(place);
      if (end === undefined) await gone(place, 'its topic or partition is not there any more');
      else if (offset < end.low) await gone(place, 'it is no longer in its topic');
      else await gone(place, `its partition ends before it, at ${end.high}`);
    }
  }
}

/** Empty for a topic that is not there. */
async function endsOf(
  kafka: Kafka,
  topic: string,
): Promise<ReadonlyMap<number, { readonly low: bigint; readonly high: bigint }>> {
  try {
    // Asks first whether the topic is there: kafkajs would ask for the ends of a missing one for ten seconds.
    await countPartitions(kafka, [topic]);
    const ends = await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
    return new Map(
      ends.map(({ partition, low, high }) => [partition, { low: BigInt(low), high: BigInt(high) }]),
    );
  } catch (error) {
    if (brokerErrorCode(error) === 'TOPIC_MISSING') return new Map();
    throw error;
  }
}

async function readWanted(
  kafka: Kafka,
  wanted: WantedOffsets,
  take: (message: IncomingMessage) => Promise<void>,
  gone: MessageGone,
): Promise<void> {
  const groupId = `${READER_GROUPS}${randomUUID()}`;
  const consumer = kafka.consumer({
    ...{ groupId, maxWaitTimeInMs: 100, allowAutoTopicCreation: false },
    ...{ sessionTimeout: SESSION_TIMEOUT_MS, heartbeatInterval: PACE.intervalMs },
  });
  let silence: NodeJS.Timeout | undefined;
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: wanted.topics(), fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const progress = (): void => {
        clearTimeout(silence);
        silence = setTimeout(() => {
          const topics = wanted.topics().join(', ');
          reject(new SluiceError('BROKER_UNAVAILABLE', `Wanted messages of ${topics} did not arrive.`));
        }, MAX_MS_WITHOUT_PROGRESS);
      };
      // While a message is being handled, the wait is not for the brokers.
      const untimed = async (payload: EachBatchPayload, work: () => Promise<void>): Promise<void> => {
        clearTimeout(silence);
        await withHeartbeats(() => payload.heartbeat(), work, PACE);
        progress();
      };
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      progress();
      consumer
        .run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          eachBatch: async (payload) => {
            const taking = (message: IncomingMessage): Promise<void> => untimed(payload, () => take(message));
            const missing: MessageGone = (place, reason) => untimed(payload, () => gone(place, reason));
            try {
              const { topic, partition } = payload.batch;
              await takeWanted(payload, wanted, taking, missing);
              let next = wanted.next(topic, partition);
              while (next !== undefined && next > BigInt(payload.batch.lastOffset()) + SEEK_DISTANCE) {
                const place = { topic, partition, offset: next.toString() };
                if (wanted.seeksOf(place) < MAX_SEEKS) {
                  wanted.sought(place);
                  consumer.seek(place);
                  break;
                }
                wanted.drop(place);
                await missing(place, 'its partition does not come to it');
                next = wanted.next(topic, partition);
              }
              if (next === undefined) payload.pause();
              if (wanted.isEmpty()) resolve();
            } catch (error) {
              reject(error instanceof Error ? error : new SluiceError('INTERNAL', messageOf(error)));
            }
          },
        })
        .catch(reject);
      for (const place of wanted.firsts()) consumer.seek(place);
    });
  } finally {
    clearTimeout(silence);
    await consumer.disconnect();
    await deleteGroup(kafka, groupId);
  }
}

async function takeWanted(
  payload: EachBatchPayload,
  wanted: WantedOffsets,
  take: (message: IncomingMessage) => Promise<void>,
  gone: MessageGone,
): Promise<void> {
  const { topic, partition, messages } = payload.batch;
  for (const message of messages) {
    const offset = BigInt(message.offset);
    const undecodable = undecodableOf(message);
    if (undecodable?.isWithheld)
      throw new SluiceError('BROKER_FAULT', `${topic}/${partition}: ${undecodable.reason}.`);
    for (let next = wanted.next(topic, partition); next !== undefined && next <= offset;) {
      const place = { topic, partition, offset: next.toString() };
      wanted.drop(place);
      if (undecodable !== null && next >= BigInt(undecodable.firstOffset))
        await gone(place, undecodable.reason);
      else if (next < offset || undecodable !== null) await gone(place, 'it is no longer in its topic');
      else await take({ place, key: message.key, headers: message.headers ?? {}, value: message.value });
      next = wanted.next(topic, partition);
    }
    payload.resolveOffset(message.offset);
    await payload.heartbeat();
  }
}

const expired: MessageGone = ({ topic, partition, offset }, reason) =>
  Promise.reject(
    new SluiceError('MESSAGE_EXPIRED', `Message ${topic}/${partition}/${offset} cannot be read: ${reason}.`),
  );

function unavailable(error: unknown, topics: readonly string[]): SluiceError {
  const isUnknown = classifyBrokerError(error) === 'unknown';
  return new SluiceError(
    isUnknown ? 'BROKER_UNAVAILABLE' : brokerErrorCode(error),
    `Reading ${topics.join(', ')} failed: ${brokerErrorText(error, { operation: 'READ', topic: topics.join(', '), group: `${READER_GROUPS}*` })}`,
    {},
    { cause: error },
  );
}

/** A left-over group is harmless and expires with `offsets.retention.minutes`, so failing to delete it is too. */
async function deleteGroup(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    await admin.deleteGroups([groupId]);
  } catch {
    return;
  } finally {
    await admin.disconnect();
  }
}

interface Queue {
  readonly topic: string;
  readonly partition: number;
  offsets: bigint[];
  /** How often its first offset was sought. */
  seeks: number;
}

/** The offsets still to be read, ascending, by partition. */
class WantedOffsets {
  private readonly queues = new Map<string, Queue>();

  constructor(places: readonly MessagePlace[]) {
    for (const { topic, partition, offset } of places) {
      const key = `${topic}/${partition}`;
      const queue = this.queues.get(key) ?? { topic, partition, offsets: [], seeks: 0 };
      queue.offsets.push(BigInt(offset));
      this.queues.set(key, queue);
    }
    for (const queue of this.queues.values()) {
      queue.offsets = [...new Set(queue.offsets)].sort((a, b) => (a < b ? -1 : 1));
    }
  }

  /** Topics of which a message is still wanted. */
  topics(): string[] {
    const wanted = [...this.queues.values()].filter(({ offsets }) => offsets.length > 0);
    return [...new Set(wanted.map(({ topic }) => topic))];
  }

  placesIn(topic: string): MessagePlace[] {
    return [...this.queues.values()]
      .filter((queue) => queue.topic === topic)
      .flatMap(({ partition, offsets }) =>
        offsets.map((offset) => ({ topic, partition, offset: offset.toString() })),
      );
  }

  firsts(): MessagePlace[] {
    return [...this.queues.values()].flatMap(({ topic, partition, offsets }) =>
      offsets[0] === undefined ? [] : [{ topic, partition, offset: offsets[0].toString() }],
    );
  }

  next(topic: string, partition: number): bigint | undefined {
    return this.queues.get(`${topic}/${partition}`)?.offsets[0];
  }

  seeksOf({ topic, partition }: MessagePlace): number {
    return this.queues.get(`${topic}/${partition}`)?.seeks ?? 0;
  }

  sought({ topic, partition }: MessagePlace): void {
    const queue = this.queues.get(`${topic}/${partition}`);
    if (queue) queue.seeks += 1;
  }

  /** It was taken, or is gone. */
  drop({ topic, partition, offset }: MessagePlace): void {
    const queue = this.queues.get(`${topic}/${partition}`);
    if (!queue) return;
    const at = queue.offsets.indexOf(BigInt(offset));
    if (at >= 0) queue.offsets.splice(at, 1);
    queue.seeks = 0;
  }

  isEmpty(): boolean {
    return [...this.queues.values()].every(({ offsets }) => offsets.length === 0);
  }
}
