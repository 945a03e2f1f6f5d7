import type { Kafka } from 'kafkajs';
import { countPartitions } from './topics-admin.js';

/** A topic that has grown is noticed after so long at the latest. */
const MAX_AGE_MS = 30_000;

/**
 * How many partitions topics have, asked rarely. Counts grow at any time and never shrink but by deleting the topic, so
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
    if (known && this.now() - known.askedAt < MAX_AGE_MS) return known.count;
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

  /** Asks again at the next look. */
  forget(topic: string): void {
    this.known.delete(topic);
  }

  private async ask(topic: string): Promise<number> {
    const count = (await countPartitions(this.kafka, [topic])).get(topic) ?? 1;
    this.known.set(topic, { count, askedAt: this.now() });
    return count;
  }
}
