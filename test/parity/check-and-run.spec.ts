/** `sluice check` and a job say the same of the same bytes: both paths get random ones, and are compared in everything. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Dataset, Prologue, WriteMode } from '#core/dataset/dataset.js';
import { imbalances } from '#core/ledger/balance.js';
import { decodeRawMessage, encodeRawMessage } from '#core/message/raw-message.js';
import { compileContract } from '#core/record/compile-contract.js';
import { createCutter } from '#core/record/cutter.js';
import type { RawBatch } from '#core/record/raw-batch.js';
import { judgeChunks } from '../../apps/cli/src/commands/check/judge-file.js';
import { readHead } from '../../apps/ingestor/src/jobs/read-head.js';
import { chunksOf } from '../support/record/cutting.js';
import { readCopyText } from '../support/record/read-copy-text.js';
import { ORDER, SHOP, SHOP_COLUMNS } from '../support/record/sample-contracts.js';

interface Verdict {
  /** `refused`: the head; `nothing`: no record is accepted. */
  readonly is: 'judged' | 'nothing' | 'refused';
  readonly counts: Readonly<
    Record<'read' | 'accepted' | 'refused' | 'skipped' | 'warnings' | 'superseded', number>
  >;
  readonly findings: Readonly<Record<string, number>>;
}

const common = {
  ...{ title: '', contractVersion: 1, maxRefusedShare: 1, maxShrinkShare: 1, options: {} },
  writeModes: ['replace', 'append', 'upsert'] as const,
};

function csvPrologue(head: Buffer): Prologue {
  const end = head.indexOf('\n');
  const line = head.subarray(0, end < 0 ? head.length : end).toString();
  const columns = line.split(',').map((name) => name.trim());
  return { columns, context: {}, dataStart: end < 0 ? head.length : end + 1, firstLine: 2, findings: [] };
}

const shops: Dataset = { ...common, ...SHOP, keepOfDuplicates: 'first', prologue: csvPrologue };
const orders: Dataset = {
  ...common,
  ...ORDER,
  keepOfDuplicates: 'last',
  prologue: () => ({ columns: [], context: {}, dataStart: 0, firstLine: 1, findings: [] }),
};

