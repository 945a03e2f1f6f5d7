import { SluiceError } from '#common/errors/sluice-error.js';
import { type Dataset, MAX_HEAD_BYTES, type Prologue } from '#core/dataset/dataset.js';
import { readSourceHead, refusalOf, type SourceHead } from '#core/record/head/source-head.js';

/** What a source's header says, and the stream from its very first byte on. */
export interface OpenedHead extends SourceHead {
  readonly prologue: Prologue;
  /** Every byte of the source from `prologue.dataStart` on. */
  readonly records: AsyncIterable<Buffer>;
  /** All of the source, where it has come already: then there is nothing left that could be skipped. */
  readonly whole: Buffer | null;
  /** Bytes of the source that came so far, from byte 0, counted apart from whatever was made of them. */
  readonly bytesRead: () => number;
}

/**
 * Reads MAX_HEAD_BYTES of the source, or all of it, and asks the dataset what it is.
 * @throws SluiceError SOURCE_REFUSED with the errors of the head, SOURCE_EMPTY, DATASET_CODE_FAILED
 */
export async function readHead(
  dataset: Dataset,
  chunks: AsyncIterable<Buffer>,
  file: string,
): Promise<OpenedHead> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    return await openHead(dataset, iterator, file);
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

async function openHead(
  dataset: Dataset,
  iterator: AsyncIterator<Buffer>,
  file: string,
): Promise<OpenedHead> {
  const taken: Buffer[] = [];
  let read = 0;
  let isWhole = false;
  while (!isWhole && read < MAX_HEAD_BYTES) {
    const next = await iterator.next();
    if (next.done === true) isWhole = true;
    else {
      taken.push(next.value);
      read += next.value.length;
    }
  }
  if (read === 0) throw new SluiceError('SOURCE_EMPTY', 'The source has no bytes.', { file });
  const bytes = Buffer.concat(taken);
  const head = readSourceHead(dataset, bytes, isWhole);
  const refusal = refusalOf(head.prologue);
  if (refusal !== null) {
    const { line = 1 } = head.prologue.findings[0] ?? {};
    throw new SluiceError('SOURCE_REFUSED', `${file}: ${refusal}`, { file, line, dataset: dataset.name });
  }
  async function* records(): AsyncGenerator<Buffer> {
    try {
      const first = bytes.subarray(head.prologue.dataStart);
      if (first.length > 0) yield first;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        read += next.value.length;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { ...head, records: records(), whole: isWhole ? bytes : null, bytesRead: () => read };
}
