import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { anyDialect, trickySource } from '#test/support/record/cutting.js';
import { plainFields } from '#test/support/record/plain-fields.js';
import { plainRecords } from '#test/support/record/plain-records.js';
import { resolveDialect } from './csv-dialect.js';
import { MAX_HEAD_BYTES, type Prologue } from './dataset.js';
import { type CsvHeadOptions, csvHead, ndjsonHead } from './heads.js';
import { headerRecord, splitHeader } from './header-line.js';

function read(file: string | Buffer, options: CsvHeadOptions = {}, complete = true): Prologue | undefined {
  return csvHead(options)(Buffer.from(file), complete);
}

const refusal = (code: string, message: RegExp, line?: number): unknown => ({
  findings: [
    {
      code,
      severity: 'error',
      message: expect.stringMatching(message),
      ...(line === undefined ? {} : { line }),
    },
  ],
});

describe('a CSV file’s head', () => {
  it.each<[string, string, CsvHeadOptions, Partial<Prologue>]>([
    ['a header', 'a,b\n1,2\n', {}, { columns: ['a', 'b'], dataStart: 4, firstLine: 2 }],
    ['names with blanks around', ' a , b\u3000\r\n1,2\n', {}, { columns: ['a', 'b'] }],
    ['a byte order mark', '\ufeff"a",b\r\n1,2\n', {}, { columns: ['a', 'b'], dataStart: 10, firstLine: 2 }],
    ['semicolons', 'a;"b;c"\n1;2\n', { csv: { delimiter: ';' } }, { columns: ['a', 'b;c'] }],
    [
      'quotes that mean nothing',
      '"a"\tb\n1\t2\n',
      { csv: { delimiter: '\t', quote: null } },
      { columns: ['"a"', 'b'] },
    ],
    ['backslashes', 'a\\,b,"c\\"d"\n1,2\n', { csv: { escape: 'backslash' } }, { columns: ['a,b', 'c"d'] }],
    ['a name over two lines', 'a,"b\nc"\n1,2\n', {}, { columns: ['a', 'b\nc'], dataStart: 8, firstLine: 3 }],
    [
      'comments and blank lines before it',
      '# of today, "all\n\n# b\na,b\n1,2\n',
      { csv: { skipLinesStartingWith: ['#'] } },
      { columns: ['a', 'b'], dataStart: 26, firstLine: 5 },
    ],
    [
      'no header',
      '1,2\n',
      { csv: { columns: ['x', 'y'] } },
      { columns: ['x', 'y'], dataStart: 0, firstLine: 1 },
    ],
    [
      'no header, with a mark',
      '\ufeff1\n',
      { csv: { columns: ['x'] } },
      { columns: ['x'], dataStart: 3, firstLine: 1 },
    ],
    ['a header that is all of the head', `${'a'.repeat(MAX_HEAD_BYTES - 1)}\n`, {}, { firstLine: 2 }],
  ])('is %s', (_, file, options, expected) => {
    expect(read(file, options)).toMatchObject({ ...expected, context: {}, findings: [] });
  });

  const big5 = Buffer.concat([Buffer.from([0xb2, 0xce, 0xbd, 0x73]), Buffer.from(',a\n1,2\n')]); // 統編
  const latin = Buffer.from('straße,a\n1,2\n', 'latin1');
  it.each<[string, string | Buffer, CsvHeadOptions, unknown]>([
    ['nothing', '', {}, refusal('FILE_EMPTY', /download/)],
    ['a page', '<html>', {}, refusal('FILE_IS_HTML', /HTML/)],
    ['a header alone', 'a,b\n', {}, refusal('FILE_WITHOUT_RECORDS', /no record/)],
    ['a header alone without line end', 'a,b', {}, refusal('FILE_WITHOUT_RECORDS', /no record/)],
    ['an open quote', 'a,"b\n1,2\n', {}, refusal('HEADER_UNREADABLE', /quote/)],
    ['text behind a quote', 'a,"b"c\n1,2\n', {}, refusal('HEADER_UNREADABLE', /quote/)],
    [
      'comments alone',
      '# a\n\n',
      { csv: { skipLinesStartingWith: ['#'] } },
      refusal('HEADER_UNREADABLE', /comments/),
    ],
    ['a line without end', 'a'.repeat(MAX_HEAD_BYTES), {}, refusal('HEADER_UNREADABLE', /65536 bytes/)],
    [
      'semicolons',
      'a;b\n1;2\n',
      {},
      refusal('SEPARATOR_WRONG', /semicolons: declare csv: \{ delimiter: ';' \}/),
    ],
    ['tabs', 'a\tb\n1\t2\n', {}, refusal('SEPARATOR_WRONG', /csv: \{ delimiter: '\\t' \}/)],
    ['commas', 'a,b\n', { csv: { delimiter: ';' } }, refusal('SEPARATOR_WRONG', /commas, not by semicolons/)],
    [
      'semicolons and commas',
      'a;b,c;d\n1;2;3\n',
      { reads: ['a', 'd'] },
      refusal('SEPARATOR_WRONG', /delimiter: ';'/),
    ],
    [
      'semicolons behind a comment',
      '#\na;b\n1;2\n',
      { csv: { skipLinesStartingWith: ['#'] } },
      refusal('SEPARATOR_WRONG', /semicolons/, 2),
    ],
    ['Big5', big5, { reads: ['統編'] }, refusal('FILE_NOT_UTF8', /is Big5, .*encoding: 'big5'/)],
    ['Latin-1', latin, { reads: ['straße'] }, refusal('FILE_NOT_UTF8', /encoding: 'windows-1252'/)],
    ['an encoding that cannot be determined', latin, {}, refusal('FILE_NOT_UTF8', /declare its encoding/)],
    [
      'UTF-16',
      Buffer.from('\ufeffa,b\n1,2\n', 'utf16le'),
      {},
      refusal('FILE_NOT_UTF8', /encoding: 'utf-16le'/),
    ],
    ['another encoding', 'a\ufffd,b\n1,2\n', { encoding: 'big5' }, refusal('ENCODING_WRONG', /not Big5/)],
  ])('is refused when it is %s', (_, file, options, expected) => {
    expect(read(file, options)).toMatchObject(expected as object);
  });

  it('may have columns that nothing reads, and one column with another delimiter in its name', () => {
    expect(read('a,x,b\n1,2,3\n', { reads: ['a', 'b'] })?.findings).toEqual([]);
    expect(read('a;b\n1\n', { reads: ['a;b'] })?.findings).toEqual([]);
  });

  it('asks for more bytes while the header has not ended', () => {
    const file = `${'a,'.repeat(400)}"b\n`;
    expect(read(file, {}, false)).toBeUndefined();
    expect(read(`${file}c"\n`, {}, false)).toMatchObject({ firstLine: 3, findings: [] });
  });

  it('is read by the rules of records, in every dialect', () => {
    let read = 0;
    const heads = anyDialect().chain(({ csv, pieces }) =>
      fc.record({ csv: fc.constant(csv), source: trickySource(25, pieces) }),
    );
    fc.assert(
      fc.property(heads, ({ csv, source }) => {
        const [first] = plainRecords(
          source,
          { format: 'csv', csv: { ...csv, skipLinesStartingWith: [] } },
          2 ** 20,
        );
        if (first === undefined) return;
        const header = headerRecord(source, 0, resolveDialect(csv));
        expect(header === null || header.isOpen).toBe(first.isMalformed);
        if (first.isMalformed || header === null) return;
        read += 1;
        expect(header.next).toBe(first.end);
        expect(header.lines).toBe(
          source.toString('latin1', 0, first.end).split('\n').length - (header.ended ? 1 : 0),
        );
        const text = source.toString('utf8', 0, header.end);
        expect(splitHeader(text, resolveDialect(csv))).toEqual(
          plainFields(text, csv).map((name) => name ?? 'N'),
        );
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(500);
  });
});

describe('an NDJSON file’s head', () => {
  it.each([
    ['\ufeff{}', 3],
    ['\n {}', 0],
    ['{"a":1}\n', 0],
  ])('has no header: %j', (file, dataStart) => {
    const found = ndjsonHead()(Buffer.from(file), true);
    expect(found).toEqual({ columns: [], context: {}, dataStart, firstLine: 1, findings: [] });
  });

  it.each([
    ['', 'FILE_EMPTY'],
    ['[\n{}\n]', 'FILE_IS_JSON_ARRAY'],
    ['a,b\n', 'FILE_NOT_NDJSON'],
    ['<html>', 'FILE_IS_HTML'],
  ])('is refused when it is %j', (file, code) => {
    expect(ndjsonHead()(Buffer.from(file), true)).toMatchObject({ findings: [{ code, severity: 'error' }] });
  });

  it('asks for more bytes while it may still be binary', () => {
    expect(ndjsonHead()(Buffer.from('{'), false)).toBeUndefined();
  });
});
