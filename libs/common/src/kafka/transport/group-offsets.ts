import type { Kafka } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import { type Cluster, clusterOf } from '../client/cluster.js';
import { brokerErrorText } from '../client/kafka-errors.js';

/** As a client without members commits: the group must have none. */
const NO_GENERATION = -1;

/** Commits offsets in the name of a consumer group that has no members, over a connection of its own. */
export class GroupOffsets {
  private cluster: Cluster | null = null;

  constructor(private readonly kafka: Kafka) {}

  /**
   * @param offsets by partition the offset of the first message that is not read yet
   * @throws SluiceError BROKER_UNAVAILABLE, whatever the reason: kafkajs has tried several times
   */
  async commit(group: string, topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    try {
      const cluster = await this.connected();
      const coordinator = await cluster.findGroupCoordinator({ groupId: group });
      const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }));
      await coordinator.offsetCommit({
        ...{ groupId: group, groupGenerationId: NO_GENERATION, memberId: '' },
        topics: [{ topic, partitions }],
      });
    } catch (cause) {
      throw new SluiceError(
        'BROKER_UNAVAILABLE',
        `Offsets of the group ${group} cannot be committed: ${brokerErrorText(cause)}`,
        {},
        { cause },
      );
    }
  }

  async close(): Promise<void> {
    await this.cluster?.disconnect().catch(() => undefined);
    this.cluster = null;
  }

  private async connected(): Promise<Cluster> {
    if (this.cluster !== null) return this.cluster;
    const cluster = clusterOf(this.kafka);
    await cluster.connect();
    this.cluster = cluster;
    return cluster;
  }
}
