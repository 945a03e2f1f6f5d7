/**
 * Reads the raw batches of one job from the raw topic, in the order of their numbers.
 *
 * - RS1: each batch of the job in the ranges once, however often it stands there; the address says how many they are, so that
 *   they are the same at every reading.
 * - RS2: what is not there any more ends the source when it is opened: SOURCE_EXPIRED for what retention has deleted, and
 *   SOURCE_CHANGED where the topic is another one since the job began. What is deleted later ends it where it is met.
 * - RS3: only what carries the deployment's seal counts, where the job's messages are sealed.
 * - RS4: the brokers' outages are no fault of the source: they end it as what they are, and the job tries again.
 */
import type { Kafka } from 'kafkajs';
import { SluiceError } from '#common/errors/sluice-error.js';
import { OffsetOutOfRange, type PartitionEnds } from '#common/kafka/transport/offset-out-of-range.js';
import type { MessageSeal } from '#core/message/message-seal.js';
import { type BatchPlace, batchesAt, findBatches } from '#core/raw-log/job-batches.js';
import type { OpenedRaw } from '#core/raw-log/raw-log-message.js';
import { type OffsetRange, RawLogReader } from '#core/raw-log/raw-log-reader.js';
import type { SourceIdentity } from '#core/source/source-identity.js';
import type { BatchSource } from '../batch-source.js';
import type { Lifetime } from '../lifetime.js';
import type { RawAddress } from './raw-address.js';

/** Offsets and the chain of hashes identify the content; an own part, though empty, says that the job has begun. */
const RAW_IDENTITY: SourceIdentity = {
  bytes: null,
  etag: null,
  lastModified: null,
  validator: null,
  own: {},
};

/** @param hasBegun the job has read from the source before */
export async function openRawBatches(
  kafka: Kafka,
  address: RawAddress,
  seal: MessageSeal | null,
  lifetime: Lifetime,
  hasBegun: boolean,
): Promise<Omit<BatchSource, 'close'>> {
  const { ranges, display, isSealed } = address;
  if (isSealed && seal === null)
    throw new SluiceError(
      'SETTING_INVALID',
      `${display}: the batches are sealed, and this ingestor has no SLUICE_MESSAGE_KEY to check that.`,
      { file: display },
    );
  const reader = await opened(kafka, address);
  lifetime.holds(() => reader.close());
  const ends = await reader.ends();
  const there = ranges.map((range) => whatIsThere(range, ends));
  if (ranges.every(({ from, to }) => from === to))
    throw new SluiceError('SOURCE_EMPTY', `${display} has no batches.`, { file: display });
  const places = await found(reader, there, address, seal, lifetime.signal);
  if (places.length !== address.batches) {
    const isExpired = places.length < address.batches && ranges.some((range) => isCut(range, ends));
    throw missing(address, places.length, hasBegun && !isExpired);
  }
  return { identity: RAW_IDENTITY, batches: batchesOf(reader, places, address, seal, lifetime.signal) };
}

async function opened(kafka: Kafka, { dataset, ranges, display }: RawAddress): Promise<RawLogReader> {
  try {
    return await RawLogReader.open(kafka, dataset, ranges.length);
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== 'TOPIC_MISSING') throw error;
    throw new SluiceError('SOURCE_NOT_FOUND', `${display}: the topic does not exist.`, { file: display });
  }
}

/** The part of a range that its partition has. */
function whatIsThere(
  { partition, from, to }: OffsetRange,
  ends: ReadonlyMap<number, PartitionEnds>,
): OffsetRange {
  const { low, high } = ends.get(partition) ?? { low: 0n, high: 0n };
  const end = Math.min(to, Number(high));
  return { partition, from: Math.min(end, Math.max(from, Number(low))), to: end };
}

function isCut({ partition, from, to }: OffsetRange, ends: ReadonlyMap<number, PartitionEnds>): boolean {
  const low = ends.get(partition)?.low ?? 0n;
  return low > BigInt(from) && from < to;
}

async function found(
  reader: RawLogReader,
  ranges: readonly OffsetRange[],
  address: RawAddress,
  seal: MessageSeal | null,
  signal: AbortSignal,
): Promise<BatchPlace[]> {
  try {
    return await findBatches(reader, ranges, address, seal, signal);
  } catch (error) {
    throw described(error, address);
  }
}

async function* batchesOf(
  reader: RawLogReader,
  places: readonly BatchPlace[],
  address: RawAddress,
  seal: MessageSeal | null,
  signal: AbortSignal,
): AsyncGenerator<OpenedRaw> {
  try {
    for await (const { raw } of batchesAt(reader, places, address, seal, signal)) yield raw;
  } catch (error) {
    throw described(error, address);
  }
}

/** RS2 and RS4 */
function described(error: unknown, { display }: RawAddress): unknown {
  const file = { file: display };
  if (error instanceof OffsetOutOfRange && error.lost > 0n)
    return new SluiceError('SOURCE_EXPIRED', `${display}: ${error.message}`, file);
  const isGone =
    error instanceof SluiceError &&
    ['MESSAGE_EXPIRED', 'MESSAGE_INVALID', 'TOPIC_MISSING', 'PARTITION_MISSING'].includes(error.code);
  if (!isGone) return error;
  return new SluiceError('SOURCE_CHANGED', `${display} changed while it was read: ${error.message}`, file);
}

function missing({ display, batches, job }: RawAddress, there: number, isChanged: boolean): SluiceError {
  const what = `${there} of ${batches} batches of job ${job} are in the topic`;
  return new SluiceError(
    isChanged || there > batches ? 'SOURCE_CHANGED' : 'SOURCE_EXPIRED',
    isChanged || there > batches
      ? `${display} is not what this job began with: ${what}.`
      : `${display}: ${what}.`,
    { file: display },
  );
}
