/**
 * Reads ranges of a topic's offsets, partition by partition.
 *
 * - TS1: each message of the ranges once, in order of partition and offset; the ranges say which, so that they are the same
 *   at every reading. Places without a message (marks of transactions, what was aborted or compacted) are skipped.
 * - TS2: what is not there any more ends the source, before anything is read where it can be known then: SOURCE_EXPIRED for
 *   deleted messages, SOURCE_CHANGED for a topic that was created again or has lost its end since the job began. One that
 *   was created again and has as many messages is found by the job's chain of hashes (JR2).
 * - TS3: the brokers' outages are no fault of the source: they end it as what they are, and the job tries again.
 */
import type { Kafka } from 'kafkajs';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import { OffsetOutOfRange, type PartitionEnds } from '#common/kafka/transport/offset-out-of-range.js';
import { type OffsetRange, readRanges } from '#common/kafka/transport/read-ranges.js';
import { TopicReader } from '#common/kafka/transport/topic-reader.js';
import type { Lifetime } from '../lifetime.js';
import type { MessageSource } from '../message-source.js';
import { TOPIC_IDENTITY, type TopicAddress } from './topic-address.js';

/** One partition is read at a time, so its share of an answer is all of it. */
const BYTES_AT_ONCE = 4 * 1024 * 1024;

/** @param hasBegun the job has read from the source before */
export async function openTopic(
  kafka: Kafka,
  address: TopicAddress,
  lifetime: Lifetime,
  hasBegun: boolean,
): Promise<Omit<MessageSource, 'close'>> {
  const { topic, ranges, display } = address;
  const reader = await opened(kafka, topic, display);
  lifetime.holds(() => reader.close());
  const ends = await reader.ends();
  const trouble = ranges
    .map((range) => troubleOf(address, range, ends, hasBegun))
    .find((each) => each !== null);
  if (trouble) throw trouble;
  if (ranges.every(({ from, to }) => from === to))
    throw new SluiceError('SOURCE_EMPTY', `${display} has no messages.`, { file: display });
  return {
    // Nothing that could differ: the address says which messages. That the job has begun is seen by what it kept.
    identity: TOPIC_IDENTITY,
    messages: messagesOf(reader, address, lifetime.signal),
  };
}

async function opened(kafka: Kafka, topic: string, display: string): Promise<TopicReader> {
  const limits = { maxBytes: BYTES_AT_ONCE, maxPartitionBytes: BYTES_AT_ONCE };
  try {
    return await TopicReader.open(kafka, topic, new Map(), limits);
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'TOPIC_MISSING') throw error;
    throw new SluiceError('SOURCE_NOT_FOUND', `${display}: the topic does not exist.`, { file: display });
  }
}

/** TS2, as far as the ends of the partition say it. */
function troubleOf(
  { display }: TopicAddress,
  { partition, from, to }: OffsetRange,
  ends: ReadonlyMap<number, PartitionEnds>,
  hasBegun: boolean,
): SluiceError | null {
  if (from === to) return null;
  const end = ends.get(partition);
  const file = { file: display };
  if (end === undefined || end.high < to) {
    const problem =
      end === undefined
        ? `the topic has no partition ${partition}`
        : `partition ${partition} ends at ${end.high}, before the range does`;
    return hasBegun
      ? new SluiceError('SOURCE_CHANGED', `${display} is not what this job began with: ${problem}.`, file)
      : new SluiceError('SOURCE_NOT_FOUND', `${display}: ${problem}.`, file);
  }
  if (end.low <= from) return null;
  return expired(display, partition, BigInt(from), end.low < to ? end.low : BigInt(to));
}

/** @param to behind the last deleted one of the range */
function expired(display: string, partition: number, from: bigint, to: bigint): SluiceError {
  return new SluiceError(
    'SOURCE_EXPIRED',
    `${display}: offsets ${from} to ${to - 1n} of partition ${partition} are deleted, ${to - from} of them in the range.`,
    { file: display },
  );
}

async function* messagesOf(
  reader: TopicReader,
  { ranges, display }: TopicAddress,
  signal: AbortSignal,
): AsyncGenerator<readonly ReadMessage[]> {
  try {
    yield* readRanges(reader, ranges, signal);
  } catch (error) {
    if (error instanceof OffsetOutOfRange && error.lost > 0n)
      throw expired(display, error.partition, error.wanted, error.ends.low);
    const isGone =
      error instanceof OffsetOutOfRange ||
      (error instanceof SluiceError &&
        (error.code === 'TOPIC_MISSING' || error.code === 'PARTITION_MISSING'));
    if (isGone)
      throw new SluiceError('SOURCE_CHANGED', `${display} changed while it was read: ${error.message}`, {
        file: display,
      });
    throw error;
  }
}
