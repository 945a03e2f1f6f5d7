import { createReadStream } from 'node:fs';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { type Dataset, MAX_HEAD_BYTES, type OptionValues, type WriteMode } from '#core/dataset/dataset.js';
import { readSourceHead, refusalOf, type SourceHead } from '#core/dataset/source-head.js';
import { imbalances } from '#core/ledger/balance.js';
import { compileContract } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import type { Finding } from '#core/record/finding.js';
import { DEFAULT_CUTTING, type RawBatch } from '#core/record/raw-batch.js';
import type { BatchVerdict } from '#core/record/verdict.js';
import { DuplicateFinder } from './duplicate-finder.js';

/** Judges a file as the services would, in one process, batch by batch. */

/** A finding and the line (from 1) of the record that it is about. */
export interface PlacedFinding extends Finding {
  readonly line: number;
}

export interface FileVerdict {
  /** The head is wrong: no record was looked at. */
  readonly fileRefused: boolean;
  readonly read: number;
  /** Superseded ones among them. */
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  /** In mode `upsert`: records whose key another record of the file has, which takes their place. */
  readonly superseded: number;
  /** Code → how often. */
  readonly findings: Readonly<Record<string, number>>;
  /** NDJSON: members that the contract does not read → how many records hold them. */
  readonly unknownMembers: Readonly<Record<string, number>>;
  /** There were too many keys to compare all of them. */
  readonly duplicatesIncomplete: boolean;
}

/**
 * @param onFindings told of the findings batch by batch, those of a batch in the order of their lines
 * @param mode the one that the job would have; by default the dataset's own
 * @throws SluiceError USAGE_INVALID when the file is packed or cannot be read, DATASET_CODE_FAILED
 */
export async function judgeFile(
  dataset: Dataset,
  options: OptionValues,
  path: string,
  onFindings: (findings: readonly PlacedFinding[]) => Promise<void>,
  mode: WriteMode = dataset.writeModes[0] ?? 'replace',
): Promise<FileVerdict> {
  return judgeChunks(dataset, options, mode, chunksOf(path), path, onFindings);
}

/** The same of bytes that come in chunks of any size. @param name what to call them */
export async function judgeChunks(
  dataset: Dataset,
  options: OptionValues,
  mode: WriteMode,
  chunks: AsyncIterable<Buffer>,
  name: string,
  onFindings: (findings: readonly PlacedFinding[]) => Promise<void>,
): Promise<FileVerdict> {
  const iterator = chunks[Symbol.asyncIterator]();
  const source = await readHead(dataset, iterator, name);
  const { prologue } = source.head;
  const sums = new Sums();
  const headFindings = prologue.findings.map((finding) => ({ ...finding, line: finding.line ?? 1 }));
  sums.addFindings(headFindings);
  await onFindings(headFindings);
  if (refusalOf(prologue) !== null) return sums.verdict(true, false);

  let placed: PlacedFinding[] = [];
  const contract = compileContract(dataset, {
    columns: prologue.columns,
    context: prologue.context,
    options,
    onFindings: ({ line }, findings) => {
      for (const finding of findings) placed.push({ ...finding, line });
    },
  });
  const [table] = contract.tables;
  if (table === undefined) throw new SluiceError('INTERNAL', `Dataset ${dataset.name} has no table.`);
  const duplicates = new DuplicateFinder(dataset, table);
  const judge = async (batch: RawBatch): Promise<void> => {
    const verdict = contract.judge(batch);
    sums.addBatch(batch, verdict);
    for (const section of verdict.sections.slice(0, 1)) {
      for (const { line, finding } of duplicates.find(batch, section)) {
        // A merge by key makes repeats superseded records, and refuses none of them.
        if (mode === 'upsert') sums.supersede();
        else {
          placed.push({ ...finding, line });
          sums.addFindings([finding]);
          sums.refuseAccepted();
        }
      }
    }
    placed.sort((a, b) => a.line - b.line);
    await onFindings(placed);
    placed = [];
  };

  const cutting = {
    ...DEFAULT_CUTTING,
    format: dataset.format,
    limitRecords: null,
    lineEnd: source.head.lineEnd,
  };
  const from = { batch: 0, record: 0, line: prologue.firstLine, byte: prologue.dataStart };
  const cutter = createCutter(cutting, from);
  for (const batch of cutter.push(source.rest)) await judge(batch);
  let bytes = source.bytesRead;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    bytes += next.value.length;
    for (const batch of cutter.push(next.value)) await judge(batch);
  }
  for (const batch of cutter.end()) await judge(batch);
  sums.prove(source.head, bytes, name);
  return sums.verdict(false, duplicates.gaveUp);
}

