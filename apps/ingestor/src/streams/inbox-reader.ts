import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import type { StreamPauseDetail } from '#api/streams.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import { linkAborts } from '#common/lifecycle/linked-abort.js';
import {
  type InboxFindings,
  type LogEnds,
  type StreamPosition,
  compareWithInbox,
  nextOf,
  rangesText,
} from '#core/stream/position.js';
import { type InboxMessage, fingerprintOf, inboxMessage } from './stream-job.js';

/** A fetch that brings nothing ends after this: the caller has other things to look at as well. */
export const LONGEST_FETCH_MS = 1_000;
/** A broker answers an idle stream's question after this. */
const MAX_WAIT_MS = 2_000;
/** And a busy one after this much more. */
const MAX_ANSWER_MS = 3_000;
/** Brokers that have not answered for longer are away, or cannot be reached. */
export const LONGEST_ANSWER_MS = MAX_WAIT_MS + MAX_ANSWER_MS;
const MAX_FETCH_BYTES = 4 * 1024 * 1024;
const MAX_PARTITION_BYTES = 1024 * 1024;

/**
 * Reads a dataset's inbox from the position of its stream on.
 *
 * - IR1: what was fetched is in no job: the caller keeps it, or another reader reads it again from the position.
 * - IR2: before the first message is read, and again after each loss of the brokers, the position is compared with what the
 *   inbox holds, by offsets and by the last message that was taken (PO3).
 * - IR3: `next` moves with what the caller has got, never with an answer that has come and is not taken: the stream passes what
 *   lies before it and is in no range.
 */
export class InboxReader {
  private asked: Promise<readonly ReadMessage[]> | null = null;
  /** When it last answered, or was asked again after a while without questions. */
  private answeredAt = performance.now();
  /** Behind what was handed over: an answer may have come that is not yet taken. */
  private behind = new Map<number, bigint>();

  private constructor(
    private readonly kafka: Kafka,
    private readonly reader: TopicReader,
  ) {}

  /** @throws SluiceError TOPIC_MISSING, BROKER_UNAVAILABLE, BROKER_FAULT */
  static async open(kafka: Kafka, topic: string): Promise<InboxReader> {
    const limits = {
      ...{ maxWaitMs: MAX_WAIT_MS, maxBytes: MAX_FETCH_BYTES },
      maxPartitionBytes: MAX_PARTITION_BYTES,
    };
    return new InboxReader(kafka, await TopicReader.open(kafka, topic, new Map(), limits));
  }

  get topic(): string {
    return this.reader.topic;
  }

  /** Every partition's, new ones included. @throws as {@link open} */
  async ends(): Promise<LogEnds[]> {
    const ends = await this.reader.ends();
    return [...ends]
      .map(([partition, { low, high }]) => ({ partition, low: Number(low), high: Number(high) }))
      .sort((a, b) => a.partition - b.partition);
  }

  /** IR2 @throws as {@link open} */
  async compare(
    position: StreamPosition,
    ends: readonly LogEnds[],
    signal: AbortSignal,
  ): Promise<InboxFindings> {
    const found = compareWithInbox(position, ends);
    const recreated = new Set([...found.recreated, ...(await this.restarted(position, ends, signal))]);
    return { lost: found.lost, recreated: [...recreated].sort((a, b) => a - b) };
  }

  /** Reads every partition from the position on; those that are read already, where they are. */
  readFrom(position: StreamPosition, ends: readonly LogEnds[]): void {
    for (const { partition } of ends) {
      if (this.behind.has(partition)) continue;
      const next = BigInt(nextOf(position, partition));
      this.reader.moveTo(partition, next);
      this.behind.set(partition, next);
    }
  }

  /** Behind what was handed over of each partition, and behind what no reader sees. */
  get next(): StreamPosition {
    return Object.fromEntries(
      [...this.behind].map(([partition, next]) => [partition, { next: Number(next) }]),
    );
  }

  /** The brokers have not answered for longer than a question may take: they are away, or cannot be reached. */
  get isSilent(): boolean {
    return performance.now() - this.answeredAt > LONGEST_ANSWER_MS;
  }

