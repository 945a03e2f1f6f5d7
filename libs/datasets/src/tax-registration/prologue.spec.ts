import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { MAX_HEAD_BYTES } from '#core/dataset/dataset.js';
import { readSourceHead, refusalOf } from '#core/record/head/source-head.js';
import dataset from './dataset.js';
import { SOURCE_COLUMNS, readPrologue } from './prologue.js';

const HEADER = SOURCE_COLUMNS.join(',');
const DATE_LINE = `01-SEP-26${','.repeat(15)}`;
const RECORD = '"臺中市東　區樂業路１號",10000009,,"範例商行",200000,1090105,獨資,N,472913,菸酒零售,,,,,,';
const FILE = `${HEADER}\n${DATE_LINE}\n${RECORD}\n`;
/** 統一編號,名稱 and a record, in Big5. */
const BIG5 = Buffer.from('b2ce a440 bd73 b8b9 2c a657 badf 0a 31 2c bdd2 0a'.replaceAll(' ', ''), 'hex');

function read(file: string | Buffer, complete = true) {
  return readPrologue(Buffer.from(file), complete);
}

function codesOf(file: string | Buffer): string[] {
  return read(file)?.findings.map(({ severity, code }) => `${severity} ${code}`) ?? ['undecided'];
}

function messagesOf(file: string | Buffer): string {
  return (
    read(file)
      ?.findings.map(({ message }) => message)
      .join('\n') ?? 'undecided'
  );
}

function without(...names: string[]): string[] {
  return SOURCE_COLUMNS.filter((column) => !names.includes(column));
}

