import type { Admin, Kafka } from 'kafkajs';
import { countPartitions, partitionsIn } from './topics-admin.js';

/**
 * Counts a topic's partitions as {@link countPartitions} does, on a connection that is kept between the questions: making
 * one and closing it takes some milliseconds of every small job.
 *
 * - KA1: each question is answered by the brokers; nothing that was said before is used.
 * - KA2: a kept connection that fails in any way is given up, and the question is asked again on a fresh one, which is
 *   patient and says what is wrong.
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
      // Another question may have given it up already, and opened the next one.
      if (this.connecting === connecting) this.connecting = null;
      void disconnect(connecting);
      return (await countPartitions(this.kafka, [topic])).get(topic);
    }
  }

  async close(): Promise<void> {
    const { connecting } = this;
    this.connecting = null;
    if (connecting !== null) await disconnect(connecting);
  }

  private async connect(): Promise<Admin> {
    // KA2: patience is the fresh one's.
    const admin = this.kafka.admin({ retry: { retries: 0 } });
    await admin.connect();
    return admin;
  }
}

/** Does not throw: a connection that could not be made, or is broken, has nothing to close. */
async function disconnect(connecting: Promise<Admin>): Promise<void> {
  await connecting.then((admin) => admin.disconnect()).catch(() => undefined);
}
