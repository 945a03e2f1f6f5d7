import { randomUUID } from 'node:crypto';
import type { EachBatchPayload, Kafka } from 'kafkajs';
import { SluiceError, messageOf } from '../errors/sluice-error.js';
import type { IncomingMessage, MessagePlace } from './message.js';

/** Nothing at all for so long means that the brokers are not there, or the messages are not. */
const MAX_SILENCE_MS = 30_000;
/** A wanted message further ahead than this is sought, not read up to. */
const SEEK_DISTANCE = 8n;

/**
 * Reads single messages by their places, in offset order partition by partition.
 *
 * kafkajs cannot read one offset without a consumer group: this makes one of its own for each call, seeks,
 * commits nothing, and deletes the group afterwards.
 * @param take called once for each wanted message; reading goes on when its promise is kept
 * @throws SluiceError MESSAGE_EXPIRED when retention has removed a wanted message
 * @throws SluiceError BROKER_UNAVAILABLE
 */
export async function readMessages(
  kafka: Kafka,
  places: readonly MessagePlace[],
  take: (message: IncomingMessage) => Promise<void>,
): Promise<void> {
  if (places.length === 0) return;
  const groupId = `sluice-reader-${randomUUID()}`;
  const wanted = new WantedOffsets(places);
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, allowAutoTopicCreation: false });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: wanted.topics(), fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      let silence = setTimeout(() => undefined, 0);
      const heard = (): void => {
        clearTimeout(silence);
        silence = setTimeout(() => {
          reject(
            new SluiceError(
              'BROKER_UNAVAILABLE',
              `Nothing could be read from ${wanted.topics().join(', ')}.`,
            ),
          );
        }, MAX_SILENCE_MS);
      };
      const end = (error?: unknown): void => {
        clearTimeout(silence);
        if (error === undefined) resolve();
        else reject(error instanceof Error ? error : new SluiceError('INTERNAL', messageOf(error)));
      };
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) end(unavailable(payload.error));
      });
      heard();
      consumer
        .run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          eachBatch: async (payload) => {
            heard();
            try {
              await takeWanted(payload, wanted, take);
              const { topic, partition } = payload.batch;
              const next = wanted.next(topic, partition);
              if (next === undefined) payload.pause();
              else if (next > BigInt(payload.batch.lastOffset()) + SEEK_DISTANCE) {
                consumer.seek({ topic, partition, offset: next.toString() });
              }
              if (wanted.isEmpty()) end();
            } catch (error) {
              end(error);
            }
          },
        })
        .catch(end);
      for (const { topic, partition, offset } of wanted.firsts()) consumer.seek({ topic, partition, offset });
    });
  } catch (error) {
    throw error instanceof SluiceError ? error : unavailable(error);
  } finally {
    await consumer.disconnect();
    await deleteGroup(kafka, groupId);
  }
}

async function takeWanted(
  payload: EachBatchPayload,
  wanted: WantedOffsets,
  take: (message: IncomingMessage) => Promise<void>,
): Promise<void> {
  const { topic, partition, messages } = payload.batch;
  for (const message of messages) {
    const next = wanted.next(topic, partition);
    if (next !== undefined && BigInt(message.offset) >= next) {
      const place = { topic, partition, offset: message.offset };
      if (BigInt(message.offset) > next) {
        throw new SluiceError(
          'MESSAGE_EXPIRED',
          `Message ${topic}/${partition}/${next} is no longer in its topic.`,
        );
      }
      await take({ place, headers: message.headers ?? {}, value: message.value });
      wanted.taken(topic, partition);
    }
    payload.resolveOffset(message.offset);
    await payload.heartbeat();
  }
}

function unavailable(error: unknown): SluiceError {
  return new SluiceError('BROKER_UNAVAILABLE', `Reading failed: ${messageOf(error)}`, {}, { cause: error });
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

/** The offsets still to be read, ascending, by partition. */
class WantedOffsets {
  private readonly queues = new Map<string, { topic: string; partition: number; offsets: bigint[] }>();

  constructor(places: readonly MessagePlace[]) {
    for (const { topic, partition, offset } of places) {
      const key = `${topic}/${partition}`;
      const queue = this.queues.get(key) ?? { topic, partition, offsets: [] };
      queue.offsets.push(BigInt(offset));
      this.queues.set(key, queue);
    }
    for (const queue of this.queues.values()) {
      queue.offsets = [...new Set(queue.offsets)].sort((a, b) => (a < b ? -1 : 1));
    }
  }

  topics(): string[] {
    return [...new Set([...this.queues.values()].map(({ topic }) => topic))];
  }

  firsts(): MessagePlace[] {
    return [...this.queues.values()].flatMap(({ topic, partition, offsets }) =>
      offsets[0] === undefined ? [] : [{ topic, partition, offset: offsets[0].toString() }],
    );
  }

  next(topic: string, partition: number): bigint | undefined {
    return this.queues.get(`${topic}/${partition}`)?.offsets[0];
  }

  taken(topic: string, partition: number): void {
    this.queues.get(`${topic}/${partition}`)?.offsets.shift();
  }

  isEmpty(): boolean {
    return [...this.queues.values()].every(({ offsets }) => offsets.length === 0);
  }
}
