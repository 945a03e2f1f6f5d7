import { describe, expect, it } from '@jest/globals';
import { batchOf, cutChunks } from '#test/support/record/cutting.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { ORDER, SHOP, SHOP_COLUMNS } from '#test/support/record/sample-contracts.js';
import { ChildTable, Children, Column, FromParent, SlotNumber, Table } from '../dataset/columns.js';
import { int64, jsonb } from '../dataset/kinds.js';
import { MaxCharacters, Required } from '../dataset/rules.js';
import { compileContract, warningCodes } from './compile-contract.js';
import { MAX_BATCH_TEXT_BYTES } from './compile/record-defects.js';
import { DEFAULT_CUTTING } from './raw-batch.js';
import type { BatchVerdict } from './verdict.js';

@Table({ name: 'place', key: ['id'] })
class Place {
  @Column({ source: 'id', kind: int64() })
  @Required({ code: 'NO_ID' })
  id!: string | null;

  @Column({ source: 'name', target: 'title', ifNull: '' })
  @MaxCharacters(3)
  name!: string | null;
}

const PLACE = { name: 'place', contract: Place, format: 'csv' } as const;
const NO_INPUTS = { columns: ['id', 'name'], context: {}, options: {} };

function judge(text: string | Buffer): BatchVerdict {
  return compileContract(PLACE, NO_INPUTS).judge(batchOf(text));
}

function rowsOf(verdict: BatchVerdict, table = 0): (string | null)[][] {
  return readCopyText(verdict.sections[table]!.text);
}