/** Adds up what a job's ledger would, and proves the same of it (`balance.ts`). */
class Sums {
  private readonly counts = { read: 0, accepted: 0, refused: 0, skipped: 0, warnings: 0, superseded: 0 };
  private readonly codes = new Map<string, number>();
  private readonly ledger = { batches: 0, unbalancedBatches: 0, gaps: 0 };
  private firstByte: number | null = null;
  private lastByte: number | null = null;
  private refusedAtLoad = 0;
  private readonly unknownMembers = new Map<string, number>();

  addBatch(batch: RawBatch, { counts, findings, unknownMembers = {} }: BatchVerdict): void {
    for (const [code, count] of Object.entries(findings))
      this.codes.set(code, (this.codes.get(code) ?? 0) + count);
    for (const [name, records] of Object.entries(unknownMembers))
      this.unknownMembers.set(name, (this.unknownMembers.get(name) ?? 0) + records);
    this.counts.read += counts.records;
    this.counts.accepted += counts.accepted;
    this.counts.refused += counts.refused;
    this.counts.skipped += counts.skipped;
    this.counts.warnings += counts.warnings;
    this.ledger.batches += 1;
    if (counts.accepted + counts.refused + counts.skipped !== counts.records)
      this.ledger.unbalancedBatches += 1;
    if (this.lastByte !== null && this.lastByte !== batch.byteStart) this.ledger.gaps += 1;
    this.firstByte ??= batch.byteStart;
    this.lastByte = batch.byteEnd;
  }

  /** @throws SluiceError JOB_UNBALANCED when bytes or records are missing in the sums, as a job's finalizer would */
  prove({ prologue, bytes: headBytes, lines: headLines }: SourceHead, bytes: number, name: string): void {
    const { read: records, accepted, refused, skipped, warnings, superseded } = this.counts;
    const { ledger, firstByte, lastByte, refusedAtLoad } = this;
    const problems = imbalances(
      {
        ...{ ...ledger, records, skipped, warnings, firstByte, lastByte, refusedAtLoad, crc32cSum: 0 },
        accepted: accepted + refusedAtLoad,
        refusedAtValidate: refused - refusedAtLoad,
      },
      {
        ...{ batches: ledger.batches, records, bytes, headBytes, headLines, crc32cSum: null },
        ...{ dataStart: prologue.dataStart, firstLine: prologue.firstLine },
      },
      { inserted: accepted - superseded, updated: 0, unchanged: 0, superseded },
    );
    if (problems.length > 0)
      throw new SluiceError('JOB_UNBALANCED', `The sums of ${name} do not add up: ${problems.join('; ')}.`);
  }

  /** A record that its own fields did not refuse. */
  refuseAccepted(): void {
    this.counts.accepted--;
    this.counts.refused++;
    this.refusedAtLoad++;
  }

  /** A record that another one of its key takes the place of. */
  supersede(): void {
    this.counts.superseded++;
  }

  addFindings(findings: readonly Finding[]): void {
    for (const { code } of findings) this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  verdict(fileRefused: boolean, duplicatesIncomplete: boolean): FileVerdict {
    return {
      fileRefused,
      ...this.counts,
      findings: Object.fromEntries(this.codes),
      unknownMembers: Object.fromEntries(this.unknownMembers),
      duplicatesIncomplete,
    };
  }
}

/** Reads as much as the ingestor does before it asks the dataset. @returns also the records' first bytes */
async function readHead(
  dataset: Dataset,
  chunks: AsyncIterator<Buffer>,
  name: string,
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
  refusePacked(bytes, name);
  const head = readSourceHead(dataset, bytes, isWhole);
  return { head, rest: bytes.subarray(head.prologue.dataStart), bytesRead };
}

const PACKED: readonly (readonly [kind: string, signature: readonly number[]])[] = [
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['gzip', [0x1f, 0x8b]],
];

/** The ingestor unpacks these, so they are no error; but it is not asked here. */
function refusePacked(head: Buffer, path: string): void {
  const kind = PACKED.find(([, signature]) => signature.every((byte, i) => head[i] === byte))?.[0];
  if (kind !== undefined) {
    throw new SluiceError(
      'USAGE_INVALID',
      `${path} is packed (${kind}); unpack it to check it. \`run\` takes it as it is.`,
    );
  }
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
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
