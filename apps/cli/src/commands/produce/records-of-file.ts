import { NIL } from 'uuid';
import { SluiceError } from '#common/errors/sluice-error.js';
import { type Dataset, resolveOptions } from '#core/dataset/dataset.js';
import { refusalOf } from '#core/record/head/source-head.js';
import { compileContract, planOfDeletes, provenanceOf } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import { DEFAULT_CUTTING, type RawBatch } from '#core/record/raw-batch.js';
import { RecordWalker } from '#core/record/record-walker.js';
import { openFile } from '../check/judge-file.js';
import { RowKeys } from '../check/row-keys.js';

/** One record of a file, as an inbox takes it. */
export interface FileRecord {
  /** The record's bytes in UTF-8 without its line end. */
  readonly value: Buffer;
  /** The contract's key, as COPY text; null for a record that the contract refuses: it has none that means anything. */
  readonly key: Buffer | null;
}

export interface RecordsOfFile {
  /** CSV: the file's columns, in its order. */
  readonly columns: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  /** Batch by batch, so that no more than one is in memory. */
  readonly batches: AsyncIterable<readonly FileRecord[]>;
  readonly counts: {
    /** Blank lines, comments and footers, which are no records. */
    skipped: number;
    /** Above the bound of a record: only their first bytes are known. */
    tooLarge: number;
  };
}

/**
 * The records of a file by its dataset's head and dialect.
 * @param name what to call it
 * @throws SluiceError SOURCE_REFUSED with the errors of the head; USAGE_INVALID when it is packed; DATASET_CODE_FAILED
 */
export async function recordsOfFile(
  dataset: Dataset,
  chunks: AsyncIterable<Buffer>,
  name: string,
): Promise<RecordsOfFile> {
  const { head, rest, iterator } = await openFile(dataset, chunks, name);
  const { prologue, lineEnd } = head;
  const refusal = refusalOf(prologue);
  if (refusal !== null) throw new SluiceError('SOURCE_REFUSED', `${name}: ${refusal}`, { file: name });
  const { columns, context } = prologue;
  const facts = { source: name, job: NIL, startedAt: new Date(0).toISOString() };
  const contract = compileContract(dataset, {
    columns,
    context: { ...context, ...provenanceOf(dataset, facts) },
    options: resolveOptions(dataset, {}).values,
  });
  const [table] = contract.tables;
  if (table === undefined) throw new SluiceError('INTERNAL', `Dataset ${dataset.name} has no table.`);
  const deletes = planOfDeletes(dataset);
  const keysOf = new Map(
    [table, ...(deletes === null ? [] : [deletes])].map((plan) => [plan.table, new RowKeys(plan)]),
  );
  const counts = { skipped: 0, tooLarge: 0 };

  const recordsIn = (batch: RawBatch): FileRecord[] => {
    const keyOf = new Map<number, Buffer>();
    if (table.key.length > 0) {
      // A delete has its record's key, or it would overtake what comes before it.
      for (const section of contract.judge(batch).sections)
        for (const { record, key } of keysOf.get(section.table)?.of(section.text) ?? [])
          if (!keyOf.has(record)) keyOf.set(record, key);
    }
    const records: FileRecord[] = [];
    const walker = new RecordWalker(batch, dataset);
    while (walker.next()) {
      const { record, bytes } = walker.place();
      if (walker.skipped || isBlank(bytes)) counts.skipped += 1;
      else if (walker.unreadable !== null) counts.tooLarge += 1;
      else records.push({ value: bytes, key: keyOf.get(record) ?? null });
    }
    return records;
  };

  async function* batches(): AsyncGenerator<readonly FileRecord[]> {
    const cutting = {
      ...DEFAULT_CUTTING,
      format: dataset.format,
      csv: dataset.csv,
      limitRecords: null,
      lineEnd,
    };
    const from = { batch: 0, record: 0, line: prologue.firstLine, byte: prologue.dataStart };
    const cutter = createCutter(cutting, from);
    for (const batch of cutter.push(rest)) yield recordsIn(batch);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      for (const batch of cutter.push(next.value)) yield recordsIn(batch);
    for (const batch of cutter.end()) yield recordsIn(batch);
  }
  return { columns, context, batches: batches(), counts };
}

const BLANK = /^[ \t\r\f\v]*$/;

function isBlank(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes.length < 64 && BLANK.test(bytes.toString('latin1')));
}
