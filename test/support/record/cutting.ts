import fc from 'fast-check';
import { type CutPosition, createCutter } from '../../../libs/core/src/record/cutter.js';
import type { CsvDialect } from '../../../libs/core/src/dataset/csv-dialect.js';
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
    // The cutter must not keep what it is given: chunks are reused by the reader of the source.
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
  csv?: CsvDialect,
): RawBatch {
  const bytes = Buffer.from(source);
  const options = {
    format,
    csv,
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
  unreadable: [],
};

/** Bytes out of few characters, so that quotes, commas and line ends meet in every way. */
export function trickySource(maxPieces = 80, ownPieces: readonly string[] = []): fc.Arbitrary<Buffer> {
  const piece = fc.constantFrom(
    ...ownPieces,
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

/** Dialects of every kind, and the pieces of files in which their marks meet in every way. */
export function anyDialect(): fc.Arbitrary<{ csv: CsvDialect; pieces: string[] }> {
  return fc
    .record({
      delimiter: fc.constantFrom(',', ';', '\t', '|', ' ', '\x01'),
      quote: fc.constantFrom('"', '"', "'", null),
      escape: fc.constantFrom('doubled' as const, 'backslash' as const),
      skipLinesStartingWith: fc.constantFrom([], [], ['#'], ['#', 'a,', '"a']),
    })
    .map((csv) => {
      const { delimiter, escape, quote } = csv;
      const marks =
        quote === null ? [delimiter] : [quote, quote, `${quote}${delimiter}`, `${delimiter}${quote}`];
      const own = [delimiter, ...marks, ...marks, `${quote ?? ''}\n`, '#', '\na,', '\n#"', '\n"a'];
      const escapes = [
        '\\',
        '\\',
        '\\\\',
        '\\\n',
        '\\\r\n',
        '\\\r\r\n',
        `\\${quote ?? 'N'}`,
        `\\${delimiter}`,
      ];
      return { csv, pieces: escape === 'backslash' ? [...own, ...escapes] : own };
    });
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
