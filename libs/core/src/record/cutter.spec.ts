import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyDialect, chunksOf, cutChunks, START, trickySource } from '#test/support/record/cutting.js';
import { plainRecords } from '#test/support/record/plain-records.js';
import type { RecordShape } from '../dataset/csv-dialect.js';
import { createCutter } from './cutter.js';
import { type CuttingOptions, DEFAULT_CUTTING, OVERSIZED_KEPT_BYTES, type RawBatch } from './raw-batch.js';
import { type RecordPlace, RecordWalker } from './record-walker.js';

const CSV: CuttingOptions = { ...DEFAULT_CUTTING, format: 'csv', limitRecords: null };

const sizes = {
  maxBatchBytes: fc.integer({ min: 1, max: 60 }),
  maxBatchRecords: fc.integer({ min: 1, max: 8 }),
  maxRecordBytes: fc.integer({ min: 1, max: 25 }),
  limitRecords: fc.option(fc.integer({ min: 0, max: 12 })),
  lineEnd: fc.constantFrom('lf' as const, 'cr' as const),
};

/** A source, and how it is cut: by the dialect whose marks it is made of, the default one, or as lines. */
const cuttings = fc.oneof(
  fc.record({
    source: trickySource(),
    cutting: fc.record({ ...sizes, format: fc.constant('csv' as const) }),
  }),
  fc.record({
    source: trickySource(),
    cutting: fc.record({ ...sizes, format: fc.constant('ndjson' as const) }),
  }),
  anyDialect().chain(({ csv, pieces }) =>
    fc.record({
      source: trickySource(60, pieces),
      cutting: fc.record({
        ...{ ...sizes, format: fc.constant('csv' as const), csv: fc.constant(csv) },
        // Of a line over the limit enough is kept to decide whether it is skipped.
        maxRecordBytes: fc.integer({ min: 2, max: 25 }),
      }),
    }),
  ),
);

const cuttingsInChunks = cuttings.chain(({ source, cutting }) =>
  fc.record({ source: fc.constant(source), cutting: fc.constant(cutting), chunks: chunksOf(source) }),
);

function walk(batches: readonly RawBatch[], shape: RecordShape) {
  return batches.flatMap((batch) => {
    const found = [];
    const walker = new RecordWalker(batch, shape);
    while (walker.next())
      found.push({
        ...walker.place(),
        malformed: walker.malformed,
        skipped: walker.skipped,
        oversized: walker.unreadable,
      });
    return found;
  });
}