async function* given(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

const NOTHING = { read: 0, accepted: 0, refused: 0, skipped: 0, warnings: 0, superseded: 0 };

async function byCheck(dataset: Dataset, mode: WriteMode, chunks: readonly Buffer[]): Promise<Verdict> {
  const { fileRefused, findings, read, accepted, refused, skipped, warnings, superseded } = await judgeChunks(
    ...([dataset, {}, mode, given(chunks), 'file', () => Promise.resolve()] as const),
  );
  const counts = { read, accepted, refused, skipped, warnings, superseded };
  if (fileRefused) return { is: 'refused', counts: NOTHING, findings: {} };
  return { is: accepted === 0 ? 'nothing' : 'judged', counts, findings };
}

/** Ingestor, wire, validator, and a plain model of what finalizing settles. */
async function byRun(dataset: Dataset, mode: WriteMode, chunks: readonly Buffer[]): Promise<Verdict> {
  let opened: Awaited<ReturnType<typeof readHead>>;
  try {
    opened = await readHead(dataset, given(chunks), 'file');
  } catch (error) {
    if (error instanceof SluiceError && ['SOURCE_REFUSED', 'SOURCE_EMPTY'].includes(error.code))
      return { is: 'refused', counts: NOTHING, findings: {} };
    throw error;
  }
  const { columns, context, firstLine, dataStart } = opened.prologue;
  const cutting = { format: dataset.format, csv: dataset.csv, lineEnd: opened.lineEnd, limitRecords: null };
  const sizes = { maxBatchBytes: 60, maxBatchRecords: 3, maxRecordBytes: 256 * 1024 };
  const cutter = createCutter(
    { ...cutting, ...sizes },
    { batch: 0, record: 0, line: firstLine, byte: dataStart },
  );
  const batches: RawBatch[] = [];
  for await (const chunk of opened.records) batches.push(...cutter.push(chunk));
  batches.push(...cutter.end());

  const counts = { ...NOTHING };
  const findings: Record<string, number> = {};
  const rows: (string | null)[][] = [];
  const contract = compileContract(dataset, { columns, context, options: {} });
  for (const batch of batches) {
    const verdict = contract.judge(overTheWire(dataset, batch, columns, context));
    counts.read += verdict.counts.records;
    counts.accepted += verdict.counts.accepted;
    counts.refused += verdict.counts.refused;
    counts.skipped += verdict.counts.skipped;
    counts.warnings += verdict.counts.warnings;
    for (const [code, count] of Object.entries(verdict.findings))
      findings[code] = (findings[code] ?? 0) + count;
    rows.push(...readCopyText(verdict.sections[0]!.text));
  }
  const accepted = counts.accepted;
  const plan = contract.tables[0]!;
  const keys = rows.map((row) => JSON.stringify(plan.key.map((name) => row[plan.columns.indexOf(name) + 1])));
  const repeats = keys.length - new Set(keys).size;
  if (mode === 'upsert') counts.superseded = repeats;
  else if (repeats > 0) {
    findings['DUPLICATE'] = repeats;
    counts.accepted -= repeats;
    counts.refused += repeats;
  }
  const { superseded, read: records } = counts;
  expect(
    imbalances(
      {
        ...{ batches: batches.length, records, accepted, skipped: counts.skipped, warnings: counts.warnings },
        ...{ refusedAtValidate: counts.read - accepted - counts.skipped, unbalancedBatches: 0, gaps: 0 },
        refusedAtLoad: mode === 'upsert' ? 0 : repeats,
        ...{
          firstByte: batches[0]?.byteStart ?? null,
          lastByte: batches.at(-1)?.byteEnd ?? null,
          crc32cSum: 0,
        },
      },
      {
        ...{ batches: batches.length, records, dataStart, bytes: opened.bytesRead(), crc32cSum: null },
        ...{ headBytes: opened.bytes, headLines: opened.lines, firstLine },
      },
      { inserted: counts.accepted - superseded, updated: 0, unchanged: 0, deleted: 0, superseded },
    ),
  ).toEqual([]);
  return { is: counts.accepted === 0 ? 'nothing' : 'judged', counts, findings };
}

function overTheWire(
  { name, format }: Dataset,
  batch: RawBatch,
  columns: readonly string[],
  context: Readonly<Record<string, string>>,
): RawBatch {
  const facts = { format, columns, context, contractVersion: 1, options: {}, epoch: 1, attempt: 0 };
  const job = '01998f3e-7c4a-7000-8000-3f5b8e2d9a10';
  const { topic, partition, value, headers } = encodeRawMessage({ ...facts, dataset: name, job, batch }, 3);
  const received = Object.entries(headers).map(([header, text]) => [header, Buffer.from(text)] as const);
  return decodeRawMessage({
    value,
    headers: Object.fromEntries(received),
    place: { topic, partition: partition ?? 0, offset: '0' },
  }).batch;
}

const lineEnd = fc.constantFrom('\n', '\n', '\r\n', '\r', '\r\r\n');
const HEADER = SHOP_COLUMNS.join(',');
const csvLine = fc.constantFrom(
  '商行,1234,,,,,Y,,,,,,,',
  '商行,1234,,,,,Y,,,,,,,',
  '"a\rb",5678,,"1,000",,,N,,c,n,,,,',
  '"a\nb",9012,,,,,x,,,,,,,',
  ' "a",3456,,,,,N,,,,,,,',
  'a"b,3456,,,,,N,,,,,,,',
  '"a"b,1234,,,,,Y,,,,,,,',
  ',,,,,,,,,,,,,',
  '',
  'x',
  '\0\0',
  '"open,1234,,,,,Y,,,,,,,',
);
const csvFile = fc
  .tuple(
    fc.constantFrom(HEADER, HEADER, HEADER, `\uFEFF${HEADER}`, 'a,b'),
    fc.array(fc.tuple(csvLine, lineEnd), { maxLength: 10 }),
    lineEnd,
    fc.boolean(),
  )
  .map(([header, lines, first, oneKind]) =>
    // Half of the files have one kind of line end, or hardly any would be judged at all.
    Buffer.from(header + first + lines.map(([line, end]) => line + (oneKind ? first : end)).join('')),
  );
const jsonLine = fc.constantFrom(
  '{"id":1,"customer":{"name":"a","country":"TW"}}',
  '{"id":1,"customer":{"name":"a"}}',
  '{"id":2.0,"other":1}',
  '{"id":3,"customer":"a"}',
  '{"id":4,"items":[{"sku":"a","price":{"amount":1e1}}]}',
  '{"id":5,"customer.name":"a"}',
  '{"id":"x"}',
  '{"id":',
  '{}',
  '',
  '[1]',
  '{"error":"x","message":"y"}',
  '{"data":[{"id":1}]}',
);
const jsonFile = fc
  .tuple(fc.array(fc.tuple(jsonLine, lineEnd), { maxLength: 8 }), lineEnd, fc.boolean())
  .map(([lines, first, oneKind]) =>
    Buffer.from(lines.map(([line, end]) => line + (oneKind ? first : end)).join('')),
  );

const anyBytes = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const mode = fc.constantFrom<WriteMode>('replace', 'append', 'upsert');
const inChunks = (source: Buffer): fc.Arbitrary<Buffer[]> => chunksOf(source);

describe('check and run', () => {
  it.each([
    ['CSV', shops, csvFile],
    ['NDJSON', orders, jsonFile],
  ] as const)(
    'reach the same verdict, counts and findings of any bytes in any mode and chunks: %s',
    async (_, dataset, file) => {
      const seen = { judged: 0, nothing: 0, refused: 0 };
      const bytes = fc.oneof({ weight: 9, arbitrary: file }, { weight: 1, arbitrary: anyBytes });
      await fc.assert(
        fc.asyncProperty(
          bytes.chain((source) => fc.tuple(inChunks(source), inChunks(source))),
          mode,
          async ([some, others], chosen) => {
            const checked = await byCheck(dataset, chosen, some);
            seen[checked.is] += 1;
            expect(checked).toEqual(await byRun(dataset, chosen, others));
          },
        ),
        { numRuns: 600 },
      );
      expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
    },
  );
});