describe('compiled contract', () => {
  it('yields a section of COPY text for each table, the record number first', () => {
    const { sections, counts, refused } = compileContract(SHOP, {
      columns: SHOP_COLUMNS,
      context: { date: '2026-09-01' },
      options: {},
    }).judge(batchOf('商行,1234,,"1,000",2024-02-29,,Y,,a,甲,,,b,乙\n店,5678,,,,,N,,,,,,,\n'));
    expect(sections.map(({ table, rows, text }) => [table, rows, text.toString()])).toEqual([
      [
        'shop',
        2,
        '0\t1234\t\\N\t商行\t1000\t2024-02-29\t2024-02-29\ttrue\t\\N\t2026-09-01\n' +
          '1\t5678\t\\N\t店\t0\t\t\\N\tfalse\t\\N\t2026-09-01\n',
      ],
      ['line', 2, '0\t1234\ta\t甲\t1\n0\t1234\tb\t乙\t3\n'],
    ]);
    expect(counts).toEqual({ records: 2, accepted: 2, refused: 0, skipped: 0, warnings: 0 });
    expect([...refused]).toEqual([]);
  });

  it('gives sections also where no record is accepted', () => {
    const { sections } = compileContract(SHOP, { columns: SHOP_COLUMNS, context: {}, options: {} }).judge(
      batchOf('\n'),
    );
    expect(sections.map(({ table, rows, text }) => [table, rows, text.length])).toEqual([
      ['shop', 0, 0],
      ['line', 0, 0],
    ]);
  });

  it('numbers records, lines and bytes by their place in the source', () => {
    const from = { batch: 3, record: 100, line: 120, byte: 5000 };
    const options = { ...DEFAULT_CUTTING, format: 'csv', limitRecords: null } as const;
    const [batch] = cutChunks([Buffer.from('1,"a\nb"\n\nx,y\r\n2,b')], options, from);
    const verdict = compileContract(PLACE, NO_INPUTS).judge(batch!);
    expect(rowsOf(verdict)).toEqual([
      ['100', '1', 'a\nb'],
      ['103', '2', 'b'],
    ]);
    expect([...verdict.refused]).toEqual([
      {
        record: 102,
        line: 123,
        byteStart: 5009,
        byteEnd: 5012,
        bytes: Buffer.from('x,y'),
        findings: [
          {
            code: 'INVALID_VALUE',
            field: 'id',
            message: 'id must be a whole number of at most 64 bits; it is "x"',
            severity: 'error',
          },
        ],
      },
    ]);
    expect(verdict.counts).toEqual({ records: 4, accepted: 2, refused: 1, skipped: 1, warnings: 0 });
  });

  it('says every reason of a refused record, warnings too, rule and limit in words, the value in brief', () => {
    const { refused, findings, counts } = compileContract(SHOP, {
      columns: SHOP_COLUMNS,
      context: {},
      options: { repeats: 'reject' },
    }).judge(batchOf(`${'長'.repeat(50)},1111,12,x,,,,no,,n,,,,\n`));
    expect(
      [...refused][0]!.findings.map(({ message, ...finding }) => [...Object.values(finding), message]),
    ).toEqual([
      ['SAME_DIGIT', 'no', 'error', 'no must not repeat one digit; it is "1111"'],
      ['BAD_HEAD', 'head', 'warning', 'head must be exactly 4 digits; it is "12"; stored as NULL'],
      ['FIELD_TOO_LONG', 'name', 'error', `name must have at most 5 characters; it is "${'長'.repeat(40)}…"`],
      [
        'BAD_CAPITAL',
        'capital',
        'warning',
        'capital must be a whole number, not negative, of at most 64 bits; it is "x"; stored as "0"',
      ],
      ['BAD_FLAG', 'invoice', 'warning', 'invoice must not be empty'],
      ['BAD_EMAIL', 'email', 'warning', 'email must be an email; it is "no"; stored as NULL'],
      ['ORPHAN', 'n1', 'warning', 'n1 must come together with its partner; it is "n"'],
    ]);
    expect(findings).toEqual({
      SAME_DIGIT: 1,
      BAD_HEAD: 1,
      FIELD_TOO_LONG: 1,
      BAD_CAPITAL: 1,
      BAD_FLAG: 1,
      BAD_EMAIL: 1,
      ORPHAN: 1,
    });
    expect(counts).toEqual({ records: 1, accepted: 0, refused: 1, skipped: 0, warnings: 5 });
  });

  it.each([
    ['too few fields', '1', 'the record has 1 field instead of 2'],
    ['too many fields', '1,a,,', 'the record has 4 fields instead of 2'],
    [
      'characters after a closing quote',
      '"1"x,a',
      'a quote opens a field and does not close before a comma or line end',
    ],
    ['undecodable bytes', Buffer.from([0x31, 0x2c, 0xa4, 0xa4]), 'the record holds bytes that are not UTF-8'],
    [
      'a half surrogate pair, as UTF-8 cannot have it',
      Buffer.from([0x31, 0x2c, 0xed, 0xa0, 0x80]),
      'the record holds bytes that are not UTF-8',
    ],
    [
      'semicolons instead of commas',
      '1;a',
      'the record has 1 field instead of 2; it is separated by semicolons, and commas are expected',
    ],
    [
      'tabs instead of commas, and a few commas in its fields',
      '1\ta, b, c\td\te',
      'the record has 3 fields instead of 2; it is separated by tabs, and commas are expected',
    ],
    ['more commas than semicolons', '1,a,b;', 'the record has 3 fields instead of 2'],
  ])('refuses a record with %s, and loads its neighbours', (_, bad, message) => {
    const verdict = judge(Buffer.concat([Buffer.from('1,a\n'), Buffer.from(bad), Buffer.from('\n3,東\n')]));
    expect(rowsOf(verdict)).toEqual([
      ['0', '1', 'a'],
      ['2', '3', '東'],
    ]);
    expect([...verdict.refused]).toMatchObject([
      {
        record: 1,
        line: 2,
        bytes: Buffer.from(bad),
        findings: [{ code: 'MALFORMED_ROW', field: null, message, severity: 'error' }],
      },
    ]);
  });

  it('refuses records over the size limit with their head, and an unclosed quote with its line', () => {
    const options = { ...DEFAULT_CUTTING, format: 'csv', maxRecordBytes: 10, limitRecords: null } as const;
    const [batch] = cutChunks([Buffer.from('1,a\n2,bbbbbbbbbbbb\n3,"c\n4,d\n5,eeeee\n6,f\n')], options);
    const verdict = compileContract(PLACE, NO_INPUTS).judge(batch!);
    expect(
      [...verdict.refused].map(({ record, line, bytes, findings }) => [
        record,
        line,
        bytes.toString(),
        findings[0]!.code,
      ]),
    ).toEqual([
      [1, 2, '2,bbbbbbbb', 'RECORD_TOO_LARGE'],
      [2, 3, '3,"c', 'MALFORMED_ROW'],
      [4, 5, '5,eeeee', 'FIELD_TOO_LONG'],
    ]);
    expect([...verdict.refused][0]!.findings[0]!.message).toBe(
      'the record is 15 bytes long, over the limit; its first 10 are kept',
    );
    expect([...verdict.refused][1]!.findings[0]!.message).toMatch(/within the size limit/);
    expect(rowsOf(verdict).map(([record]) => record)).toEqual(['0', '3', '5']);
  });

  it('removes NULs with one warning a field, though two columns read it', () => {
    const contract = compileContract(SHOP, { columns: SHOP_COLUMNS, context: {}, options: {} });
    const verdict = contract.judge(batchOf('a\0b,12\x0034,,,\x002024-02-29,n\0te,Y,,c\0,m,,,,\n'));
    expect(verdict.findings).toEqual({ NUL_REMOVED: 4 });
    expect(rowsOf(verdict)[0]).toEqual([
      '0',
      '1234',
      null,
      'ab',
      '0',
      '2024-02-29',
      '2024-02-29',
      'true',
      null,
      null,
    ]);
    expect(rowsOf(verdict, 1)).toEqual([['0', '1234', 'c', 'm', '1']]);
    expect(contract.judge(batchOf('ab,1234,,,,,Y,,,,,,,\n')).findings).toEqual({});
  });

  it.each([
    ['a CR inside a bare field', '1,a\rb\n', 'lf', /a CR, where lines end with LF/],
    ['a CR where a line end was meant', '1,a\r2,b\n', 'lf', /a CR, where lines end with LF/],
    ['three CRs before the LF', '1,a\r\r\r\n', 'lf', /a CR, where lines end with LF/],
    ['a CR at the very end', '1,a\r', 'lf', /a CR, where lines end with LF/],
    ['an LF in a file of CR', '1,a\n2,b\r', 'cr', /an LF, where lines end with CR/],
    ['CRLF in a file of CR', '\n1,a\r', 'cr', /an LF, where lines end with CR/],
    ['a blank before a quote', '1, "a"\n', 'lf', /blank before its opening quote/],
    ['a tab before a quote', '1,\t"a"\n', 'lf', /blank before its opening quote/],
    ['U+3000 before a quote', '1,\u3000"a"\n', 'lf', /blank before its opening quote/],
    ['nothing but NULs', '\0\0\0\n', 'lf', /instead of 2; it holds nothing but NUL bytes/],
    ['the end-of-file mark of DOS', '\x1a\n', 'lf', /instead of 2; it is 0x1A/],
  ] as const)('refuses %s, and stores nothing of it', (_, text, lineEnd, message) => {
    const end = lineEnd === 'cr' ? '\r' : '\n';
    const more = text.endsWith('a\r') && lineEnd === 'lf' ? '' : `9,yes${end}`;
    const verdict = compileContract(PLACE, NO_INPUTS).judge(
      batchOf(`8,yes${end}${text}${more}`, 'csv', lineEnd),
    );
    expect([...verdict.refused]).toMatchObject([
      { record: 1, line: 2, findings: [{ code: 'MALFORMED_ROW', message: expect.stringMatching(message) }] },
    ]);
    const stored = rowsOf(verdict).map(([, id]) => id);
    expect(stored).toEqual(more === '' ? ['8'] : ['8', '9']);
  });

  it.each([
    ['LF and CRLF', '1,a\n2,"\rc\n"\r\n3,e', 'lf', ['a', '\rc\n', 'e']],
    ['CR CR LF', '1,a\r\r\n2,"b"\r\r\n\r\r\n3,e\r\r\n', 'lf', ['a', 'b', 'e']],
    ['CR', '1,a\r2,"\rc\n"\r\r3,e\r', 'cr', ['a', '\rc\n', 'e']],
  ] as const)('stores no part of a line end: %s', (_, text, lineEnd, names) => {
    const verdict = compileContract(PLACE, NO_INPUTS).judge(batchOf(text, 'csv', lineEnd));
    expect(verdict.findings).toEqual({});
    expect(rowsOf(verdict).map(([, , name]) => name)).toEqual(names);
  });

  it('warns of a quote inside a bare field, and stores it', () => {
    const verdict = compileContract(PLACE, NO_INPUTS).judge(batchOf('1,5"\n2,"""q"""\n3,a"b\n4,x\n'));
    expect(verdict.findings).toEqual({ STRAY_QUOTE: 2 });
    expect(verdict.counts).toMatchObject({ accepted: 4, warnings: 2 });
    expect(rowsOf(verdict).map(([, , name]) => name)).toEqual(['5"', '"q"', 'a"b', 'x']);
  });

  it('gives a listener every record with findings, accepted ones too', () => {
    const heard: unknown[] = [];
    const contract = compileContract(SHOP, {
      columns: SHOP_COLUMNS,
      context: {},
      options: { repeats: 'off' },
      onFindings: (place, findings) =>
        heard.push([place.record, place.line, findings.map(({ code }) => code)]),
    });
    contract.judge(batchOf(',1111,,,,,Y,,,,,,,\n,1111,,,,,,,,,,,,\n\nx\n'));
    expect(heard).toEqual([
      [1, 2, ['BAD_FLAG']],
      [3, 4, ['MALFORMED_ROW']],
    ]);
  });

  it('refuses a batch whose count is wrong, whole (CC1)', () => {
    const batch = { ...batchOf('1,a\n2,b\n'), records: 3 };
    expect(() => compileContract(PLACE, NO_INPUTS).judge(batch)).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID' }),
    );
  });

  it('keeps nothing of one batch for the next', () => {
    const contract = compileContract(PLACE, NO_INPUTS);
    const first = contract.judge(batchOf('1,a\nx,b\n'));
    const text = first.sections[0]!.text.toString();
    expect(contract.judge(batchOf('7,"a""b"\n'))).toEqual(judge('7,"a""b"\n'));
    expect(first.sections[0]!.text.toString()).toBe(text);
  });

  it('refuses the record that would make its batch too long to send', () => {
    const tags = JSON.stringify(Array.from({ length: 30_000 }, () => ({})));
    const order = (name: string): string =>
      `{"id":1,"customer":{"name":"a"},"items":${tags},"meta":{"tags":[${name}]}}\n`;
    @ChildTable({ name: 'wide' })
    class Wide {
      @FromParent('text') text!: string;
      @SlotNumber() slot!: number;
      @Column({ source: '', kind: jsonb() }) any!: string;
    }
    @Table({ name: 'parent', key: ['text'] })
    class Parent {
      @Column({ source: 'customer.name' }) text!: string;
      @Children(() => Wide, { path: 'items' }) items!: Wide[];
    }
    const dataset = { name: 'wide', contract: Parent, format: 'ndjson' } as const;
    const long = order('').replace('"name":"a"', `"name":"${'n'.repeat(300)}"`);
    const verdict = compileContract(dataset, { columns: [], context: {}, options: {} }).judge(
      batchOf(order('') + long + order(''), 'ndjson'),
    );
    expect([...verdict.refused]).toMatchObject([{ record: 1, findings: [{ code: 'RECORD_TOO_LARGE' }] }]);
    expect(verdict.sections.map(({ rows }) => rows)).toEqual([2, 60_000]);
    expect(30_000 * 300).toBeGreaterThan(MAX_BATCH_TEXT_BYTES);

    // Written to the end, these rows would take 6 GB.
    const monstrous = order('').replace('"name":"a"', `"name":"${'n'.repeat(200_000)}"`);
    const { counts } = compileContract(dataset, { columns: [], context: {}, options: {} }).judge(
      batchOf(monstrous, 'ndjson'),
    );
    expect(counts.refused).toBe(1);
  });

  it('words a hundred findings of a record that has thousands, errors first, and counts all', () => {
    const tags = Array.from({ length: 3000 }, (_, at) => (at < 2990 ? `"odd${at}"` : `{"at":${at}}`));
    const verdict = compileContract(ORDER, { columns: [], context: {}, options: {} }).judge(
      batchOf(`{"id":1,"meta":{"tags":[${tags.join(',')}]}}`, 'ndjson'),
    );
    expect(verdict.findings).toEqual({ ODD_TAG: 2990, INVALID_VALUE: 10 });
    const { findings } = [...verdict.refused][0]!;
    expect(findings.map(({ severity }) => severity)).toEqual([
      ...Array<string>(10).fill('error'),
      ...Array<string>(90).fill('warning'),
    ]);
    expect(findings[0]).toMatchObject({ field: 'meta.tags[2990]' });
    expect(findings.at(-1)!.message).toMatch(/^meta\.tags\[89\] .*; the record has 2900 more findings$/);
  });
});

