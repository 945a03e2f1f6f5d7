import { SluiceError } from '#common/errors/sluice-error.js';
import { type Dataset, MAX_HEAD_BYTES, type Prologue } from '#core/dataset/dataset.js';

/** What the head of a source says, and the stream from its very first byte on. */
export interface OpenedHead {
  readonly prologue: Prologue;
  /** Every byte of the source from `prologue.dataStart` on. */
  readonly records: AsyncIterable<Buffer>;
}

/**
 * Reads as much of the source as the dataset's prologue needs, at most MAX_HEAD_BYTES.
 * @throws SluiceError SOURCE_REFUSED with every error of the prologue, SOURCE_EMPTY
 */
export async function readHead(
  dataset: Dataset,
  chunks: AsyncIterable<Buffer>,
  file: string,
): Promise<OpenedHead> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let prologue: Prologue | undefined;
  while (!prologue) {
    const next = await iterator.next();
    if (!next.done) head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
    if (next.done && head.length === 0)
      throw new SluiceError('SOURCE_EMPTY', 'The source has no bytes.', { file });
    const complete = next.done === true || head.length >= MAX_HEAD_BYTES;
    prologue = dataset.prologue(head, complete);
    if (!prologue && complete) {
      throw new SluiceError('DATASET_INVALID', `The prologue of ${dataset.name} did not decide.`, { file });
    }
  }
  const errors = prologue.findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    await iterator.return?.();
    const reasons = errors.map(({ code, message }) => `${code}: ${message}`).join(' ');
    throw new SluiceError('SOURCE_REFUSED', reasons, { file, line: 1, dataset: dataset.name });
  }
  return { prologue, records: restOf(head.subarray(prologue.dataStart), iterator) };
}

async function* restOf(first: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (first.length > 0) yield first;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