describe('the header and the date line', () => {
  it('gives columns, date, and the place of the first record', () => {
    const dataStart = Buffer.byteLength(`${HEADER}\n${DATE_LINE}\n`);
    expect(read(FILE)).toEqual({
      columns: SOURCE_COLUMNS,
      context: { date: '2026-09-01' },
      dataStart,
      firstLine: 3,
      findings: [],
    });
  });

  it.each([
    ['a byte order mark', `\uFEFF${FILE}`],
    ['CRLF', FILE.replaceAll('\n', '\r\n')],
    ['CR CR LF', FILE.replaceAll('\n', '\r\r\n')],
    ['both', `\uFEFF${FILE.replaceAll('\n', '\r\n')}`],
    [
      'blanks and U+3000 around names',
      FILE.replace('統一編號', ' 統一編號　').replace('營業地址', '\t營業地址'),
    ],
    ['quoted names', FILE.replace(HEADER, SOURCE_COLUMNS.map((name) => `"${name}"`).join(','))],
    ['a quoted date', FILE.replace('01-SEP-26', '"01-SEP-26"')],
    ['no line end at the end', FILE.trimEnd()],
    ['blank lines before the first record', FILE.replace(RECORD, `\n\n${RECORD}`)],
  ])('accepts %s', (_, file) => {
    const prologue = read(file);
    expect(prologue).toMatchObject({
      columns: SOURCE_COLUMNS,
      context: { date: '2026-09-01' },
      firstLine: 3,
      findings: [],
    });
    const data = Buffer.from(file).subarray(prologue?.dataStart).toString().trim();
    expect(data).toBe(RECORD);
  });

  it('takes columns in any order', () => {
    const columns = SOURCE_COLUMNS.toReversed();
    expect(read(FILE.replace(HEADER, columns.join(',')))).toMatchObject({ columns, findings: [] });
  });

  describe('date line', () => {
    // PL3
    it('may be missing', () => {
      const file = `${HEADER}\n${RECORD}\n`;
      expect(read(file)).toMatchObject({
        context: {},
        firstLine: 2,
        dataStart: Buffer.byteLength(HEADER) + 1,
        findings: [],
      });
    });

    it.each([
      ['something else in it', `01-SEP-26,x${','.repeat(14)}`],
      ['another form', `2026-09-01${','.repeat(15)}`],
      ['a lower-case month', `01-Sep-26${','.repeat(15)}`],
    ])('is a record with %s', (_, line) => {
      expect(read(FILE.replace(DATE_LINE, line))).toMatchObject({ context: {}, firstLine: 2, findings: [] });
    });

    it.each([
      ['29-FEB-24', '2024-02-29'],
      ['31-DEC-99', '2099-12-31'],
      ['09-JAN-00', '2000-01-09'],
    ])('%s is %s', (text, date) => {
      expect(read(FILE.replace('01-SEP-26', text))?.context).toEqual({ date });
    });

    it.each([
      ['one blank line', '\n', 4],
      ['blank lines of other kinds', '\r\n \n\u3000\n', 6],
    ])('may follow %s, which belong to the head then', (_, blanks, firstLine) => {
      const head = `\uFEFF${HEADER}\n${blanks}${DATE_LINE}\n`;
      const file = Buffer.from(`${head}\n${RECORD}\n`);
      expect(read(file)).toMatchObject({ context: { date: '2026-09-01' }, firstLine, findings: [] });
      // The bytes of the head add up.
      const { prologue, bytes, lines } = readSourceHead(dataset, file, true);
      expect({ refusal: refusalOf(prologue), bytes, lines }).toEqual({
        refusal: null,
        bytes: Buffer.byteLength(head),
        lines: firstLine - 1,
      });
    });

    it('is named by its line where it names no day, or ends with CR alone', () => {
      const late = FILE.replace(DATE_LINE, `\n\n${DATE_LINE}`);
      expect(read(late.replace('01-SEP', '31-SEP'))?.findings).toMatchObject([
        { code: 'BAD_EXTRACT_DATE', line: 4, message: expect.stringMatching(/^Line 4 /) },
      ]);
      expect(read(late.replace(`${DATE_LINE}\n`, `${DATE_LINE}\r`))?.findings).toMatchObject([
        { code: 'LINE_ENDS_MIXED', line: 4, message: expect.stringMatching(/^Line 4 /) },
      ]);
    });

    it.each(['30-FEB-24', '29-FEB-23', '00-JAN-24', '01-XXX-24'])(
      '%s is a date line, with a warning',
      (text) => {
        expect(read(FILE.replace('01-SEP-26', text))).toMatchObject({
          context: {},
          firstLine: 3,
          findings: [{ code: 'BAD_EXTRACT_DATE', severity: 'warning' }],
        });
      },
    );
  });

  describe('asks for more bytes', () => {
    it('until the first record is there, and then says what the whole file says', () => {
      const bytes = Buffer.from(`\uFEFF${FILE.replace('範例商行', '範例商行'.repeat(40))}`);
      const whole = readPrologue(bytes, true);
      for (let end = 0; end < bytes.length; end += 1)
        expect(readPrologue(bytes.subarray(0, end), false)).toBeUndefined();
      expect(readPrologue(bytes, false)).toEqual(whole);
    });

    it('but never when there are no more', () => {
      const bytes = Buffer.from(FILE);
      for (let end = 0; end < bytes.length; end += 1)
        expect(readPrologue(bytes.subarray(0, end), true)).toBeDefined();
    });

    it('and leaves it to the sums of the job whether blank lines are all there is, few or many', () => {
      for (const blanks of [3, MAX_HEAD_BYTES]) {
        const head = Buffer.from(`${HEADER}\n${'\n'.repeat(blanks)}`).subarray(0, MAX_HEAD_BYTES);
        expect(readPrologue(head, true)).toMatchObject({ firstLine: 2, findings: [] });
      }
    });

    it('and takes a head full of a first record that does not end', () => {
      const head = Buffer.from(`${HEADER}\n"${'x'.repeat(MAX_HEAD_BYTES)}`).subarray(0, MAX_HEAD_BYTES);
      expect(readPrologue(head, true)).toMatchObject({ firstLine: 2, findings: [] });
    });
  });

  // PL1
  describe('refuses', () => {
    it.each([
      ['an empty file', '', 'FILE_EMPTY', 'empty'],
      ['a lone byte order mark', '\uFEFF', 'FILE_EMPTY', 'empty'],
      ['nothing but line ends', '\r\n \n', 'FILE_EMPTY', 'empty'],
      ['a header only', HEADER, 'FILE_WITHOUT_RECORDS', 'no record'],
      ['a header and its line end', `${HEADER}\n`, 'FILE_WITHOUT_RECORDS', 'no record'],
      ['header and date line only', `${HEADER}\n${DATE_LINE}\n`, 'FILE_WITHOUT_RECORDS', 'no record'],
      [
        'an HTML page',
        '<!DOCTYPE html>\n<html><body>Forbidden</body></html>',
        'FILE_IS_HTML',
        'error or login page',
      ],
      ['an HTML page after blanks', '\uFEFF\n\n  <html>', 'FILE_IS_HTML', 'error or login page'],
      ['a gzip file in a gzip file', gzipSync(FILE), 'FILE_IS_BINARY', 'gzip'],
      ['a workbook', Buffer.from('PK\x03\x04\x14\0\x06\0', 'latin1'), 'FILE_IS_BINARY', 'Excel'],
      [
        'bytes of a program',
        Buffer.from(Array.from({ length: 600 }, (_, i) => (i * 37) % 256)),
        'FILE_IS_BINARY',
        'binary',
      ],
      [
        'UTF-16, little-endian',
        Buffer.from(`\uFEFF${FILE}`, 'utf16le'),
        'FILE_NOT_UTF8',
        'UTF-16 (little-endian)',
      ],
      [
        'UTF-16, big-endian',
        Buffer.from(`\uFEFF${FILE}`, 'utf16le').swap16(),
        'FILE_NOT_UTF8',
        'UTF-16 (big-endian)',
      ],
      ['UTF-16 without its mark', Buffer.from(FILE, 'utf16le'), 'FILE_NOT_UTF8', 'UTF-16 (little-endian)'],
      ['Big5', BIG5, 'FILE_NOT_UTF8', 'Big5'],
      ['Latin-1', Buffer.from('Zürich,Genève\n1,2\n', 'latin1'), 'FILE_NOT_UTF8', 'another encoding'],
      ['a header with an open quote', `"${FILE}`, 'HEADER_UNREADABLE', 'never closed'],
    ])('%s', (_, file, code, message) => {
      expect(codesOf(file)).toEqual([`error ${code}`]);
      expect(messagesOf(file)).toContain(message);
    });

    // PL2
    it.each(['統一編號', '營業人名稱', '名稱3'])('a header without %s', (name) => {
      const file = `${without(name).join(',')}\n${RECORD}\n`;
      expect(read(file)?.findings).toEqual([
        {
          code: 'COLUMN_MISSING',
          field: name,
          message: `The header has no column ${name}: all 16 are needed.`,
          severity: 'error',
        },
      ]);
    });

    it('a first line that is no header, in one sentence and without quoting it', () => {
      for (const line of [
        RECORD,
        '{"password":"hunter2"}',
        Array.from({ length: 5000 }, (_, i) => `c${i}`).join(','),
      ]) {
        expect(codesOf(`${line}\n${RECORD}\n`)).toEqual(['error HEADER_MISSING']);
        expect(messagesOf(`${line}\n${RECORD}\n`)).not.toMatch(/商行|hunter2|c1/);
      }
    });

    it('a date line that ends with CR alone, which would take the first record with it', () => {
      expect(codesOf(`${HEADER}\n${DATE_LINE}\r${RECORD}\n${RECORD}\n`)).toEqual(['error LINE_ENDS_MIXED']);
    });

    it('the file of suspended businesses, which has one column more', () => {
      const file = FILE.replace('組織別名稱,', '組織別名稱,停業日期,');
      expect(codesOf(file)).toEqual(['error COLUMN_UNKNOWN']);
      expect(messagesOf(file)).toContain('suspended businesses');
    });

    it('a column twice', () => {
      expect(codesOf(FILE.replace('組織別名稱', '資本額'))).toEqual([
        'error COLUMN_MISSING',
        'error COLUMN_REPEATED',
      ]);
    });

    const townColumns = ['縣市別', '鄉鎮市區別', ...without('營業地址')];
    it.each([
      ['county and town instead of an address', townColumns.join(','), 'LAYOUT_OUTDATED', 'county and town'],
      ['a preamble 備註', '備註:本檔每日更新', 'LAYOUT_OUTDATED', '備註'],
      ['a preamble 檔案產生日期', '檔案產生日期：105年1月1日', 'LAYOUT_OUTDATED', '檔案產生日期'],
      [
        'the owner’s family name',
        [...SOURCE_COLUMNS, '負責人姓氏'].join(','),
        'LAYOUT_OUTDATED',
        '負責人姓氏',
      ],
      ['industries without numbers', HEADER.replaceAll(/[123](?=,|$)/g, ''), 'LAYOUT_OUTDATED', '行業代號'],
      ['semicolons in the header', HEADER.replaceAll(',', ';'), 'SEPARATOR_WRONG', 'semicolons'],
      ['tabs in the header', HEADER.replaceAll(',', '\t'), 'SEPARATOR_WRONG', 'tabs'],
    ])('an old layout: %s', (_, header, code, message) => {
      const file = `${header}\n${HEADER}\n${RECORD}\n`;
      expect(codesOf(file)).toEqual([`error ${code}`]);
      expect(messagesOf(file)).toContain(message);
    });

    it('an old layout: semicolons in the records only', () => {
      const file = `${HEADER}\n${DATE_LINE}\n${RECORD.replaceAll(',', ';')}\n`;
      expect(codesOf(file)).toEqual(['error SEPARATOR_WRONG']);
    });
  });
});
