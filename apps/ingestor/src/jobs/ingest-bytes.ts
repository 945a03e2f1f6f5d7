/** What a job does with a source of bytes: reads its head, cuts it into batches and publishes them. */
import { Readable } from 'node:stream';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset } from '#core/dataset/dataset.js';
import type { Checkpoint, Job } from '#core/job/job.entity.js';
import type { CutPosition, Cutter } from '#core/record/cutter.js';
import type { BatchPublisher } from '../publish/batch-publisher.js';
import type { ByteSource } from '../sources/byte-source.js';
import { type OpenedHead, readHead } from './read-head.js';
import { changedSource } from './same-source.js';

/** @returns the place behind the last record, when all of it is acknowledged; null for a source without records */
export async function cutAndPublish(
  cutter: Cutter,
  records: AsyncIterable<Buffer>,
  publisher: BatchPublisher,
): Promise<Checkpoint | null> {
  for await (const chunk of records) {
    for (const batch of cutter.push(chunk)) await publisher.publish(batch);
    if (cutter.done) break;
  }
  for (const batch of cutter.end()) await publisher.publish(batch);
  await publisher.drain();
  return publisher.checkpoint;
}

/** What follows `byte`: of a source that has come with its head nothing more will come, wherever it is moved. */
export function restOf({ whole }: OpenedHead, source: ByteSource, byte: number): AsyncIterable<Buffer> {
  return whole === null ? source.chunks : Readable.from([whole.subarray(byte)]);
}

/** The source from `byte` on, and how far it was read. */
export function countFrom(
  byte: number,
  chunks: AsyncIterable<Buffer>,
  expectedBytes: number | null,
): { records: AsyncIterable<Buffer>; bytesRead: () => number } {
  let read = byte;
  async function* records(): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      read += chunk.length;
      yield chunk;
    }
  }
  // What was skipped is not counted, so the length that the source itself states counts where it states one.
  return { records: records(), bytesRead: () => expectedBytes ?? read };
}

/** A head that is refused now and was not when the job began belongs to another source (JR2). */
export async function headOf(job: Job, dataset: Dataset, source: ByteSource): Promise<OpenedHead> {
  try {
    return await readHead(dataset, source.chunks, job.source.display);
  } catch (error) {
    if (job.head === null || !(error instanceof SluiceError) || error.code !== 'SOURCE_REFUSED') throw error;
    throw changedSource(job, error.message);
  }
}

/** Where cutting continues, with the source moved there; null when it is read from the start (JR2). */
export async function placeToBeginAt(
  job: Job,
  source: ByteSource,
  { whole }: OpenedHead,
): Promise<CutPosition | null> {
  const { checkpoint, republishFrom, sourceIdentity } = job;
  const { validator = null } = source.identity;
  if (checkpoint === null || republishFrom !== null) return null;
  if (validator === null || validator !== sourceIdentity?.validator) return null;
  if (whole === null && !(await source.skipTo(checkpoint.byteOffset))) return null;
  const { nextBatch: batch, nextRecord: record, nextLine: line, byteOffset: byte } = checkpoint;
  return { batch, record, line, byte };
}
