import { describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { chunksOf, cutChunks, trickySource } from '#test/support/record/cutting.js';
import { CsvFields, undouble } from './csv-fields.js';
import type { LineEnd } from './line-ends.js';
import { DEFAULT_CUTTING } from './raw-batch.js';
import { RecordWalker } from './record-walker.js';

/** Records and fields by cutter, walker and field splitter; the source in chunks, in small batches. */
function ourRecords(chunks: readonly Buffer[], lineEnd: LineEnd = 'lf'): string[][] {
  const options = {
    ...DEFAULT_CUTTING,
    format: 'csv',
    maxBatchBytes: 40,
    limitRecords: null,
    lineEnd,
  } as const;
  return cutChunks(chunks, options).flatMap((batch) => {
    const records: string[][] = [];
    const walker = new RecordWalker(batch, 'csv');
    while (walker.next()) {
      expect(walker.malformed).toBe(false);
      records.push(fieldsOf(batch.bytes, walker.start, walker.end));
    }
    return records;
  });
}

function fieldsOf(bytes: Buffer, start: number, end: number): string[] {
  const fields = new CsvFields(100);
  const scratch = Buffer.alloc(bytes.length);
  return Array.from({ length: fields.split(bytes, start, end) }, (_, at) => {
    const from = fields.starts[at]!;
    const to = fields.ends[at]!;
    if (fields.doubled[at] === 0) return bytes.toString('utf8', from, to);
    return scratch.toString('utf8', 0, undouble(bytes, from, to, scratch, 0));
  });
}

/** csv-parse, told what this reader does: the kind of line end, and that a quote inside a bare field is a character. */
function referenceRecords(source: Buffer, lineEnd: LineEnd = 'lf'): string[][] {
  const record_delimiter = lineEnd === 'cr' ? '\r' : ['\r\r\n', '\r\n', '\n'];
  return parse(source, { record_delimiter, relax_column_count: true, relax_quotes: true });
}

/** A field as a writer of CSV puts it; bare ones may hold quotes and CRs, but not where they would mean something. */
const field = fc.oneof(
  fc.stringMatching(/^[^",\r\n]{0,12}$/),
  fc.stringMatching(/^[a-z東 ][a-z"東]{0,8}$/),
  fc.stringMatching(/^[a-z]{0,3}\r[a-z]{1,3}$/),
  fc
    .string({
      unit: fc.constantFrom('"', ',', '\n', '\r', '\r\n', 'a', '東', '𠮷', '\t', ' '),
      maxLength: 15,
    })
    .map((value) => `"${value.replaceAll('"', '""')}"`),
);

const wellFormed = (lineEnds: readonly string[]): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      fc.array(fc.tuple(fc.array(field, { minLength: 1, maxLength: 6 }), fc.constantFrom(...lineEnds)), {
        maxLength: 12,
      }),
      fc.boolean(),
    )
    .map(([lines, endsWithLineEnd]) => {
      // A bare field with a CR in it is one in files of LF only.
      const bare = (text: string): string =>
        lineEnds.includes('\r') && !text.startsWith('"') ? text.replaceAll('\r', 'r') : text;
      const text = lines.map(([fields, lineEnd]) => fields.map(bare).join(',') + lineEnd).join('');
      const last = lines.at(-1)?.[1] ?? '';
      return Buffer.from(endsWithLineEnd ? text : text.slice(0, text.length - last.length));
    });

describe('our splitter and csv-parse', () => {
  it.each([
    ['nothing', ''],
    ['a blank line', '\n'],
    ['blank lines between records', 'a,b\n\n\r\nc,d\n'],
    ['a last line without end', 'a,b\nc,d'],
    ['a last line that ends in a comma', 'a,b,'],
    ['LF and CRLF in one file', 'a\r\nb\nc\r\n'],
    ['empty quoted fields', '"",""\n""\n'],
    ['a quoted field at the very end', 'a,"b"'],
    ['commas and line ends inside quotes', '"a,b","c\nd","e\r\nf"\r\ng\n'],
    ['doubled quotes', '"a ""b"" c","""",""""""\n'],
    ['quotes inside bare fields', 'a"b,c "d" e\n5" pipe,"5"" pipe"\n'],
    ['CR inside a bare field', 'a\rb,c\n'],
    ['characters of two, three and four bytes', 'é,東　區,𠮷,"é東𠮷"\n'],
    ['a line of commas', ',,,\n'],
    ['blanks around fields', ' a , b \n'],
    ['NUL', 'a\0b,"\0"\n'],
  ])('agree on %s', (_, text) => {
    expect(ourRecords([Buffer.from(text)])).toEqual(referenceRecords(Buffer.from(text)));
  });

  it.each([
    ['LF and CRLF', 'lf', ['\n', '\r\n']],
    ['CRLF', 'lf', ['\r\n']],
    ['CR CR LF', 'lf', ['\r\r\n']],
    ['CR', 'cr', ['\r']],
  ] as const)('agree on well-formed files of %s, whatever the chunks', (_, lineEnd, lineEnds) => {
    const inChunks = wellFormed(lineEnds).chain((source) => fc.tuple(fc.constant(source), chunksOf(source)));
    fc.assert(
      fc.property(inChunks, ([source, chunks]) => {
        expect(ourRecords(chunks, lineEnd)).toEqual(referenceRecords(source, lineEnd));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['LF', 'lf'],
    ['CR', 'cr'],
  ] as const)(
    'agree on whatever csv-parse can read of quotes, commas and line ends, in files of %s',
    (_, lineEnd) => {
      let readable = 0;
      fc.assert(
        fc.property(trickySource(10), (source) => {
          let expected: string[][];
          try {
            expected = referenceRecords(source, lineEnd);
          } catch {
            return;
          }
          // With relax_quotes csv-parse takes a quoted field that goes on behind its quote for text; here it is malformed.
          const options = { ...DEFAULT_CUTTING, format: 'csv', limitRecords: null, lineEnd } as const;
          for (const batch of cutChunks([source], options)) {
            const walker = new RecordWalker(batch, 'csv');
            while (walker.next()) if (walker.malformed) return;
          }
          readable += 1;
          expect(ourRecords([source], lineEnd)).toEqual(expected);
        }),
        { numRuns: 1500 },
      );
      expect(readable).toBeGreaterThan(200);
    },
  );
});
