import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import { SluiceError } from '../../errors/sluice-error.js';
import {
  type Cluster,
  EARLIEST,
  type FetchedPartition,
  LATEST,
  READ_COMMITTED,
  clusterOf,
  disconnectNow,
} from '../client/cluster.js';
import { committedOf } from '../client/committed-records.js';
import {
  brokerErrorCode,
  brokerErrorText,
  classifyBrokerError,
  kafkaErrorName,
} from '../client/kafka-errors.js';
import { undecodableOf } from '../client/record-batches.js';
import type { DecodedRecord } from '../client/record-reader.js';
import type { ReadMessage } from '../message.js';
import { OffsetOutOfRange, type PartitionEnds } from './offset-out-of-range.js';

export interface TopicReaderOptions {
  /** How long a broker may wait before it answers that nothing has come. */
  readonly maxWaitMs?: number;
  /** As messages travel, for each broker's answer; a single larger batch comes all the same. */
  readonly maxBytes?: number;
  /** Of one partition in one answer. */
  readonly maxPartitionBytes?: number;
}

const DEFAULTS = { maxWaitMs: 500, maxBytes: 4 * 1024 * 1024, maxPartitionBytes: 1024 * 1024 };

/** Leaders move within seconds; what lasts longer is the caller's to wait for. 0.1 + 0.2 + … + 2 s: about eight seconds. */
const MAX_ATTEMPTS = 8;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** A request to one broker, perhaps answered. */
interface Request {
  readonly asked: ReadonlyMap<number, bigint>;
  readonly done: Promise<void>;
  outcome: { readonly partitions: readonly FetchedPartition[] } | { readonly error: unknown } | null;
}

/**
 * Reads partitions of one topic from given offsets on, without a consumer group: what was read is the caller's to keep.
 *
 * - TR1: a partition's messages come once each, in the order of their offsets, from the given one on. Those of aborted
 *   transactions do not come, and those of open ones not yet.
 * - TR2: one request for each broker is under way at most, of bounded bytes; a quiet broker does not keep others back.
 * - TR3: nothing is skipped. A place that is not in its partition is an {@link OffsetOutOfRange}; messages that the
 *   brokers have and do not send are a BROKER_FAULT once nothing else is left to read; a batch that cannot be decoded is
 *   one message that says so.
 * - TR4: a failed fetch moves nothing: the next one asks for the same.
 */
export class TopicReader {
  private readonly positions = new Map<number, bigint>();
  private readonly requests = new Map<string, Request>();
  private readonly limits: Required<TopicReaderOptions>;
  private isClosed = false;

  private constructor(
    private readonly cluster: Cluster,
    readonly topic: string,
    options: TopicReaderOptions,
  ) {
    this.limits = { ...DEFAULTS, ...options };
  }

  /**
   * @param starts by partition the offset of the first message to be read
   * @throws SluiceError TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT
   */
  static async open(
    kafka: Kafka,
    topic: string,
    starts: ReadonlyMap<number, bigint>,
    options: TopicReaderOptions = {},
  ): Promise<TopicReader> {
    const cluster = clusterOf(kafka);
    const reader = new TopicReader(cluster, topic, options);
    try {
      await cluster.connect();
      await cluster.addTargetTopic(topic);
    } catch (error) {
      await reader.close();
      throw reader.described(error);
    }
    for (const [partition, offset] of starts) reader.moveTo(partition, offset);
    return reader;
  }

  /** Where each partition is read next. */
  get next(): ReadonlyMap<number, bigint> {
    return this.positions;
  }

  /** The next message of this partition is the one at `offset`, or the first one behind it. */
  moveTo(partition: number, offset: bigint): void {
    this.positions.set(partition, offset);
  }

  /** The partition is read no further. */
  leave(partition: number): void {
    this.positions.delete(partition);
  }

