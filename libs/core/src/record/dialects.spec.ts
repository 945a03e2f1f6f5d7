/** What a compiled contract makes of records that are written otherwise: dialects, encodings, columns that may be missing. */
import { describe, expect, it } from '@jest/globals';
import { batchOf } from '#test/support/record/cutting.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { ChildTable, Children, Column, FromParent, Table } from '../dataset/columns.js';
import type { CsvDialect } from '../dataset/csv-dialect.js';
import type { Dataset } from '../dataset/dataset.js';
import { csvHead } from '../dataset/heads.js';
import { Required } from '../dataset/rules.js';
import { compileContract } from './compile-contract.js';
import { readSourceHead } from './head/source-head.js';
import type { BatchVerdict } from './verdict.js';

@Table({ name: 'thing', key: ['id'], cleaning: { nullTokens: [''] } })
class Thing {
  @Column({ source: 'id' }) @Required({ code: 'NO_ID' }) id!: string;
  @Column({ source: 'name' }) name!: string | null;
  @Column({ source: 'note', optional: true }) note!: string | null;
}

const THINGS: Dataset = {
  ...{ name: 'things', title: 'Things', contractVersion: 1, format: 'csv', contract: Thing },
  ...{
    writeModes: ['append'],
    keepOfDuplicates: 'first',
    maxRefusedShare: 1,
    maxShrinkShare: 1,
    options: {},
  },
  prologue: csvHead(),
};

function judge(
  text: string | Buffer,
  changes: Partial<Dataset>,
  columns = ['id', 'name', 'note'],
): BatchVerdict {
  const dataset = { ...THINGS, ...changes };
  return compileContract(dataset, { columns, context: {}, options: {} }).judge(
    batchOf(text, 'csv', 'lf', dataset.csv),
  );
}

/** Rows of the table without their record's number. */
const rowsOf = ({ sections }: BatchVerdict): (string | null)[][] =>
  readCopyText(sections[0]!.text).map(([, ...values]) => values);
const reasonsOf = ({ refused }: BatchVerdict): string[] =>
  [...refused].flatMap(({ line, findings }) =>
    findings.map(({ code, message }) => `${line} ${code}: ${message}`),
  );

describe('records of a dialect', () => {
  it('are counted as skipped where they are comments or footers, with any content (G2)', () => {
    const csv: CsvDialect = { delimiter: ';', skipLinesStartingWith: ['#', 'Summe;'] };
    const long = `#${'x'.repeat(2 ** 20 + 5)}`;
    const verdict = judge(`#"a\n1;"#;b\n#c";d\n${long}\nSumme;2;"\n2;;\n`, { csv });
    expect(verdict.counts).toEqual({ records: 5, accepted: 2, refused: 0, skipped: 3, warnings: 0 });
    expect(rowsOf(verdict)).toEqual([
      ['1', '#;b\n#c', 'd'],
      ['2', null, null],
    ]);
  });

  it('have null for \\N, and no null where the text is the same', () => {
    const verdict = judge('1,\\N,\\\\N\n"\\N",a,b\n', { csv: { escape: 'backslash' } });
    expect(rowsOf(verdict)).toEqual([['1', null, '\\N']]);
    expect(reasonsOf(verdict)).toEqual([expect.stringContaining('2 NO_ID')]);
  });

  it('lose NULs that stand behind backslashes, and their neighbours do not', () => {
    const verdict = judge('1,a\\0b,c\n2,d,e\n3,f,\\0\n', { csv: { escape: 'backslash' } });
    expect(rowsOf(verdict)).toEqual([
      ['1', 'ab', 'c'],
      ['2', 'd', 'e'],
      ['3', 'f', null],
    ]);
    expect(verdict.findings).toEqual({ NUL_REMOVED: 2 });
  });

  it('may hold stray quotes and bare CRs where a backslash stands before them', () => {
    const verdict = judge('1,a\\"b,c\\\rd\n2,a"b,\n3,a\rb,\n', { csv: { escape: 'backslash' } });
    expect(rowsOf(verdict)).toEqual([
      ['1', 'a"b', 'c\rd'],
      ['2', 'a"b', null],
    ]);
    expect(verdict.findings).toEqual({ STRAY_QUOTE: 1, MALFORMED_ROW: 1 });
  });

  it('are refused in the words of their dialect', () => {
    const verdict = judge('1,2,3\n1;"2"x;3\n1;2\n', { csv: { delimiter: ';' } });
    expect(reasonsOf(verdict)).toEqual([
      '1 MALFORMED_ROW: the record has 1 field instead of 3; it is separated by commas, and semicolons are expected',
      '2 MALFORMED_ROW: a quote opens a field and does not close before a semicolon or line end',
      '3 MALFORMED_ROW: the record has 2 fields instead of 3',
    ]);
  });
});

