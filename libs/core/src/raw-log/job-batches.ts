/** Finds the raw batches of one job in the log, and gives them in the order of their numbers. */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { ReadMessage } from '#common/kafka/message.js';
import type { MessageSeal } from '../message/message-seal.js';
import { type OpenedRaw, labelOf, openRaw, openedRaw } from './raw-log-message.js';
import type { OffsetRange, RawLogReader } from './raw-log-reader.js';

/** Which messages of a job count. */
export interface WantedJob {
  readonly job: string;
  /** Messages of earlier claims are of a run that was given up (`Job.firstEpoch`). */
  readonly firstEpoch: number;
  /** Messages without a seal are not this job's (`Job.signed`). */
  readonly isSealed: boolean;
}

/** Where a batch stands. */
export interface BatchPlace {
  readonly batch: number;
  readonly records: number;
  readonly partition: number;
  readonly offset: string;
}

/** A message that holds a batch of some job. */
export interface FoundBatch extends BatchPlace {
  readonly job: string;
  readonly epoch: number;
  readonly isSealed: boolean;
}

/**
 * What a message holds, null when it is no raw batch: with a wrong seal or checksum it is none, for the validator either.
 * @param wanted only of this job, so that the value of others is not looked at
 */
export function foundIn(
  message: ReadMessage,
  seal: MessageSeal | null,
  wanted: string | null = null,
): FoundBatch | null {
  const label = labelOf(message);
  if (label === null || (wanted !== null && label.job !== wanted)) return null;
  const raw = openedRaw(message, seal);
  if (raw === null) return null;
  const { partition, offset } = message.place;
  return { ...label, partition, offset, isSealed: raw.isSealed };
}

/** The places of a job's batches, in the order of their numbers, each once: the first one of those that count. PURE. */
export function pickBatches(found: Iterable<FoundBatch>, wanted: WantedJob): BatchPlace[] {
  const places = new Map<number, BatchPlace>();
  for (const { job, epoch, isSealed, batch, records, partition, offset } of found) {
    const counts = job === wanted.job && epoch >= wanted.firstEpoch && (isSealed || !wanted.isSealed);
    if (counts && !places.has(batch)) places.set(batch, { batch, records, partition, offset });
  }
  return [...places.values()].sort((a, b) => a.batch - b.batch);
}

/**
 * Where each batch of a job stands in the ranges ({@link pickBatches}). Some numbers may be missing. The ranges are read through
 * once; what is held is a place for each batch.
 * @throws as `RawLogReader.scan`
 */
export async function findBatches(
  reader: RawLogReader,
  ranges: readonly OffsetRange[],
  wanted: WantedJob,
  seal: MessageSeal | null,
  signal: AbortSignal,
): Promise<BatchPlace[]> {
  const found: FoundBatch[] = [];
  for await (const messages of reader.scan(ranges, signal))
    for (const message of messages) {
      const one = foundIn(message, seal, wanted.job);
      if (one !== null) found.push(one);
    }
  return pickBatches(found, wanted);
}

/**
 * The batches at these places, one after the other.
 * @throws SluiceError MESSAGE_EXPIRED for a place that has no such batch any more; MESSAGE_INVALID; as `RawLogReader.at`
 */
export async function* batchesAt(
  reader: RawLogReader,
  places: Iterable<BatchPlace>,
  { job }: Pick<WantedJob, 'job'>,
  seal: MessageSeal | null,
  signal: AbortSignal,
): AsyncGenerator<{ readonly place: BatchPlace; readonly raw: OpenedRaw }> {
  for (const place of places) {
    const message = await reader.at(place, signal);
    const label = message === null ? null : labelOf(message);
    if (message === null || label?.job !== job || label.batch !== place.batch)
      throw new SluiceError(
        'MESSAGE_EXPIRED',
        `Batch ${place.batch} of job ${job} is no longer at ${reader.topic}/${place.partition}/${place.offset}.`,
        { job },
      );
    yield { place, raw: openRaw(message, seal) };
  }
}
