import type { Admin, Kafka } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { brokerErrorCode, brokerErrorText, kafkaErrorName } from '../client/kafka-errors.js';
import { countPartitions, partitionsIn, withAdmin } from './topics-admin.js';

/** What a partition holds: [low, high). */
export interface HeldOffsets {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Counts a topic's partitions as {@link countPartitions} does, on a connection that is kept between the questions: making
 * one and closing it takes some milliseconds of every small job.
 *
 * - AD1: the brokers answer each question; no earlier answer is used.
 * - AD2: a kept connection that fails in any way is dropped, and the question is asked again on a new one, which retries
 *   and names the error.
 */
export class KeptAdmin {
  private connecting: Promise<Admin> | null = null;

  constructor(private readonly kafka: Kafka) {}

  /** @throws SluiceError TOPIC_MISSING, BROKER_FAULT, BROKER_UNAVAILABLE */
  async countPartitions(topic: string): Promise<number | undefined> {
    const connecting = (this.connecting ??= this.connect());
    try {
      return (await partitionsIn(await connecting, [topic])).get(topic);
    } catch {
      // Another question may have dropped it already, and opened the next one.
      if (this.connecting === connecting) this.connecting = null;
      void disconnect(connecting);
      return (await countPartitions(this.kafka, [topic])).get(topic);
    }
  }

  /**
   * What every partition of the topic holds now, messages of open transactions included.
   * @throws SluiceError TOPIC_MISSING, BROKER_FAULT, BROKER_UNAVAILABLE
   */
  async offsetsOf(topic: string): Promise<HeldOffsets[]> {
    const connecting = (this.connecting ??= this.connect());
    try {
      return await offsetsIn(await connecting, topic);
    } catch {
      if (this.connecting === connecting) this.connecting = null;
      void disconnect(connecting);
      try {
        return await withAdmin(this.kafka, (admin) => offsetsIn(admin, topic));
      } catch (error) {
        const code =
          kafkaErrorName(error) === 'UNKNOWN_TOPIC_OR_PARTITION' ? 'TOPIC_MISSING' : brokerErrorCode(error);
        throw new SluiceError(
          code,
          `Cannot read ${topic}: ${brokerErrorText(error, { operation: 'DESCRIBE', topic })}`,
          {},
          { cause: error },
        );
      }
    }
  }

  async close(): Promise<void> {
    const { connecting } = this;
    this.connecting = null;
    if (connecting !== null) await disconnect(connecting);
  }

  private async connect(): Promise<Admin> {
    // AD2: only the new one retries.
    const admin = this.kafka.admin({ retry: { retries: 0 } });
    await admin.connect();
    return admin;
  }
}

async function offsetsIn(admin: Admin, topic: string): Promise<HeldOffsets[]> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return offsets
    .map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }))
    .sort((a, b) => a.partition - b.partition);
}

/** Does not throw: a connection that could not be made, or is broken, has nothing to close. */
async function disconnect(connecting: Promise<Admin>): Promise<void> {
  await connecting.then((admin) => admin.disconnect()).catch(() => undefined);
}
