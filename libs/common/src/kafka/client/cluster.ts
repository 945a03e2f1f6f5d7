/**
 * kafkajs's own connection to a cluster, below its consumers: which broker leads a partition, and single requests to it.
 * kafkajs offers it to none but its own parts; `topic-reader.medium-spec.ts` reads from a real broker through it.
 */
import type { Kafka } from 'kafkajs';
import type { AbortedTransaction } from './committed-records.js';
import type { DecodedRecord } from './record-reader.js';

/** As the protocol numbers it: messages of transactions that are open or aborted are not given. */
export const READ_COMMITTED = 1;
/** What a broker is asked for instead of a time: the first offset it has, and the one behind the last. */
export const EARLIEST = '-2';
export const LATEST = '-1';

export interface FetchQuestion {
  readonly isolationLevel: number;
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly fetchOffset: string;
      readonly maxBytes: number;
    }[];
  }[];
}

export interface FetchedPartition {
  readonly partition: number;
  readonly lastStableOffset?: string;
  readonly highWatermark: string;
  readonly abortedTransactions?: readonly AbortedTransaction[];
  readonly messages: readonly DecodedRecord[];
}

export interface OffsetsQuestion {
  readonly isolationLevel: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly timestamp: string }[];
  }[];
}

export interface OffsetsToCommit {
  readonly groupId: string;
  readonly groupGenerationId: number;
  readonly memberId: string;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
  }[];
}

interface ClusterBroker {
  offsetCommit(commit: OffsetsToCommit): Promise<unknown>;
  fetch(question: FetchQuestion): Promise<{
    readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[];
  }>;
  listOffsets(question: OffsetsQuestion): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[];
  }>;
}

interface Connection {
  readonly socket?: { destroy(): void } | null;
  rejectRequests(reason: Error): void;
}

interface BrokerPool {
  readonly seedBroker?: PooledBroker;
  readonly brokers: Readonly<Record<string, PooledBroker>>;
}

interface PooledBroker {
  readonly connectionPool: { readonly pool: readonly Connection[] };
}

/** The part of kafkajs's `Cluster` that is used here. */
export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(
    topic: string,
  ): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(of: { readonly nodeId: string }): Promise<ClusterBroker>;
  findGroupCoordinator(of: { readonly groupId: string }): Promise<ClusterBroker>;
  readonly brokerPool: BrokerPool;
}

/**
 * Disconnects at once. What is under way fails with the reason: kafkajs by itself waits for the answer, which a broker
 * without news gives only after the wait that it was asked for.
 */
export async function disconnectNow(cluster: Cluster, reason: Error): Promise<void> {
  const { seedBroker, brokers } = cluster.brokerPool;
  for (const { connectionPool } of [...(seedBroker ? [seedBroker] : []), ...Object.values(brokers)])
    for (const connection of connectionPool.pool) {
      connection.rejectRequests(reason);
      connection.socket?.destroy();
    }
  await cluster.disconnect();
}

type CreateCluster = (options: {
  readonly metadataMaxAge: number;
  readonly allowAutoTopicCreation: boolean;
  readonly isolationLevel: number;
}) => Cluster;

/** Metadata is asked for again after this long even when nothing fails: partitions may have been added. */
const METADATA_MAX_AGE_MS = 60_000;

/** A connection of its own with the client's settings; to be connected first. */
export function clusterOf(kafka: Kafka): Cluster {
  const hidden = kafka as unknown as Record<symbol, unknown>;
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  );
  const create = symbol === undefined ? undefined : hidden[symbol];
  if (typeof create !== 'function') throw new TypeError('kafkajs has another inside than it is known for.');
  return (create as CreateCluster)({
    metadataMaxAge: METADATA_MAX_AGE_MS,
    allowAutoTopicCreation: false,
    isolationLevel: READ_COMMITTED,
  });
}
