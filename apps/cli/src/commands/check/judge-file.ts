import { createReadStream } from 'node:fs';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { type Dataset, MAX_HEAD_BYTES, type OptionValues, type WriteMode } from '#core/dataset/dataset.js';
import { createCutter } from '#core/record/cutter.js';
import { readSourceHead, refusalOf, type SourceHead } from '#core/record/head/source-head.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { isDecoded } from '#core/source/encoding.js';
import { decoded } from '#core/source/text-decoding.js';
import { BatchJudge } from './batch-judge.js';
import { type FileVerdict, type PlacedFinding, VerdictSums } from './verdict-sums.js';

/** Judges a file as the services would, in one process, batch by batch. */

/**
 * @param chunks of any size
 * @param name what to call them
 * @param onFindings receives the findings batch by batch, those of a batch in the order of their lines
 * @throws SluiceError USAGE_INVALID when the file is packed or cannot be read, DATASET_CODE_FAILED
 */
export async function judgeChunks(
  dataset: Dataset,
  options: OptionValues,
  mode: WriteMode,
  chunks: AsyncIterable<Buffer>,
  name: string,
  onFindings: (findings: readonly PlacedFinding[]) => Promise<void>,
): Promise<FileVerdict> {
  const { iterator, ...source } = await openFile(dataset, chunks, name);
  const { prologue } = source.head;
  const sums = new VerdictSums();
  const headFindings = prologue.findings.map((finding) => ({ ...finding, line: finding.line ?? 1 }));
  sums.addFindings(headFindings);
  await onFindings(headFindings);
  if (refusalOf(prologue) !== null) return sums.verdict(true, false);

  const judge = new BatchJudge(dataset, { options, mode, name, ...prologue }, sums, onFindings);
  const cutting = {
    ...DEFAULT_CUTTING,
    format: dataset.format,
    csv: dataset.csv,
    limitRecords: null,
    lineEnd: source.head.lineEnd,
  };
  const from = { batch: 0, record: 0, line: prologue.firstLine, byte: prologue.dataStart };
  const cutter = createCutter(cutting, from);
  for (const batch of cutter.push(source.rest)) await judge.judge(batch);
  let bytes = source.bytesRead;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    bytes += next.value.length;
    for (const batch of cutter.push(next.value)) await judge.judge(batch);
  }
  for (const batch of cutter.end()) await judge.judge(batch);
  sums.proveFile(source.head, bytes, name);
  return sums.verdict(false, judge.gaveUp);
}

/**
 * The file as the dataset reads it, in UTF-8.
 * @returns its head, the records' first bytes, and what follows them
 * @throws SluiceError USAGE_INVALID when it is packed
 */
export async function openFile(
  dataset: Dataset,
  chunks: AsyncIterable<Buffer>,
  name: string,
): Promise<{ head: SourceHead; rest: Buffer; bytesRead: number; iterator: AsyncIterator<Buffer> }> {
  const bytesOfFile = notPacked(chunks, name);
  const { encoding } = dataset;
  const text = isDecoded(encoding) ? decoded(bytesOfFile, encoding) : bytesOfFile;
  const iterator = text[Symbol.asyncIterator]();
  return { ...(await readHead(dataset, iterator)), iterator };
}

/** Reads as much as the ingestor does before it asks the dataset. @returns also the records' first bytes */
async function readHead(
  dataset: Dataset,
  chunks: AsyncIterator<Buffer>,
): Promise<{ head: SourceHead; rest: Buffer; bytesRead: number }> {
  const taken: Buffer[] = [];
  let bytesRead = 0;
  let isWhole = false;
  while (!isWhole && bytesRead < MAX_HEAD_BYTES) {
    const next = await chunks.next();
    if (next.done === true) isWhole = true;
    else {
      taken.push(next.value);
      bytesRead += next.value.length;
    }
  }
  const bytes = Buffer.concat(taken);
  const head = readSourceHead(dataset, bytes, isWhole);
  return { head, rest: bytes.subarray(head.prologue.dataStart), bytesRead };
}

const PACKED: readonly (readonly [kind: string, signature: readonly number[]])[] = [
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['gzip', [0x1f, 0x8b]],
];
const LONGEST_SIGNATURE = 4;

/** The file's bytes unchanged, once they are known not to be packed: decoded text would not show whether they are. */
async function* notPacked(chunks: AsyncIterable<Buffer>, path: string): AsyncGenerator<Buffer> {
  let start: Buffer | null = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (start === null) {
      yield chunk;
      continue;
    }
    start = Buffer.concat([start, chunk]);
    if (start.length < LONGEST_SIGNATURE) continue;
    refusePacked(start, path);
    yield start;
    start = null;
  }
  if (start === null || start.length === 0) return;
  refusePacked(start, path);
  yield start;
}

/** The ingestor unpacks these, so they are no error; but it is not asked here. */
function refusePacked(head: Buffer, path: string): void {
  const kind = PACKED.find(([, signature]) => signature.every((byte, i) => head[i] === byte))?.[0];
  if (kind !== undefined) {
    throw new SluiceError(
      'USAGE_INVALID',
      `${path} is packed (${kind}); unpack it first. \`run\` takes it as it is.`,
    );
  }
}

/** @throws SluiceError USAGE_INVALID when it cannot be read */
export async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: MAX_HEAD_BYTES }))
      yield chunk as Buffer;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SluiceError(
      'USAGE_INVALID',
      `${path} cannot be read (${code ?? messageOf(cause)}).`,
      {},
      { cause },
    );
  }
}
