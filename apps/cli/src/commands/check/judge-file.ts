import { createReadStream } from 'node:fs';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import { type Dataset, MAX_HEAD_BYTES, type OptionValues, type Prologue } from '#core/dataset/dataset.js';
import { compileContract } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import type { Finding } from '#core/record/finding.js';
import { DEFAULT_CUTTING, type RawBatch } from '#core/record/raw-batch.js';
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
  readonly accepted: number;
  readonly refused: number;
  readonly skipped: number;
  readonly warnings: number;
  /** Code → how often. */
  readonly findings: Readonly<Record<string, number>>;
  /** There were too many keys to compare all of them. */
  readonly duplicatesIncomplete: boolean;
}

/**
 * @param onFindings told of the findings batch by batch, those of a batch in the order of their lines
 * @throws SluiceError USAGE_INVALID when the file is packed or cannot be read
 */
export async function judgeFile(
  dataset: Dataset,
  options: OptionValues,
  path: string,
  onFindings: (findings: readonly PlacedFinding[]) => Promise<void>,
): Promise<FileVerdict> {
  const chunks = chunksOf(path);
  const { prologue, rest } = await readHead(dataset, chunks, path);
  const sums = new Sums();
  const headFindings = prologue.findings.map((finding) => ({ ...finding, line: 1 }));
  sums.addFindings(headFindings);
  await onFindings(headFindings);
  if (prologue.findings.some(({ severity }) => severity === 'error')) return sums.verdict(true, false);

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
    sums.addCounts(verdict.counts);
    for (const section of verdict.sections.slice(0, 1)) {
      for (const { line, finding } of duplicates.find(batch, section)) {
        placed.push({ ...finding, line });
        sums.refuseAccepted();
      }
    }
    placed.sort((a, b) => a.line - b.line);
    sums.addFindings(placed);
    await onFindings(placed);
    placed = [];
  };

  const cutting = { ...DEFAULT_CUTTING, format: dataset.format, limitRecords: null };
  const from = { batch: 0, record: 0, line: prologue.firstLine, byte: prologue.dataStart };
  const cutter = createCutter(cutting, from);
  for (const batch of cutter.push(rest)) await judge(batch);
  for await (const chunk of chunks) for (const batch of cutter.push(chunk)) await judge(batch);
  for (const batch of cutter.end()) await judge(batch);
  return sums.verdict(false, duplicates.gaveUp);
}

class Sums {
  private readonly counts = { read: 0, accepted: 0, refused: 0, skipped: 0, warnings: 0 };
  private readonly codes = new Map<string, number>();

  addCounts(batch: {
    records: number;
    accepted: number;
    refused: number;
    skipped: number;
    warnings: number;
  }): void {
    this.counts.read += batch.records;
    this.counts.accepted += batch.accepted;
    this.counts.refused += batch.refused;
    this.counts.skipped += batch.skipped;
    this.counts.warnings += batch.warnings;
  }

  /** A record that its own fields did not refuse. */
  refuseAccepted(): void {
    this.counts.accepted--;
    this.counts.refused++;
  }

  addFindings(findings: readonly Finding[]): void {
    for (const { code } of findings) this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  verdict(fileRefused: boolean, duplicatesIncomplete: boolean): FileVerdict {
    return { fileRefused, ...this.counts, findings: Object.fromEntries(this.codes), duplicatesIncomplete };
  }
}

/** Reads on until the dataset can tell what kind of file it is. @returns also the records' first bytes */
async function readHead(
  dataset: Dataset,
  chunks: AsyncGenerator<Buffer>,
  path: string,
): Promise<{ prologue: Prologue; rest: Buffer }> {
  let head: Buffer = Buffer.alloc(0);
  for (;;) {
    const next = await chunks.next();
    if (next.done !== true) head = Buffer.concat([head, next.value]);
    refusePacked(head, path);
    const complete = next.done === true || head.length >= MAX_HEAD_BYTES;
    const prologue = dataset.prologue(head.subarray(0, MAX_HEAD_BYTES), complete);
    if (prologue !== undefined) return { prologue, rest: head.subarray(prologue.dataStart) };
    if (complete)
      throw new SluiceError('DATASET_INVALID', `Dataset ${dataset.name} cannot tell what ${path} is.`);
  }
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
