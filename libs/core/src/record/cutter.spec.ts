import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chunksOf, cutChunks, START, trickySource } from '#test/support/record/cutting.js';
import { plainRecords } from '#test/support/record/plain-records.js';
import { createCutter } from './cutter.js';
import { type CuttingOptions, DEFAULT_CUTTING, OVERSIZED_KEPT_BYTES, type RawBatch } from './raw-batch.js';
import { type RecordPlace, RecordWalker } from './record-walker.js';

const CSV: CuttingOptions = { ...DEFAULT_CUTTING, format: 'csv', limitRecords: null };

const options = fc.record({
  format: fc.constantFrom('csv' as const, 'ndjson' as const),
  maxBatchBytes: fc.integer({ min: 1, max: 60 }),
  maxBatchRecords: fc.integer({ min: 1, max: 8 }),
  maxRecordBytes: fc.integer({ min: 1, max: 25 }),
  limitRecords: fc.option(fc.integer({ min: 0, max: 12 })),
  lineEnd: fc.constantFrom('lf' as const, 'cr' as const),
});

const sourceInChunks = trickySource().chain((source) => fc.tuple(fc.constant(source), chunksOf(source)));

function walk(batches: readonly RawBatch[], format: CuttingOptions['format']) {
  return batches.flatMap((batch) => {
    const found = [];
    const walker = new RecordWalker(batch, format);
    while (walker.next())
      found.push({ ...walker.place(), malformed: walker.malformed, oversized: walker.oversized });
    return found;
  });
}

describe('cutter', () => {
  it('cuts the same batches however the bytes come (K1)', () => {
    fc.assert(
      fc.property(sourceInChunks, options, ([source, chunks], cutting) => {
        expect(cutChunks(chunks, cutting)).toEqual(cutChunks([source], cutting));
      }),
      { numRuns: 1000 },
    );
  });

  it('goes on from any batch end as if it had never stopped (K2)', () => {
    fc.assert(
      fc.property(trickySource(), options, fc.nat(), (source, cutting, pick) => {
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

  it('numbers records, lines and bytes without gap, and leaves nothing out (K4)', () => {
    fc.assert(
      fc.property(trickySource(), options, (source, cutting) => {
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

  it('finds the records that the rule in plain words finds, and so does whoever walks the batches', () => {
    fc.assert(
      fc.property(trickySource(), options, (source, cutting) => {
        const records = walk(cutChunks([source], { ...cutting, limitRecords: null }), cutting.format);
        const expected = plainRecords(source, cutting.format, cutting.maxRecordBytes, cutting.lineEnd);
        expect(
          records.map(({ record, line, byteStart, malformed, oversized }) => ({
            record,
            line,
            byteStart,
            isMalformed: malformed,
            isTooLarge: oversized !== null && oversized.keptBytes < oversized.bytes,
          })),
        ).toEqual(
          expected.map(({ start, line, isMalformed, isTooLarge }, record) => ({
            record,
            line,
            byteStart: start,
            isMalformed: isMalformed || isTooLarge,
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

  it('stops after exactly the records it was told, and says so', () => {
    const cutter = createCutter({ ...CSV, limitRecords: 3 }, START);
    expect(cutter.push(Buffer.from('a\n\nb'))).toEqual([]);
    expect(cutter.done).toBe(false);
    const [batch, ...more] = cutter.push(Buffer.from('\nc\nd\n'));
    expect(batch).toMatchObject({ records: 3, lines: 3, byteEnd: 5, bytes: Buffer.from('a\n\nb\n') });
    expect(more).toEqual([]);
    expect(cutter.done).toBe(true);
    expect([...cutter.push(Buffer.from('e\n')), ...cutter.end()]).toEqual([]);
  });

  it('counts the limit from the first record of the source, also when it goes on later', () => {
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

  it('streams past a record of 64 MB in little memory, keeps its head, and loads its neighbours (K3)', () => {
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
      oversized: [{ index: 1, offset: 6, keptBytes: OVERSIZED_KEPT_BYTES, bytes: length, lines: 2 }],
    });
    const [first, big, last] = walk(batches, 'csv');
    expect(first).toMatchObject({ line: 1, bytes: Buffer.from('first') });
    expect(big).toMatchObject({ line: 2, byteStart: 6, byteEnd: 6 + length });
    expect(big!.bytes.toString()).toMatch(/^"quoted\nstill",x+$/);
    expect(last).toMatchObject({ line: 4, byteStart: 6 + length, bytes: Buffer.from('last') });
  });

  it('lets an unclosed quote cost its own line only', () => {
    const rest = 'a,"b\nc"\n'.repeat(40_000);
    const batches = cutChunks([Buffer.from(`one,"two\n${'three,four\n'.repeat(30_000)}${rest}`)], CSV);
    const records = walk(batches, 'csv');
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
      expect(() => walk([{ ...batch!, records }], 'csv')).toThrow(
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
    const walker = new RecordWalker(batch!, 'csv');
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
