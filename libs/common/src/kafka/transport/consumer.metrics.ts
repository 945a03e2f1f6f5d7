import type { Batch, KafkaMessage } from 'kafkajs';
import type { Counter, Registry } from 'prom-client';
import type { ErrorCode } from '../../errors/error-codes.js';
import { counter, gauge } from '../../telemetry/metrics.js';

/** They count from 0, so that the first one is an increase. */
const ORDINARY_REASONS = [
  'BROKER_UNAVAILABLE',
  'DATABASE_UNAVAILABLE',
  'INTERNAL',
] as const satisfies readonly ErrorCode[];

/** Where a partition stands, as of its last fetch or commit. */
interface PartitionLag {
  readonly topic: string;
  readonly records: number;
  /** Time of the message that was delivered or committed last, in milliseconds. */
  readonly writtenAt: number;
}

/** How one consumer group does in this process: of the partitions that it has fetched from since it last joined. */
export class ConsumerMetrics {
  private readonly partitions = new Map<string, PartitionLag>();
  private readonly topics = new Set<string>();
  private readonly rebalances: Counter<'group'>;
  private readonly retries: Counter<'group' | 'reason'>;

  /** @param now in milliseconds of the epoch, as messages have it */
  constructor(
    registry: Registry,
    private readonly group: string,
    now: () => number = () => Date.now(),
  ) {
    this.rebalances = counter(registry, 'sluice_rebalances_total');
    this.retries = counter(registry, 'sluice_delivery_retries_total');
    this.rebalances.inc({ group }, 0);
    for (const reason of ORDINARY_REASONS) this.retries.inc({ group, reason }, 0);
    gauge(registry, 'sluice_consumer_lag_seconds', (seconds) => {
      const behind = [...this.partitions.values()].filter(({ records }) => records > 0);
      const ages = behind.map(({ writtenAt }) => (now() - writtenAt) / 1_000);
      seconds.set({ group }, Math.max(0, ...ages));
    });
    gauge(registry, 'sluice_consumer_lag_records', (records) => {
      for (const topic of this.topics) records.set({ group, topic }, this.recordsOf(topic));
    });
  }

  delivering({ topic, partition, highWatermark }: Batch, { offset, timestamp }: KafkaMessage): void {
    this.reached(topic, partition, BigInt(offset), BigInt(highWatermark), Number(timestamp));
  }

  /** What follows the last message of a fetch, as marks of transactions, is handled with it. */
  handled(batch: Batch, { offset, timestamp }: KafkaMessage): void {
    const { topic, partition, highWatermark } = batch;
    const last = offset === batch.messages.at(-1)?.offset ? batch.lastOffset() : offset;
    this.reached(topic, partition, BigInt(last) + 1n, BigInt(highWatermark), Number(timestamp));
  }

  /**
   * A partition has come this far.
   * @param next the offset that is handled next
   * @param high the offset behind the last message
   * @param writtenAt time of the message that was delivered last, in milliseconds
   */
  reached(topic: string, partition: number, next: bigint, high: bigint, writtenAt: number): void {
    this.topics.add(topic);
    const records = Math.max(0, Number(high - next));
    this.partitions.set(`${topic}/${partition}`, { topic, records, writtenAt });
  }

  /** Partitions were reassigned: what other consumers have now is theirs to measure. */
  joined(): void {
    this.partitions.clear();
    this.rebalances.inc({ group: this.group });
  }

  /** A delivery failed and comes again. */
  retried(reason: ErrorCode): void {
    this.retries.inc({ group: this.group, reason });
  }

  private recordsOf(topic: string): number {
    return [...this.partitions.values()]
      .filter((partition) => partition.topic === topic)
      .reduce((sum, { records }) => sum + records, 0);
  }
}