describe('cutter', () => {
  it('cuts the same batches however the bytes come (CU1)', () => {
    fc.assert(
      fc.property(cuttingsInChunks, ({ source, chunks, cutting }) => {
        expect(cutChunks(chunks, cutting)).toEqual(cutChunks([source], cutting));
      }),
      { numRuns: 1000 },
    );
  });

  it('continues from any batch end as if it had never stopped (CU2)', () => {
    fc.assert(
      fc.property(cuttings, fc.nat(), ({ source, cutting }, pick) => {
        const whole = cutChunks([source], cutting);
        const last = whole[pick % Math.max(1, whole.length)];
        if (last === undefined) return;
        const from = {
          batch: last.batch + 1,
          record: last.firstRecord + last.records,
          line: last.firstLine + last.lines,
          byte: last.byteEnd,
        };
        expect(cutChunks([source.subarray(last.byteEnd)], cutting, from)).toEqual(
          whole.slice(last.batch + 1),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('numbers records, lines and bytes without gap, and leaves nothing out (CU4)', () => {
    fc.assert(
      fc.property(cuttings, ({ source, cutting }) => {
        const batches = cutChunks([source], { ...cutting, limitRecords: null });
        let next = { batch: 0, record: 0, line: 1, byte: 0 };
        for (const batch of batches) {
          expect({
            batch: batch.batch,
            record: batch.firstRecord,
            line: batch.firstLine,
            byte: batch.byteStart,
          }).toEqual(next);
          expect(batch.records).toBeGreaterThan(0);
          next = {
            batch: next.batch + 1,
            record: next.record + batch.records,
            line: next.line + batch.lines,
            byte: batch.byteEnd,
          };
        }
        expect(next.byte).toBe(source.length);
      }),
      { numRuns: 500 },
    );
  });

  it('finds the records that the rule in plain words finds, and so does a walk over the batches', () => {
    fc.assert(
      fc.property(cuttings, ({ source, cutting }) => {
        const records = walk(cutChunks([source], { ...cutting, limitRecords: null }), cutting);
        const expected = plainRecords(source, cutting, cutting.maxRecordBytes, cutting.lineEnd);
        expect(
          records.map(({ record, line, byteStart, malformed, skipped, oversized }) => ({
            record,
            line,
            byteStart,
            isMalformed: malformed || skipped,
            isSkipped: skipped,
            isTooLarge: oversized !== null && oversized.keptBytes < oversized.bytes,
          })),
        ).toEqual(
          expected.map(({ start, line, isMalformed, isTooLarge, isSkipped }, record) => ({
            record,
            line,
            byteStart: start,
            isMalformed: isMalformed || isTooLarge || isSkipped,
            isSkipped,
            isTooLarge,
          })),
        );
        for (const [at, { bytes, byteStart, byteEnd }] of records.entries()) {
          const { start, end, isTooLarge } = expected[at]!;
          const whole = source.subarray(start, end).toString('latin1');
          if (isTooLarge) {
            expect(bytes.toString('latin1')).toBe(whole.slice(0, cutting.maxRecordBytes));
            expect(byteEnd).toBe(end);
          } else {
            expect(bytes.toString('latin1')).toBe(
              whole.replace(cutting.lineEnd === 'cr' ? /\r$/ : /\r{0,2}\n$/, ''),
            );
            expect(source.subarray(byteStart, byteEnd)).toEqual(bytes);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('stops after exactly the limit of records, and says so', () => {
    const cutter = createCutter({ ...CSV, limitRecords: 3 }, START);
    expect(cutter.push(Buffer.from('a\n\nb'))).toEqual([]);
    expect(cutter.done).toBe(false);
    const [batch, ...more] = cutter.push(Buffer.from('\nc\nd\n'));
    expect(batch).toMatchObject({ records: 3, lines: 3, byteEnd: 5, bytes: Buffer.from('a\n\nb\n') });
    expect(more).toEqual([]);
    expect(cutter.done).toBe(true);
    expect([...cutter.push(Buffer.from('e\n')), ...cutter.end()]).toEqual([]);
  });

  it('counts the limit from the first record of the source, also when it continues later', () => {
    const from = { batch: 4, record: 10, line: 11, byte: 500 };
    const [batch] = cutChunks([Buffer.from('a\nb\nc\n')], { ...CSV, limitRecords: 12 }, from);
    expect(batch).toMatchObject({ batch: 4, firstRecord: 10, records: 2, byteStart: 500, byteEnd: 504 });
    expect(createCutter({ ...CSV, limitRecords: 10 }, from).done).toBe(true);
  });

  it('ends a batch with the record that brings it to its size or count', () => {
    const sizes = (cutting: Partial<CuttingOptions>): number[] =>
      cutChunks([Buffer.from('aaaa\n'.repeat(7))], { ...CSV, ...cutting }).map(({ bytes }) => bytes.length);
    expect(sizes({ maxBatchBytes: 11 })).toEqual([15, 15, 5]);
    expect(sizes({ maxBatchRecords: 2 })).toEqual([10, 10, 10, 5]);
  });

  it('streams past a record of 64 MB in little memory, keeps its head, and loads its neighbours (CU3)', () => {
    const cutter = createCutter(CSV, START);
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const batches = cutter.push(Buffer.from('first\n"quoted\nstill",'));
    const before = process.memoryUsage().arrayBuffers;
    for (let megabytes = 0; megabytes < 64; megabytes += 1) batches.push(...cutter.push(chunk));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    batches.push(...cutter.push(Buffer.from('\nlast\n')), ...cutter.end());

    const length = '"quoted\nstill",'.length + 64 * chunk.length + 1;
    expect(batches).toHaveLength(1);
    expect(batches[0]).toMatchObject({
      records: 3,
      lines: 4,
      byteEnd: 6 + length + 5,
      unreadable: [{ index: 1, offset: 6, keptBytes: OVERSIZED_KEPT_BYTES, bytes: length, lines: 2 }],
    });
    const [first, big, last] = walk(batches, CSV);
    expect(first).toMatchObject({ line: 1, bytes: Buffer.from('first') });
    expect(big).toMatchObject({ line: 2, byteStart: 6, byteEnd: 6 + length });
    expect(big!.bytes.toString()).toMatch(/^"quoted\nstill",x+$/);
    expect(last).toMatchObject({ line: 4, byteStart: 6 + length, bytes: Buffer.from('last') });
  });

  it('loses only its own line to an unclosed quote', () => {
    const rest = 'a,"b\nc"\n'.repeat(40_000);
    const batches = cutChunks([Buffer.from(`one,"two\n${'three,four\n'.repeat(30_000)}${rest}`)], CSV);
    const records = walk(batches, CSV);
    expect(records).toHaveLength(1 + 30_000 + 40_000);
    expect(
      records
        .filter(({ malformed }) => malformed)
        .map(({ line, bytes }) => ({ line, text: bytes.toString() })),
    ).toEqual([{ line: 1, text: 'one,"two' }]);
  });
});

describe('RecordWalker', () => {
  it('refuses a batch that does not hold what it says', () => {
    const [batch] = cutChunks([Buffer.from('a\nb\n')], CSV);
    for (const records of [1, 3]) {
      expect(() => walk([{ ...batch!, records }], CSV)).toThrow(
        expect.objectContaining({
          code: 'MESSAGE_INVALID',
          message: expect.stringContaining(`${records} records`),
        }),
      );
    }
  });

  it('gives each record its place in the job, whichever batch it stands in', () => {
    const from = { batch: 2, record: 70, line: 90, byte: 1000 };
    const [batch] = cutChunks([Buffer.from('a\r\n"b\nc"\n\nd')], CSV, from);
    const walker = new RecordWalker(batch!, CSV);
    const places: RecordPlace[] = [];
    while (walker.next()) places.push(walker.place());
    expect(places).toHaveLength(4);
    expect(places[1]).toEqual({
      record: 71,
      line: 91,
      byteStart: 1003,
      byteEnd: 1008,
      bytes: Buffer.from('"b\nc"'),
    });
    expect(places[3]).toMatchObject({ record: 73, line: 94, bytes: Buffer.from('d') });
  });
});
