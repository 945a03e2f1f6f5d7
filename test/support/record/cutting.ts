import fc from 'fast-check';
import { type CutPosition, createCutter } from '../../../libs/core/src/record/cutter.js';
import type { CuttingOptions, RawBatch } from '../../../libs/core/src/record/raw-batch.js';

export const START: CutPosition = { batch: 0, record: 0, line: 1, byte: 0 };

/** Cuts a whole source that comes in the given chunks. */
export function cutChunks(
  chunks: readonly Buffer[],
  options: CuttingOptions,
  from: CutPosition = START,
): RawBatch[] {
  const cutter = createCutter(options, from);
  const batches: RawBatch[] = [];
  for (const chunk of chunks) {
    // The cutter must not keep what it is given: chunks are reused by whoever reads the source.
    const reused = Buffer.from(chunk);
    batches.push(...cutter.push(reused));
    reused.fill(0xff);
  }
  return [...batches, ...cutter.end()];
}

/** One batch of all the records in it. */
export function batchOf(
  source: Buffer | string,
  format: CuttingOptions['format'] = 'csv',
  lineEnd: 'lf' | 'cr' = 'lf',
): RawBatch {
  const bytes = Buffer.from(source);
  const options = {
    format,
    lineEnd,
    maxBatchBytes: 2 ** 30,
    maxBatchRecords: 2 ** 30,
    maxRecordBytes: 2 ** 20,
    limitRecords: null,
  };
  const [batch] = cutChunks([bytes], options);
  return batch ?? { ...emptyBatch, bytes };
}

const emptyBatch = {
  batch: 0,
  firstRecord: 0,
  firstLine: 1,
  records: 0,
  lines: 0,
  byteStart: 0,
  byteEnd: 0,
  oversized: [],
};

/** Bytes out of few letters, so that quotes, commas and line ends meet in every way. */
export function trickySource(maxPieces = 80): fc.Arbitrary<Buffer> {
  const piece = fc.constantFrom(
    '"',
    '"',
    '""',
    ',',
    '\n',
    '\n',
    '\r\n',
    '\r',
    'a',
    'bc',
    '","',
    '"\n',
    '\n"',
    '東',
    ' ',
    '',
  );
  return fc.array(piece, { maxLength: maxPieces }).map((pieces) => Buffer.from(pieces.join('')));
}

/** The source in pieces, single bytes and empty ones among them. */
export function chunksOf(source: Buffer): fc.Arbitrary<Buffer[]> {
  const everyByte = fc.constant(Array.from(source.keys()));
  const some = fc.array(fc.nat(source.length), { maxLength: 12 });
  return fc.oneof(everyByte, some).map((cuts) => {
    const bounds = [0, ...cuts.sort((one, other) => one - other), source.length];
    return bounds.slice(1).map((end, at) => source.subarray(bounds[at], end));
  });
}
