/** The generated registrations that every stage takes in, always the same ones. */
import { resolveOptions } from '#core/dataset/dataset.js';
import type { GenerateOptions } from '#core/dataset/generate.js';
import { type CompileInputs, type CompiledContract, compileContract } from '#core/record/compile-contract.js';
import { type CutPosition, createCutter } from '#core/record/cutter.js';
import { DEFAULT_CUTTING, type RawBatch } from '#core/record/raw-batch.js';
import dataset from '#datasets/tax-registration/dataset.js';
import { generate } from '#datasets/tax-registration/generator.js';

const SEED = 1;
const DEFECT_SHARE = 0.002;
/** About 64 MiB: more than a processor's caches hold, little enough to be kept. */
const MAX_SLICE_ROWS = 400_000;
/** As files and sockets give them. */
const CHUNK_BYTES = 64 * 1024;

/** A whole file, 0.2 % of its rows bad unless the caller says otherwise; the first chunk holds the head. */
export function registrations(
  rows: number,
  shares: Pick<GenerateOptions, 'defectShare' | 'repeatShare'> = {},
): Iterable<Buffer> {
  return generate({ rows, seed: SEED, defectShare: DEFECT_SHARE, ...shares });
}

/** What the head of such a file says, however many rows follow. */
export const PROLOGUE = readHead();

/** Of a job without options. */
export const INPUTS: CompileInputs = {
  columns: PROLOGUE.columns,
  context: PROLOGUE.context,
  options: resolveOptions(dataset, {}).values,
};

/** Where cutting begins, and how the ingestor cuts unless the caller says otherwise. */
export const START: CutPosition = { batch: 0, record: 0, line: PROLOGUE.firstLine, byte: PROLOGUE.dataStart };
export const CUTTING = { ...DEFAULT_CUTTING, format: dataset.format, limitRecords: null } as const;
export const CONTRACT_VERSION = dataset.contractVersion;

export function compileRegistrations(): CompiledContract {
  return compileContract(dataset, INPUTS);
}

/** Records in memory; for more rows than it holds they come again from the start. */
export class RegistrationSlice {
  readonly records: Buffer;
  readonly batches: readonly RawBatch[];

  /** @param rows that are wanted; it holds no more of them than fit into about 64 MiB */
  constructor(rows: number, shares: Pick<GenerateOptions, 'defectShare' | 'repeatShare'> = {}) {
    const file = Buffer.concat([...registrations(Math.min(rows, MAX_SLICE_ROWS), shares)]);
    this.records = file.subarray(PROLOGUE.dataStart);
    const cutter = createCutter(CUTTING, START);
    this.batches = [...cutter.push(this.records), ...cutter.end()];
  }

  /** Chunks without end. */
  *chunks(): Generator<Buffer> {
    for (;;) {
      for (let at = 0; at < this.records.length; at += CHUNK_BYTES) {
        yield this.records.subarray(at, at + CHUNK_BYTES);
      }
    }
  }
}

/** Whole batches, after the last one the first again, until at least that number of rows has come. */
export function* repeated<T>(
  batches: readonly T[],
  rows: number,
  rowsOf: (batch: T) => number,
): Generator<T> {
  for (let given = 0; given < rows;) {
    const before = given;
    for (const batch of batches) {
      if (given >= rows) return;
      given += rowsOf(batch);
      yield batch;
    }
    if (given === before) throw new RangeError('There are no rows to repeat.');
  }
}

function readHead(): NonNullable<ReturnType<typeof dataset.prologue>> {
  const prologue = dataset.prologue(Buffer.concat([...registrations(1)]), true);
  if (prologue === undefined) throw new RangeError('The head of a generated file says nothing.');
  return prologue;
}