describe('compiled contract of NDJSON', () => {
  const contract = compileContract(ORDER, { columns: [], context: {}, options: {} });
  const judgeJson = (...records: string[]): BatchVerdict =>
    contract.judge(batchOf(records.join('\n'), 'ndjson'));

  it('keeps every digit, and a document as the source wrote it', () => {
    const verdict = judgeJson(
      '{"id": 9223372036854775807, "customer": {"name" : "a", "big": 12345678901234567890.10}, "items": [{"sku": "x", "price": {"amount": 1.10}}]}\r',
    );
    expect(rowsOf(verdict)).toEqual([
      ['0', '9223372036854775807', 'a', null, null, '{"name" : "a", "big": 12345678901234567890.10}'],
    ]);
    expect(rowsOf(verdict, 1)).toEqual([['0', '9223372036854775807', '1', 'x', '1.10', '{"amount": 1.10}']]);
  });

  it.each([
    ['text that is not JSON', '{"id":1', null, /^the record is not JSON: /],
    ['JSON that is no object', '[1]', null, /^the record is JSON, but not an object$/],
    [
      'half of a surrogate pair',
      '{"id":1,"customer":{"name":"\\ud842"}}',
      'customer.name',
      /half of a surrogate pair/,
    ],
    ['something else than an array of children', '{"id":1,"items":{}}', 'items', /^items must be an array$/],
    [
      'a child that is no object',
      '{"id":1,"items":[{"sku":"a"},5]}',
      'items[1]',
      /^items\[1\] must be an object$/,
    ],
    ['a raw control character', '{"id":1,"customer":{"name":"\0"}}', null, /^the record is not JSON: /],
  ])('refuses %s as malformed', (_, text, field, message) => {
    const verdict = judgeJson('{"id":7}', text, '{"id":8}');
    expect(rowsOf(verdict).map(([, id]) => id)).toEqual(['7', '8']);
    expect([...verdict.refused]).toMatchObject([
      {
        record: 1,
        bytes: Buffer.from(text),
        findings: [{ code: 'MALFORMED_ROW', field, message: expect.stringMatching(message) }],
      },
    ]);
  });

  it('ignores what the contract does not read, be it as odd as it may', () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const verdict = judgeJson(`{"odd":${deep},"half":"\\ud842","\\"}":"{\\"","id":1}`);
    expect(rowsOf(verdict).map(([, id]) => id)).toEqual(['1']);
  });

  it('refuses a document deeper than PostgreSQL could read', () => {
    const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`;
    const { refused } = judgeJson(`{"id":1,"customer":{"deep":${deep}}}`);
    expect([...refused]).toMatchObject([{ findings: [{ code: 'INVALID_VALUE', field: 'customer' }] }]);
  });
});

describe('codes that refuse nothing', () => {
  it('are those that are warnings wherever they are given, under the options of the job', () => {
    const always = ['BAD_CAPITAL', 'BAD_DATE', 'BAD_EMAIL', 'BAD_FLAG', 'BAD_HEAD', 'NUL_REMOVED', 'ORPHAN'];
    expect([...warningCodes(SHOP, { repeats: 'reject' })].sort()).toEqual([
      ...always,
      'SAME_HEAD',
      'STRAY_QUOTE',
      'UNKNOWN_MEMBER',
    ]);
    expect([...warningCodes(SHOP, { repeats: 'warn' })].sort()).toEqual([
      ...always,
      'SAME_DIGIT',
      'SAME_HEAD',
      'STRAY_QUOTE',
      'UNKNOWN_MEMBER',
    ]);
  });
});