  /**
   * @param ms ends the wait, with no messages; the question stays, and its answer is the next call's
   * @param signal the same one at every call
   * @throws the signal's reason; OffsetOutOfRange; SluiceError as {@link open}
   */
  async fetch(ms: number, signal: AbortSignal): Promise<readonly InboxMessage[]> {
    if (this.asked === null) {
      this.asked = this.reader.fetch(signal);
      this.answeredAt = performance.now();
    }
    const { asked } = this;
    let messages: readonly ReadMessage[] | null;
    try {
      messages = await within(asked, Math.min(ms, LONGEST_FETCH_MS), signal);
    } catch (error) {
      this.asked = null;
      throw error;
    }
    if (messages === null) return [];
    this.asked = null;
    this.answeredAt = performance.now();
    this.behind = new Map(this.reader.next);
    const now = Date.now();
    return messages.map((message) => inboxMessage(message, now));
  }

  async close(): Promise<void> {
    await this.reader.close();
  }

  /** Partitions that hold another message where the last one that was taken stood. */
  private async restarted(
    position: StreamPosition,
    ends: readonly LogEnds[],
    signal: AbortSignal,
  ): Promise<number[]> {
    const wanted = new Map(
      ends.flatMap(({ partition, low, high }) => {
        const last = position[partition]?.last;
        return last !== undefined && last.offset >= low && last.offset < high
          ? [[partition, last] as const]
          : [];
      }),
    );
    if (wanted.size === 0) return [];
    const starts = new Map([...wanted].map(([partition, { offset }]) => [partition, BigInt(offset)]));
    // The broker sends one batch of each partition at least.
    const reader = await TopicReader.open(this.kafka, this.topic, starts, { maxPartitionBytes: 1 });
    const other: number[] = [];
    try {
      while (reader.next.size > 0) {
        const messages = await reader.fetch(signal);
        const first = new Map<number, ReadMessage>();
        for (const message of messages)
          if (!first.has(message.place.partition)) first.set(message.place.partition, message);
        for (const [partition, next] of reader.next) {
          const last = wanted.get(partition);
          if (last === undefined || next <= BigInt(last.offset)) continue;
          const message = first.get(partition);
          // Gone by compaction or an aborted transaction: nothing can be said.
          const isThere = message?.place.offset === String(last.offset);
          if (isThere && fingerprintOf(message) !== last.sha256) other.push(partition);
          reader.leave(partition);
        }
      }
    } finally {
      await reader.close();
    }
    return other;
  }
}

/** @returns null when it takes longer @throws what the work throws, or the signal's reason */
async function within<T>(work: Promise<T>, ms: number, signal: AbortSignal): Promise<T | null> {
  const settled = new AbortController();
  const { signal: over, unlink } = linkAborts(signal, settled.signal);
  const waited = delay(ms, null, { signal: over }).catch(() => null);
  // Whichever is first, the other's end is not missed.
  work.catch(() => undefined);
  try {
    const first = await Promise.race([work, waited]);
    signal.throwIfAborted();
    return first;
  } finally {
    settled.abort();
    unlink();
  }
}

/** Why a stream stands when messages are gone. @param recreated none: messages were deleted before they were read */
export function lossDetail(
  dataset: string,
  topic: string,
  { lost, recreated }: InboxFindings,
): StreamPauseDetail {
  if (recreated.length > 0) {
    const { code, message, action } = new SluiceError(
      'INBOX_RECREATED',
      `${topic} is not the topic that the stream of ${dataset} has read: partition ${recreated.join(', ')} holds other messages, or fewer, than were taken from it.`,
      { dataset },
    );
    return { code, message, action, lost };
  }
  const count = lost.reduce((sum, { from, to }) => sum + to - from, 0);
  const { code, message, action } = new SluiceError(
    'INBOX_EXPIRED',
    `${count} offsets of ${topic} were deleted before the stream of ${dataset} had read them: ${rangesText(lost)}.`,
    { dataset },
  );
  return { code, message, action, lost };
}