  /**
   * The next messages, partition by partition; empty when none has come within the wait.
   * @param signal ends the wait with its reason
   * @throws OffsetOutOfRange
   * @throws SluiceError TOPIC_MISSING, BROKER_FAULT; BROKER_UNAVAILABLE when leaders cannot be reached for some seconds
   */
  async fetch(signal: AbortSignal): Promise<readonly ReadMessage[]> {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await this.fetchOnce(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof SluiceError) throw error;
        if (kafkaErrorName(error) === 'OFFSET_OUT_OF_RANGE') await this.assertInRange();
        if (!passes(error) || attempt >= MAX_ATTEMPTS) throw this.described(error);
        await this.waitForLeaders(attempt, signal);
      }
    }
  }

  /**
   * What every partition of the topic has now, new ones included.
   * @throws SluiceError TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT
   */
  async ends(): Promise<ReadonlyMap<number, PartitionEnds>> {
    return this.endsAt(READ_COMMITTED);
  }

  /**
   * By partition the offset of its first message of this time or a later one; of partitions without one, its end.
   * @param timeMs since 1970, by the clock that the topic's timestamps are of
   * @throws SluiceError TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT
   */
  async offsetsAt(timeMs: number): Promise<ReadonlyMap<number, bigint>> {
    const [ends, found] = await this.listed(async (partitions) => [
      await this.offsetsOf(partitions, LATEST, READ_COMMITTED),
      await this.offsetsOf(partitions, String(Math.max(0, Math.floor(timeMs))), READ_COMMITTED),
    ]);
    return new Map(
      [...ends].map(([partition, end]) => {
        const offset = found.get(partition) ?? -1n;
        return [partition, offset < 0n ? end : offset];
      }),
    );
  }

  /** A fetch that is under way ends with an error. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.positions.clear();
    await disconnectNow(this.cluster, this.closedError()).catch(() => undefined);
  }

  private async fetchOnce(signal: AbortSignal): Promise<readonly ReadMessage[]> {
    await this.ask();
    if (this.requests.size === 0) {
      await delay(this.limits.maxWaitMs, undefined, { signal });
      return [];
    }
    await firstOf([...this.requests.values()], signal);
    const messages: ReadMessage[] = [];
    const troubles: unknown[] = [];
    for (const [nodeId, { asked, outcome }] of this.requests) {
      if (outcome === null) continue;
      this.requests.delete(nodeId);
      if ('error' in outcome) troubles.push(outcome.error);
      else {
        for (const fetched of outcome.partitions) {
          const trouble = this.take(fetched, asked.get(fetched.partition), messages);
          if (trouble !== null) troubles.push(trouble);
        }
      }
    }
    // TR3 and TR4: what is wrong with one partition is met again, and does not keep back what came of others.
    if (messages.length === 0 && troubles.length > 0) throw troubles[0];
    return messages;
  }

  private closedError(): SluiceError {
    return new SluiceError('INTERNAL', `The reader of ${this.topic} is closed.`);
  }

  /** Sends a request to each leader that has none under way. */
  private async ask(): Promise<void> {
    if (this.isClosed) throw this.closedError();
    await this.cluster.refreshMetadataIfNecessary();
    const known = new Set(this.partitions().map(({ partitionId }) => partitionId));
    // It may have been added since.
    if ([...this.positions.keys()].some((partition) => !known.has(partition)))
      await this.cluster.refreshMetadata();
    for (const [nodeId, asked] of this.byLeader(this.positions)) {
      if (this.requests.has(nodeId) || asked.size === 0) continue;
      const request: { -readonly [K in keyof Request]: Request[K] } = {
        asked,
        outcome: null,
        done: Promise.resolve(),
      };
      request.done = this.request(nodeId, asked).then(
        (partitions) => {
          request.outcome = { partitions };
        },
        (error: unknown) => {
          request.outcome = { error };
        },
      );
      this.requests.set(nodeId, request);
    }
  }

  private async request(
    nodeId: string,
    asked: ReadonlyMap<number, bigint>,
  ): Promise<readonly FetchedPartition[]> {
    const broker = await this.cluster.findBroker({ nodeId });
    const { maxWaitMs, maxBytes, maxPartitionBytes } = this.limits;
    const partitions = [...asked].map(([partition, offset]) => ({
      partition,
      fetchOffset: offset.toString(),
      maxBytes: maxPartitionBytes,
    }));
    const { responses } = await broker.fetch({
      isolationLevel: READ_COMMITTED,
      maxWaitTime: maxWaitMs,
      minBytes: 1,
      maxBytes,
      topics: [{ topic: this.topic, partitions }],
    });
    return responses.flatMap((response) => response.partitions);
  }

  /** @returns why a partition gives no more, or null */
  private take(fetched: FetchedPartition, from: bigint | undefined, into: ReadMessage[]): unknown {
    const { partition, messages, abortedTransactions } = fetched;
    // The partition was moved or left in the meantime.
    if (from === undefined || this.positions.get(partition) !== from) return null;
    const withheldAt = messages.findIndex((message) => undecodableOf(message)?.isWithheld);
    const sent = withheldAt === -1 ? messages : messages.slice(0, withheldAt);
    let isThere = false;
    for (const record of committedOf(sent, abortedTransactions ?? [])) {
      // Offsets ascend: a batch may begin before `from`, and what is behind its first one that counts does too.
      isThere ||= BigInt(record.offset) >= from;
      if (isThere) into.push(this.toRead(partition, record));
    }
    const next = nextOf(sent, from);
    this.positions.set(partition, next);
    const withheld = withheldAt === -1 ? undefined : messages[withheldAt];
    if (withheld === undefined) return null;
    return new SluiceError(
      'BROKER_FAULT',
      `${this.topic}/${partition}: ${undecodableOf(withheld)?.reason ?? 'a message is not sent'}. See docs/operations.md, "A broker that cannot read its own log".`,
    );
  }

  private toRead(partition: number, record: DecodedRecord): ReadMessage {
    const { offset, key, value, headers } = record;
    const undecodable = undecodableOf(record);
    return {
      place: { topic: this.topic, partition, offset },
      key,
      value,
      headers: headers as ReadMessage['headers'],
      timestamp: undecodable === null ? timeOf(record.timestamp) : -1,
      ...(undecodable === null
        ? {}
        : { undecodable: { firstOffset: undecodable.firstOffset, reason: undecodable.reason } }),
    };
  }

  /** @throws OffsetOutOfRange of the first partition whose place is not there */
  private async assertInRange(): Promise<void> {
    const ends = await this.endsAt(0);
    for (const [partition, wanted] of this.positions) {
      const has = ends.get(partition);
      if (has !== undefined && (wanted < has.low || wanted > has.high))
        throw new OffsetOutOfRange(this.topic, partition, wanted, has);
    }
  }

  private async endsAt(isolationLevel: number): Promise<ReadonlyMap<number, PartitionEnds>> {
    const [lows, highs] = await this.listed(async (partitions) => [
      await this.offsetsOf(partitions, EARLIEST, isolationLevel),
      await this.offsetsOf(partitions, LATEST, isolationLevel),
    ]);
    return new Map(
      [...highs].map(([partition, high]) => [partition, { low: lows.get(partition) ?? 0n, high }]),
    );
  }

  /** What `list` says of all partitions, those that were added lately included; asks again while leaders move. */
  private async listed<T>(list: (partitions: readonly number[]) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.cluster.refreshMetadata();
        return await list(this.partitions().map(({ partitionId }) => partitionId));
      } catch (error) {
        if (!passes(error) || attempt >= MAX_ATTEMPTS) throw this.described(error);
        await delay(pauseAfter(attempt));
      }
    }
  }

  private async offsetsOf(
    partitions: readonly number[],
    timestamp: string,
    isolationLevel: number,
  ): Promise<ReadonlyMap<number, bigint>> {
    const { topic } = this;
    const found = new Map<number, bigint>();
    const asked = new Map(partitions.map((partition) => [partition, 0n]));
    for (const [nodeId, ofLeader] of this.byLeader(asked)) {
      const broker = await this.cluster.findBroker({ nodeId });
      const { responses } = await broker.listOffsets({
        isolationLevel,
        topics: [{ topic, partitions: [...ofLeader.keys()].map((partition) => ({ partition, timestamp })) }],
      });
      for (const response of responses) {
        for (const { partition, offset } of response.partitions) found.set(partition, BigInt(offset));
      }
    }
    return new Map([...found].sort(([a], [b]) => a - b));
  }

  /** @throws SluiceError PARTITION_MISSING */
  private byLeader(wanted: ReadonlyMap<number, bigint>): Map<string, Map<number, bigint>> {
    const leaders = new Map(this.partitions().map(({ partitionId, leader }) => [partitionId, leader]));
    const grouped = new Map<string, Map<number, bigint>>();
    for (const [partition, offset] of wanted) {
      const leader = leaders.get(partition);
      if (leader === undefined)
        throw new SluiceError(
          'PARTITION_MISSING',
          `Partition ${partition} of ${this.topic} is not there: the topic has ${leaders.size}.`,
        );
      const group = grouped.get(String(leader)) ?? new Map<number, bigint>();
      grouped.set(String(leader), group.set(partition, offset));
    }
    return grouped;
  }

  private partitions(): readonly { readonly partitionId: number; readonly leader: number }[] {
    return [...this.cluster.findTopicPartitionMetadata(this.topic)].sort(
      (a, b) => a.partitionId - b.partitionId,
    );
  }

  private async waitForLeaders(attempt: number, signal: AbortSignal): Promise<void> {
    await delay(pauseAfter(attempt), undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
    // A broker that does not answer is met again by the next request, which says so.
    await this.cluster.refreshMetadata().catch(() => undefined);
  }

  private described(error: unknown): SluiceError {
    if (error instanceof SluiceError) return error;
    const { topic } = this;
    const isUnknown = classifyBrokerError(error) === 'unknown';
    return new SluiceError(
      isUnknown ? 'BROKER_UNAVAILABLE' : brokerErrorCode(error),
      `Reading ${topic} failed: ${brokerErrorText(error, { operation: 'READ', topic })}`,
      {},
      { cause: error },
    );
  }
}

