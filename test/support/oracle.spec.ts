import { describe, expect, it } from '@jest/globals';
import { type OracleOptions, type Outcome, expectFile, judgeFile } from './oracle.js';

/** Every expectation here is written by hand from the dataset's README. */

const HEADER =
  '營業地址,統一編號,總機構統一編號,營業人名稱,資本額,設立日期,組織別名稱,使用統一發票,行業代號,名稱,行業代號1,名稱1,行業代號2,名稱2,行業代號3,名稱3';
const DATE_LINE = '01-SEP-26,,,,,,,,,,,,,,,';

/** A row in the publisher's order; `changes` by place, from 0. */
function row(changes: Readonly<Record<number, string>> = {}): string {
  const fields = [
    '"臺中市東　區"',
    '10000009',
    '',
    '"範例"',
    '200000',
    '1090105',
    '獨資',
    'N',
    '472913',
    '菸酒零售',
    '',
    '',
    '',
    '',
    '',
    '',
  ];
  for (const [place, value] of Object.entries(changes)) fields[Number(place)] = value;
  return fields.join(',');
}

function file(...lines: string[]): Buffer {
  return Buffer.from([HEADER, DATE_LINE, ...lines, ''].join('\n'));
}

function judge(line: string, options: OracleOptions = {}): Outcome {
  const outcomes = [...judgeFile(file(line), options)];
  expect(outcomes).toHaveLength(1);
  return outcomes[0]!;
}

function summary(source: Buffer, options: OracleOptions = {}) {
  return [...judgeFile(source, options)].map((outcome) =>
    `${outcome.record}@${outcome.line} ${outcome.is} ${'codes' in outcome ? outcome.codes.join() : ''}`.trimEnd(),
  );
}

