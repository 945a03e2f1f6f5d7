import { once } from 'node:events';
import { type WriteStream, createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { MAX_HEAD_BYTES, resolveOptions } from '#core/dataset/dataset.js';
import { compileContract, planTables } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import { DEFAULT_CUTTING, type RawBatch } from '#core/record/raw-batch.js';
import type { TableSection } from '#core/record/verdict.js';
import dataset from '#datasets/tax-registration/dataset.js';

/** What psql loads into one table. */
export interface CleanedFile {
  readonly table: string;
  /** Of the file, in order. */
  readonly columns: readonly string[];
  readonly path: string;
  readonly rows: number;
}

/**
 * Cleans a file without bad rows into COPY text, one file a table: by the compiled contract that the validators use, so
 * that psql loads the very rows that Sluice loads. Only the record number is left out.
 * @returns parents before children
 * @throws RangeError when a record is refused or skipped
 */
export async function writeCleaned(extract: string, folder: string): Promise<readonly CleanedFile[]> {
  const outputs = planTables(dataset).map(
    ({ table, columns }) => new Output(table, columns, join(folder, `${table}.copy`)),
  );
  for await (const sections of cleaned(extract)) {
    for (const [at, section] of sections.entries()) await outputs[at]?.write(section);
  }
  for (const output of outputs) await output.end();
  return outputs;
}

/** Sections are the contract's own buffers, good until the next ones are asked for. */
async function* cleaned(extract: string): AsyncGenerator<readonly TableSection[]> {
  let judge: ((chunk: Buffer | null) => Generator<readonly TableSection[]>) | undefined;
  for await (const chunk of createReadStream(extract, { highWaterMark: MAX_HEAD_BYTES })) {
    judge ??= judgeOf(chunk as Buffer);
    yield* judge(chunk as Buffer);
  }
  if (judge !== undefined) yield* judge(null);
}

/** @returns takes the file's chunks, the first one again, and null for its end */
function judgeOf(head: Buffer): (chunk: Buffer | null) => Generator<readonly TableSection[]> {
  const prologue = dataset.prologue(head, true);
  if (prologue === undefined || prologue.findings.length > 0) throw new RangeError('The head is wrong.');
  const { columns, context, dataStart, firstLine } = prologue;
  const contract = compileContract(dataset, {
    columns,
    context,
    options: resolveOptions(dataset, {}).values,
  });
  const cutter = createCutter(
    { ...DEFAULT_CUTTING, format: dataset.format, limitRecords: null },
    { batch: 0, record: 0, line: firstLine, byte: dataStart },
  );
  const batchesOf = (chunk: Buffer | null): RawBatch[] => {
    if (chunk === null) return cutter.end();
    return cutter.push(chunk === head ? chunk.subarray(dataStart) : chunk);
  };
  return function* (chunk) {
    for (const batch of batchesOf(chunk)) {
      const { sections, counts } = contract.judge(batch);
      if (counts.accepted !== counts.records) {
        throw new RangeError(`The records from line ${batch.firstLine} on are not all clean.`);
      }
      yield sections;
    }
  };
}

class Output implements CleanedFile {
  rows = 0;
  private readonly writer: WriteStream;

  constructor(
    readonly table: string,
    readonly columns: readonly string[],
    readonly path: string,
  ) {
    this.writer = createWriteStream(path);
  }

  async write({ text, rows }: TableSection): Promise<void> {
    this.rows += rows;
    if (this.writer.write(withoutFirstColumn(text))) return;
    await once(this.writer, 'drain');
  }

  async end(): Promise<void> {
    this.writer.end();
    await finished(this.writer);
  }
}

const TAB = 0x09;
const LINE_FEED = 0x0a;

/** Of COPY text, where line feeds and tabs inside values are escaped: so these bytes are bounds wherever they stand. */
function withoutFirstColumn(text: Buffer): Buffer {
  const rest = Buffer.allocUnsafe(text.length);
  let written = 0;
  for (let at = 0; at < text.length;) {
    const start = text.indexOf(TAB, at) + 1;
    const end = text.indexOf(LINE_FEED, start) + 1;
    written += text.copy(rest, written, start, end);
    at = end;
  }
  return rest.subarray(0, written);
}
