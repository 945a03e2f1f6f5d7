import { describe, expect, it } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { anyCharacter } from '#test/support/any-character.js';
import { deadLetter } from '#test/support/cli/api-server.js';
import { plainCell } from '#common/text/plain-text.js';
import { csvHeader, csvRow, defused } from './refused-csv.js';

const COLUMNS = ['number', 'name'];

describe('the export of refused records', () => {
  it('CV2: has the own columns, then line, codes, reasons and raw', () => {
    expect(csvHeader(COLUMNS)).toBe('number,name,line,codes,reasons,raw\r\n');
    const letter = deadLetter({ record: 3, line: 5, codes: ['A', 'B'], text: '12,"x, ""y"""' });
    expect(csvRow(COLUMNS, letter, letter.text)).toBe('12,"x, ""y""",5,A B,number: must be 8 digits,\r\n');
  });

  it('fits a file with the columns in another order in by name', () => {
    const letter = deadLetter({ record: 0, columns: ['name', 'number'], text: 'x,12' });
    expect(csvRow(COLUMNS, letter, letter.text)).toMatch(/^12,x,2,/);
  });

  it('cuts a record as its dataset says that it is written', () => {
    const csv = { delimiter: '\t', quote: null, escape: 'backslash' as const };
    const letter = deadLetter({ record: 3, line: 5, codes: ['A'], text: '12\t"x,\\ty' });
    const [cells] = parse(csvRow(COLUMNS, letter, letter.text, csv));
    expect(cells?.slice(0, 2)).toEqual(['12', '"x,\ty']);
    const other = deadLetter({ record: 3, line: 5, codes: ['A'], text: '12,x' });
    expect(parse(csvRow(COLUMNS, other, other.text, csv))[0]?.at(-1)).toBe('12,x');
  });

  it.each([
    ['too few fields', { text: '12' }],
    ['too many fields', { text: '12,x,y' }],
    ['broken quoting', { text: '12,"x' }],
    [
      'a malformed record that happens to have the right number of fields',
      { text: '12,x', codes: ['MALFORMED_ROW'] },
    ],
    ['the head of an oversized record', { text: '12,x', codes: ['RECORD_TOO_LARGE'] }],
    ['a format that names its fields in each record', { text: '{"a":1}', columns: [] }],
    ['columns that the header does not have', { text: '12,x', columns: ['number', 'title'] }],
  ])('CV3: puts %s whole into raw', (_what, facts) => {
    const letter = deadLetter({ record: 0, ...facts });
    const [cells] = parse(csvRow(COLUMNS, letter, letter.text));
    expect(cells).toEqual(['', '', '2', letter.codes.join(' '), 'number: must be 8 digits', facts.text]);
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', ' =1', '＝1', '－1', '　=1'])(
    'CV4: defuses %j',
    (cell) => {
      expect(defused(cell)).toBe(`'${cell}`);
    },
  );

  it.each(['', 'a=1', '1-1', '04595257', '臺北市', "'=1"])('CV4: leaves %j alone', (cell) => {
    expect(defused(cell)).toBe(cell);
  });

  it('CV4: defuses reasons and raw as well', () => {
    const findings = [{ code: 'A', field: null, message: '=cmd()', severity: 'error' as const }];
    const letter = deadLetter({ record: 0, text: '=1', findings });
    expect(csvRow(COLUMNS, letter, letter.text)).toBe(",,2,BAD_NUMBER,'=cmd(),'=1\r\n");
  });

  it('CV5: cannot steer a terminal, and keeps the line breaks of a field', () => {
    const text = '\u001b[2Jred\u202e\rgone\u009b1A\u0000';
    const row = csvRow([], deadLetter({ record: 0, text, columns: [] }), text);
    expect(row).toContain('\\u001b[2Jred\\u202e\\rgone\\u009b1A\\u0000');
    expect(csvRow([], deadLetter({ record: 0, columns: [] }), 'a\r\nb\nc\td')).toContain('"a\r\nb\nc\td"');
  });

  it('CV1: whatever the cells hold, a CSV reader gets them back, and no cell begins like a formula', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), fc.string(), (name, raw) => {
        const findings = [{ code: 'A', field: null, message: name, severity: 'error' as const }];
        const letter = deadLetter({ record: 0, findings, columns: [] });
        const [cells = []] = parse(csvRow(COLUMNS, letter, raw));
        expect(cells.slice(4)).toEqual([defused(plainCell(name)), defused(plainCell(raw))]);
        expect(cells.filter((cell) => /^[=+\-@\t\r\n]/.test(cell))).toEqual([]);
      }),
    );
  });
});
