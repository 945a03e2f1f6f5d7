import type { Dataset, OptionValues, Prologue } from '../dataset/dataset.js';
import { decodeWhole } from './whole-file.js';
import { resolveOptions } from '../dataset/dataset.js';
import { compileContract, planSections } from '../record/compile-contract.js';
import { createCutter } from '../record/cutter.js';
import { DEFAULT_CUTTING, type RawBatch } from '../record/raw-batch.js';
import type { RefusedRecord } from '../record/verdict.js';

/**
 * The product's own way from a file to COPY text, without Kafka and PostgreSQL: prologue, cutter, compiled
 * contract. For tests that compare its answer with files or with the oracle.
 */

/** A row by column name, `_sluice_record` among them, as PostgreSQL would read it; null for NULL. */
export type CopiedRow = Readonly<Record<string, string | null>>;

export interface JudgedFile {
  /** Table → its rows in the order of the file; of a dataset with deletes, their keys under `_sluice_deleted`. */
  readonly tables: Readonly<Record<string, readonly CopiedRow[]>>;
  readonly refused: readonly RefusedRecord[];
  readonly counts: { records: number; accepted: number; refused: number; skipped: number; warnings: number };
  readonly findings: Readonly<Record<string, number>>;
  readonly batches: number;
  /** The largest ratio of a batch's COPY text to its raw bytes. */
  readonly expansion: number;
}

export interface JudgeOptions {
  readonly options?: OptionValues;
  /** Default: the product's. */
  readonly maxBatchBytes?: number;
  readonly limit?: number;
}

/** @param bytes of the whole file, plain. @throws RangeError when the prologue refuses the file */
export function judgeWhole(dataset: Dataset, bytes: Buffer, given: JudgeOptions = {}): JudgedFile {
  const file = decodeWhole(dataset, bytes);
  const prologue = dataset.prologue(file.subarray(0, 64 * 1024), true);
  const refusals = prologue?.findings.filter(({ severity }) => severity === 'error') ?? [];
  if (!prologue || refusals.length > 0) {
    throw new RangeError(`The file is refused: ${refusals.map(({ message }) => message).join(' ')}`);
  }
  const { values } = resolveOptions(dataset, given.options ?? {});
  const { columns, context } = prologue;
  const contract = compileContract(dataset, { columns, context, options: values });
  const plans = planSections(dataset);
  const tables: Record<string, CopiedRow[]> = Object.fromEntries(plans.map(({ table }) => [table, []]));
  const judged = {
    tables,
    refused: [] as RefusedRecord[],
    counts: { records: 0, accepted: 0, refused: 0, skipped: 0, warnings: 0 },
    findings: {} as Record<string, number>,
    batches: 0,
    expansion: 0,
  };
  for (const batch of cut(dataset, prologue, file, given)) {
    const verdict = contract.judge(batch);
    judged.batches += 1;
    judged.refused.push(...verdict.refused);
    add(judged.counts, verdict.counts);
    add(judged.findings, verdict.findings);
    let cleanBytes = 0;
    for (const { table, text, rows } of verdict.sections) {
      const names = ['_sluice_record', ...(plans.find((plan) => plan.table === table)?.columns ?? [])];
      const copied = parseCopyText(text);
      if (copied.length !== rows)
        throw new RangeError(`${table} says ${rows} rows and holds ${copied.length}.`);
      tables[table]?.push(...copied.map((values) => rowOf(names, values)));
      cleanBytes += text.length;
    }
    judged.expansion = Math.max(judged.expansion, cleanBytes / batch.bytes.length);
  }
  return judged;
}

function* cut(dataset: Dataset, prologue: Prologue, file: Buffer, given: JudgeOptions): Generator<RawBatch> {
  const { maxBatchBytes = DEFAULT_CUTTING.maxBatchBytes, limit = null } = given;
  const cutter = createCutter(
    { ...DEFAULT_CUTTING, maxBatchBytes, format: dataset.format, csv: dataset.csv, limitRecords: limit },
    { batch: 0, record: 0, line: prologue.firstLine, byte: prologue.dataStart },
  );
  yield* cutter.push(file.subarray(prologue.dataStart));
  yield* cutter.end();
}

function add(sums: Record<string, number>, more: object): void {
  for (const [key, count] of Object.entries(more) as [string, number][]) sums[key] = (sums[key] ?? 0) + count;
}

function rowOf(names: readonly string[], values: readonly (string | null)[]): CopiedRow {
  if (names.length !== values.length)
    throw new RangeError(`${values.length} values for columns ${names.join(', ')}.`);
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? null]));
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '\\': '\\' };

/** Reads COPY text as PostgreSQL does (its manual, COPY, Text Format). */
export function parseCopyText(text: Buffer): (string | null)[][] {
  const lines = text.toString().split('\n');
  if (lines.pop() !== '') throw new RangeError('COPY text does not end with a line feed.');
  return lines.map((line) =>
    line.split('\t').map((field) => {
      if (field === '\\N') return null;
      return field.replace(/\\(.)/g, (whole, letter: string) => {
        const character = ESCAPES[letter];
        if (character === undefined) throw new RangeError(`COPY text has the escape ${whole}.`);
        return character;
      });
    }),
  );
}