describe('records of a decoded source', () => {
  const text = '1,a,b\n2,\ufffd,b\n3,c,d\n';

  it('are refused where something could not be decoded', () => {
    const verdict = judge(text, { encoding: 'sjis' });
    expect(reasonsOf(verdict)).toEqual(['2 MALFORMED_ROW: the record holds bytes that are not Shift_JIS']);
    expect(verdict.counts).toMatchObject({ accepted: 2, refused: 1 });
  });

  it.each([undefined, 'utf-8'])('may hold U+FFFD where nothing was decoded: encoding %s', (encoding) => {
    expect(judge(text, { encoding }).counts).toMatchObject({ accepted: 3, refused: 0 });
  });
});

describe('a column that the file may lack', () => {
  const headOf = (file: string, dataset: Dataset = THINGS): readonly unknown[] =>
    readSourceHead(dataset, Buffer.from(file), true).prologue.findings;

  it('is null in every record, and no fault of the header', () => {
    expect(headOf('name,id\na,1\n')).toEqual([]);
    expect(rowsOf(judge('a,1\nb,2\n', {}, ['name', 'id']))).toEqual([
      ['1', 'a', null],
      ['2', 'b', null],
    ]);
  });

  it('may not be there twice, and others must be there', () => {
    expect(headOf('id,note,note\n1,2,3\n')).toMatchObject([
      { code: 'COLUMN_MISSING', field: 'name' },
      { code: 'COLUMN_REPEATED', field: 'note' },
    ]);
    expect(() => judge('1\n', {}, ['id'])).toThrow(expect.objectContaining({ code: 'DATASET_INVALID' }));
  });

  it('is named in the findings about it', () => {
    @Table({ name: 'thing', key: ['id'] })
    class Strict {
      @Column({ source: 'id' }) id!: string;
      @Column({ source: 'note', optional: true }) @Required({ code: 'NO_NOTE' }) note!: string;
    }
    const verdict = judge('1\n', { contract: Strict }, ['id']);
    expect([...verdict.refused][0]?.findings).toMatchObject([{ code: 'NO_NOTE', field: 'note' }]);
  });

  it('may stand in the groups of a child', () => {
    @ChildTable({ name: 'part', rowWhen: 'name' })
    class Part {
      @FromParent('id') thing!: string;
      @Column({ source: 'name', optional: true }) name!: string;
    }
    @Table({ name: 'thing', key: ['id'] })
    class Whole {
      @Column({ source: 'id' }) id!: string;
      @Children(() => Part, { slots: [{ name: 'part1' }, { name: 'part2' }] }) parts!: Part[];
    }
    const dataset: Dataset = { ...THINGS, contract: Whole };
    expect(headOf('part2,id\nx,1\n', dataset)).toEqual([]);
    const verdict = judge('x,1\n', { contract: Whole }, ['part2', 'id']);
    expect(readCopyText(verdict.sections[1]!.text)).toEqual([['0', '1', 'x']]);
  });
});

describe('line ends of a dialect', () => {
  it.each<[string, CsvDialect, string]>([
    ['"a\nb"\rc\r', {}, 'cr'],
    ["'a\nb'\rc\r", {}, 'lf'],
    ["'a\nb'\rc\r", { quote: "'" }, 'cr'],
    ['x;"a\nb"\rc\r', { delimiter: ';' }, 'cr'],
    ['a\\\nb\rc\r', { escape: 'backslash' }, 'cr'],
    ['"a\\"\nb"\rc\r', { escape: 'backslash' }, 'cr'],
    ['# "a\ra,"\nb"\rc\r', { skipLinesStartingWith: ['#'] }, 'cr'],
    ['"a\nb"\rc\r', { quote: null }, 'lf'],
  ])('of %j by %j are %s', (head, csv, lineEnd) => {
    const dataset: Dataset = { ...THINGS, csv, prologue: csvHead({ csv: { ...csv, columns: ['a'] } }) };
    expect(readSourceHead(dataset, Buffer.from(head), true).lineEnd).toBe(lineEnd);
  });
});