/** Behind the last of them, and behind its batch when all of them stand before `from`: the rest of it was compacted away. */
function nextOf(messages: readonly DecodedRecord[], from: bigint): bigint {
  const last = messages.at(-1);
  if (last === undefined) return from;
  const behind = BigInt(last.offset) + 1n;
  if (behind > from) return behind;
  const { firstOffset, lastOffsetDelta } = last.batchContext;
  const behindBatch = BigInt(firstOffset) + BigInt(lastOffsetDelta) + 1n;
  return behindBatch > from ? behindBatch : from + 1n;
}

/** Milliseconds; what no number holds exactly is cut to what one does. */
function timeOf(timestamp: string): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(timestamp)));
}

/** Whether an error is the brokers' state, which passes by itself. */
function passes(error: unknown): boolean {
  const name = kafkaErrorName(error);
  // Of a topic whose leader has just moved or been made.
  if (name === 'UNKNOWN_TOPIC_OR_PARTITION' || name === 'OFFSET_OUT_OF_RANGE') return true;
  if (classifyBrokerError(error) === 'wait') return true;
  return error instanceof Error && 'retriable' in error && error.retriable === true;
}

function pauseAfter(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
}

/** Returns with the first answer; throws the signal's reason when it is aborted before. */
async function firstOf(requests: readonly Request[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    await Promise.race([...requests.map(({ done }) => done), aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