describe('oracle', () => {
  it('reads a good row', () => {
    expect(judge(row())).toEqual({
      record: 0,
      line: 3,
      is: 'loaded',
      warnings: [],
      business: {
        ban: '10000009',
        headquarters_ban: null,
        business_name: '範例',
        business_address: '臺中市東　區',
        capital_amount: '200000',
        business_setup_date: '1090105',
        setup_date: '2020-01-05',
        business_type: '獨資',
        is_use_invoice: 'false',
        data_source_date: '2026-09-01',
      },
      industries: [
        { business_id: '10000009', industry_code: '472913', industry_name: '菸酒零售', order: '1' },
      ],
    });
  });

  it.each<[string, Record<number, string>, object, string[]]>([
    ['trimming, inner U+3000 kept', { 3: '" 　a　b\t　"' }, { business_name: 'a　b' }, []],
    ['a null name', { 3: 'N/A' }, { business_name: '' }, []],
    ['no null token', { 6: 'Null' }, { business_type: 'Null' }, []],
    ['doubled quotes and a line break', { 3: '"a""b\nc"' }, { business_name: 'a"b\nc' }, []],
    ['a quote in a bare field', { 6: 'a"b"' }, { business_type: 'a"b"' }, ['STRAY_QUOTE']],
    [
      'NUL',
      { 3: '"a\0b\0"', 6: '\0' },
      { business_name: 'ab', business_type: '' },
      ['NUL_REMOVED', 'NUL_REMOVED'],
    ],
    ['a branch', { 2: '24567899' }, { headquarters_ban: '24567899' }, []],
    ['a bad head office', { 2: '2456789' }, { headquarters_ban: null }, ['INVALID_HQ_BAN']],
    ['capital with commas', { 4: '"1,000"' }, { capital_amount: '1000' }, []],
    ['no capital', { 4: '' }, { capital_amount: '0' }, []],
    ['the largest capital', { 4: '9223372036854775807' }, { capital_amount: '9223372036854775807' }, []],
    ['too large a capital', { 4: '9223372036854775808' }, { capital_amount: '0' }, ['BAD_CAPITAL']],
    ['a negative capital', { 4: '-5' }, { capital_amount: '0' }, ['BAD_CAPITAL']],
    ['capital in full-width digits', { 4: '１' }, { capital_amount: '0' }, ['BAD_CAPITAL']],
    ['no date', { 5: 'NA' }, { business_setup_date: '', setup_date: null }, []],
    [
      'a Gregorian date',
      { 5: '20240229' },
      { business_setup_date: '20240229', setup_date: '2024-02-29' },
      [],
    ],
    [
      'no calendar date',
      { 5: '1040230' },
      { business_setup_date: '1040230', setup_date: null },
      ['BAD_DATE'],
    ],
    [
      'six digits of date',
      { 5: '990930' },
      { business_setup_date: '990930', setup_date: null },
      ['BAD_DATE'],
    ],
    ['year 0', { 5: '0000101' }, { business_setup_date: '0000101', setup_date: null }, ['BAD_DATE']],
    ['a small flag', { 7: 'y' }, { is_use_invoice: 'true' }, []],
    ['no flag', { 7: '' }, { is_use_invoice: 'false' }, ['BAD_INVOICE_FLAG']],
    ['a wrong checksum', { 1: '12345678' }, { ban: '12345678' }, ['INVALID_BAN_CHECKSUM']],
    ['all zeros', { 1: '00000000' }, { ban: '00000000' }, ['INVALID_BAN_CHECKSUM']],
    ['a checksum by the seventh digit', { 1: '12345670' }, { ban: '12345670' }, []],
  ])('loads %s', (_, changes, values, warnings) => {
    expect(judge(row(changes))).toMatchObject({ is: 'loaded', business: values, warnings });
  });

  it.each<[string, string, string[]]>([
    ['a short number', row({ 1: '1234567' }), ['INVALID_BAN']],
    ['a number in full-width digits', row({ 1: '１００００００９' }), ['INVALID_BAN']],
    ['no number', row({ 1: 'null' }), ['INVALID_BAN']],
    ['too long a name', row({ 3: '𠮷'.repeat(256) }), ['FIELD_TOO_LONG']],
    ['too long a date', row({ 5: '110/01/01' }), ['FIELD_TOO_LONG']],
    ['too long an industry', row({ 8: '4'.repeat(21) }), ['FIELD_TOO_LONG']],
    ['a field too few', row().slice(0, -1), ['MALFORMED_ROW']],
    ['a field too many', `${row()},`, ['MALFORMED_ROW']],
    ['text behind a closing quote', row({ 3: '"a"b' }), ['MALFORMED_ROW']],
    [
      'several reasons',
      row({ 1: 'x', 3: '長'.repeat(256), 4: '-1' }),
      ['BAD_CAPITAL', 'FIELD_TOO_LONG', 'INVALID_BAN'],
    ],
  ])('refuses %s', (_, line, codes) => {
    expect(judge(line)).toMatchObject({ is: 'refused', stage: 'validate', codes });
  });

  it('takes the longest name, in characters', () => {
    expect(judge(row({ 3: '𠮷'.repeat(255) }))).toMatchObject({ is: 'loaded', warnings: [] });
  });

  it('follows the checksum mode', () => {
    const line = row({ 1: '12345678' });
    expect(judge(line, { checksum: 'off' })).toMatchObject({ is: 'loaded', warnings: [] });
    expect(judge(line, { checksum: 'reject' })).toMatchObject({
      is: 'refused',
      codes: ['INVALID_BAN_CHECKSUM'],
    });
  });

  it('reads the four industry slots', () => {
    const outcome = judge(row({ 8: '1', 9: 'a', 10: '', 11: 'b', 12: '3', 13: '', 14: '1', 15: 'd' }));
    expect(outcome).toMatchObject({
      warnings: ['ORPHAN_INDUSTRY', 'ORPHAN_INDUSTRY'],
      industries: [
        { industry_code: '1', industry_name: 'a', order: '1' },
        { industry_code: '3', industry_name: '', order: '3' },
      ],
    });
  });

  it('skips blank records, and counts and numbers them', () => {
    expect(
      summary(
        file('', row(), ','.repeat(15), '"",NULL, null ,NA,N/A,　,\t,,,,,,,,,', row({ 1: '04595257' })),
      ),
    ).toEqual(['0@3 skipped', '1@4 loaded', '2@5 skipped', '3@6 skipped', '4@7 loaded']);
  });

  it('lets the first accepted row of a number win', () => {
    const refused = row({ 3: '長'.repeat(256) });
    expect(summary(file(refused, row({ 3: 'first' }), row({ 3: 'second', 4: '-1' })))).toEqual([
      '0@3 refused FIELD_TOO_LONG',
      '1@4 loaded',
      '2@5 refused DUPLICATE',
    ]);
  });

  it('refuses an undecodable byte and continues', () => {
    const bad = Buffer.concat([file(row()).subarray(0, -3), Buffer.from([0xff]), Buffer.from(',,\n')]);
    expect(summary(Buffer.concat([bad, Buffer.from(`${row({ 1: '04595257' })}\n`)]))).toEqual([
      '0@3 refused MALFORMED_ROW',
      '1@4 loaded',
    ]);
  });

  it('ends a record of broken quoting at the first line end after the opening quote', () => {
    const broken = `"never closed,${row().replaceAll('"', '')}`;
    // The second line of the third record stands for itself: a bare field with quotes in it, and 15 more.
    const overTwoLines = `"a\nb" c${row({ 0: '', 1: '04595257' })}`;
    expect(summary(file(broken, row(), overTwoLines, row({ 1: '53212539' })))).toEqual([
      '0@3 refused MALFORMED_ROW',
      '1@4 loaded',
      '2@5 refused MALFORMED_ROW',
      '3@6 loaded',
      '4@7 loaded',
    ]);
  });

  it('counts lines inside quotes', () => {
    expect(summary(file(row({ 3: '"a\nb\r\nc"' }), row({ 1: '04595257' })))).toEqual([
      '0@3 loaded',
      '1@6 loaded',
    ]);
  });

  it('ends a quote that is never closed at its line, however long the file', () => {
    const rest = Array.from(
      { length: 50 },
      (_, i) => `x,${String(i).padStart(8, '0')}${row().slice(row().indexOf(',,'))}`,
    );
    const source = file(
      `"open,${row().slice(1).replaceAll('"', '')}`,
      ...rest.map((line) => line.replaceAll('"', '')),
    );
    const outcomes = [...judgeFile(source, { maxRecordBytes: 1000, checksum: 'off' })];
    expect(outcomes.map(({ is }) => is)).toEqual(['refused', ...rest.map(() => 'loaded')]);
    expect(outcomes[0]).toMatchObject({ codes: ['MALFORMED_ROW'] });
  });

  it('refuses a record over the size limit unread, and continues at its line end', () => {
    const source = file(row({ 3: `"${'長'.repeat(500)}"` }), row({ 1: '04595257' }));
    expect(summary(source, { maxRecordBytes: 1000 })).toEqual(['0@3 refused RECORD_TOO_LARGE', '1@4 loaded']);
  });

  it('takes CRLF, a byte order mark, and columns in any order', () => {
    const lines = file(row()).toString().trimEnd().split('\n');
    const reversed = lines.map((line) => (line === DATE_LINE ? line : line.split(',').reverse().join(',')));
    const [outcome] = judgeFile(Buffer.from(`\uFEFF${reversed.join('\r\n')}\r\n`));
    expect(outcome).toEqual(judge(row()));
  });

  it('needs no date line', () => {
    const [outcome] = judgeFile(Buffer.from(`${HEADER}\n${row()}`));
    expect(outcome).toMatchObject({ line: 2, is: 'loaded', business: { data_source_date: null } });
  });

  it('stops at the limit', () => {
    expect(summary(file(row(), '', row(), row()), { limit: 2 })).toEqual(['0@3 loaded', '1@4 skipped']);
  });

  it('adds everything up', () => {
    const source = file(
      row({ 4: '-1' }),
      '',
      row({ 1: 'x', 4: '-1' }),
      row({ 7: '' }),
      row({ 1: '04595257' }),
    );
    expect(expectFile(source)).toMatchObject({
      counts: {
        read: 5,
        accepted: 3,
        refused: 2,
        refusedAtValidate: 1,
        refusedAtLoad: 1,
        skipped: 1,
        loaded: 2,
        warnings: 3,
      },
      findings: { BAD_CAPITAL: 2, INVALID_BAN: 1, BAD_INVOICE_FLAG: 1, DUPLICATE: 1 },
    });
  });
});
