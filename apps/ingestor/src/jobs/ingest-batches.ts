/** What a job does with a source of raw batches, where it reads head and bytes of a file. */
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset } from '#core/dataset/dataset.js';
import type { ChosenOfBatch } from '#core/job/chosen-records.js';
import type { Checkpoint } from '#core/job/job.entity.js';
import type { OpenedRaw } from '#core/raw-log/raw-log-message.js';
import type { SourceHead } from '#core/record/head/source-head.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { beginningOf, behind, chosenRecords, headOfRaw, wholeBatch } from '#core/replay/replayed-batch.js';
import type { BatchPublisher } from '../publish/batch-publisher.js';
import type { BatchSource } from '../sources/batch-source.js';

/** A source of batches whose first one is known. */
export interface OpenedBatches {
  /** In place of a file's head. */
  readonly head: SourceHead;
  /** What the earlier job stated as the source of its rows, where it stated one. */
  readonly provenance: Readonly<Record<string, string>>;
  /** Of the new job, in order. */
  readonly batches: AsyncIterable<RawBatch>;
  /** Bytes that the batches so far cover, counted apart from them, behind the head's. */
  readonly bytesRead: () => number;
}

/** What of the context that an earlier job stated of itself holds for its replay as well: where the records came from. */
const KEPT_PROVENANCE = 'sluice:source';

/**
 * @param chosen the records that the job takes; null: all
 * @returns null for a source without batches
 */
export async function openBatches(
  dataset: Dataset,
  source: BatchSource,
  chosen: AsyncGenerator<ChosenOfBatch> | null,
): Promise<OpenedBatches | null> {
  const iterator = source.batches[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) return null;
  const isWhole = chosen === null;
  const begin = beginningOf(first.value, isWhole);
  const { columns, context } = headOfRaw(first.value);
  let read = begin.byte;

  async function* all(): AsyncGenerator<OpenedRaw> {
    yield first.value as OpenedRaw;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  }

  async function* batches(): AsyncGenerator<RawBatch> {
    let next = begin;
    const wanted = chosen === null ? null : new Wanted(chosen);
    for await (const raw of all()) {
      if (raw.dataset !== dataset.name)
        throw new SluiceError('SOURCE_REFUSED', `The batches are of ${raw.dataset}, not of ${dataset.name}.`);
      const batch =
        wanted === null
          ? wholeBatch(raw, dataset, next)
          : chosenRecords(raw, dataset, await wanted.of(raw.batch.batch), next);
      if (batch === null) continue;
      read += batch.bytes.length + batch.unreadable.reduce((sum, one) => sum + one.bytes - one.keptBytes, 0);
      yield batch;
      next = behind(batch);
    }
  }

  const lineEnd = first.value.batch.lineEnd ?? 'lf';
  const prologue = { columns, context, dataStart: begin.byte, firstLine: begin.line, findings: [] };
  const kept = first.value.context[KEPT_PROVENANCE];
  return {
    head: { prologue, lineEnd, bytes: begin.byte, lines: begin.line - 1 },
    provenance: kept === undefined ? {} : { [KEPT_PROVENANCE]: kept },
    batches: batches(),
    bytesRead: () => read,
  };
}

/** Both ascend by batch. */
class Wanted {
  private next: ChosenOfBatch | null = null;

  constructor(private readonly chosen: AsyncGenerator<ChosenOfBatch>) {}

  async of(batch: number): Promise<ReadonlySet<number>> {
    while (this.next === null || this.next.batch < batch) {
      const found = await this.chosen.next();
      if (found.done === true) return new Set();
      this.next = found.value;
    }
    return new Set(this.next.batch === batch ? this.next.records : []);
  }
}

/** @returns the place behind the last record, when all of it is acknowledged; null when there is none */
export async function publishBatches(
  batches: AsyncIterable<RawBatch>,
  publisher: BatchPublisher,
): Promise<Checkpoint | null> {
  for await (const batch of batches) await publisher.publish(batch);
  await publisher.drain();
  return publisher.checkpoint;
}
