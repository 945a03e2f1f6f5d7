/** Examples of what the language says: findings in words, facts of the job in rows, code that throws. */
import { describe, expect, it } from '@jest/globals';
import { batchOf } from '#test/support/record/cutting.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { ChildTable, Children, Column, Constant, FromParent, Provenance, Table } from '../dataset/columns.js';
import type { ContractClass } from '../dataset/dataset.js';
import { arrayOf, date, mapped, numeric, text, timestamptz } from '../dataset/kinds.js';
import { defineRecordRule, NotBefore, ProductOf, SumOf } from '../dataset/record-rules.js';
import { compileContract, provenanceOf } from './compile-contract.js';

const AMOUNT = numeric({ precision: 12, scale: 2, decimalMark: ',', thousandsMark: '.' });

const byOption = ({ sums }: Readonly<Record<string, string>>): 'error' | 'off' =>
  sums === 'off' ? 'off' : 'error';

@Table({ name: 'bill', key: ['number'] })
class Bill {
  @Column() number!: string;
  @Column({ kind: AMOUNT }) net!: string | null;
  @Column({ kind: AMOUNT, nullTokens: ['', '-'] }) tax!: string | null;
  @Column({ kind: AMOUNT })
  @SumOf(['net', 'tax'], { code: 'WRONG_TOTAL', severity: byOption })
  total!: string | null;
}
const BILL_COLUMNS = ['number', 'net', 'tax', 'total'];

function judged(
  contract: ContractClass,
  columns: readonly string[],
  text: string,
  options = {},
  context = {},
): { rows: (string | null)[][]; messages: string[] } {
  const messages: string[] = [];
  const compiled = compileContract(
    { name: 'language', contract, format: 'csv' },
    {
      ...{ columns, context, options },
      onFindings: (_, findings) => {
        messages.push(...findings.map(({ code, field, message }) => `${code} ${field ?? ''}: ${message}`));
      },
    },
  );
  const { sections } = compiled.judge(batchOf(text));
  const rows = sections.flatMap((section) => readCopyText(section.text).map(([, ...values]) => values));
  return { rows, messages };
}

describe('rules across columns', () => {
  it('say which values do not go together, by the names and in the words of the source', () => {
    const { rows, messages } = judged(
      Bill,
      BILL_COLUMNS,
      'a,"1.000,50","1,50",1002\nb,"1.000,50","1,50","1.002,01"\n',
    );
    expect(rows).toEqual([['a', '1000.50', '1.50', '1002']]);
    expect(messages).toEqual([
      'WRONG_TOTAL total: total must be the sum of net and tax; it is "1.002,01", net is "1.000,50", tax is "1,50"',
    ]);
  });

  it('are not asked where a value is null or has failed its own kind, nor in jobs that leave them out', () => {
    expect(judged(Bill, BILL_COLUMNS, 'a,1,,3\nb,,2,3\nc,1,2,\n').messages).toEqual([]);
    expect(judged(Bill, BILL_COLUMNS, 'a,x,2,9\n').messages).toEqual([
      'INVALID_VALUE net: net must be a decimal number, at most 10 digits before and 2 after the point; it is "x"',
    ]);
    expect(judged(Bill, BILL_COLUMNS, 'a,1,2,9\n', { sums: 'off' }).messages).toEqual([]);
  });

  it('shorten what they quote, and keep what a refused record says of itself', () => {
    const Same = defineRecordRule({
      name: 'same',
      accepts: (value, [other]) => value === other,
      message: 'must be the same',
    });
    @Table({ name: 't', key: ['a'] })
    class Two {
      @Column() a!: string;
      @Column() @Same(['a']) b!: string;
    }
    const compiled = compileContract(
      { name: 'language', contract: Two, format: 'csv' },
      { columns: ['a', 'b'], context: {}, options: {} },
    );
    const { refused } = compiled.judge(batchOf(`${'x'.repeat(100)},y\n`));
    expect([...refused].flatMap(({ findings }) => findings.map(({ message }) => message))).toEqual([
      `b must be the same; it is "y", a is "${'x'.repeat(40)}…"`,
    ]);
    expect(refused.heldBytes).toBeGreaterThan(50);
  });

  it('multiply and round exactly, and compare moments of different notations', () => {
    @Table({ name: 'line', key: ['number'] })
    class Line {
      @Column() number!: string;
      @Column({ kind: numeric() }) quantity!: string;
      @Column({ kind: numeric() }) price!: string;
      @Column({ kind: numeric() })
      @ProductOf(['quantity', 'price'], { scale: 2, code: 'AMOUNT' })
      amount!: string;
      @Column({ kind: timestamptz() }) placed!: string;
      @Column({ kind: timestamptz({ zone: 'Asia/Taipei' }) })
      @NotBefore('placed', { code: 'EARLY', severity: 'warning' })
      shipped!: string;
    }
    const columns = ['number', 'quantity', 'price', 'amount', 'placed', 'shipped'];
    const moments = '2026-09-01T08:30:00Z,2026-09-01 16:30:00';
    const line = (rest: string): string[] =>
      judged(Line, columns, `1,${rest}\n`).messages.map((message) => message.split(' ')[0] ?? '');
    expect(line(`3,0.335,1.01,${moments}`)).toEqual([]);
    expect(line(`3,0.335,1.00,${moments}`)).toEqual(['AMOUNT']);
    expect(line(`0.1,3,0.3,${moments}`)).toEqual([]);
    expect(line('1,1,1,2026-09-01T08:30:00Z,2026-09-01 16:29:59')).toEqual(['EARLY']);
  });

  it('that throw stop the job, by class, property and code', () => {
    const Broken = defineRecordRule({
      name: 'broken',
      accepts: () => {
        throw new TypeError('secret');
      },
      message: 'must not be',
    });
    @Table({ name: 't', key: ['a'] })
    class Throwing {
      @Column() a!: string;
      @Column() @Broken(['a'], { code: 'ODD' }) b!: string;
    }
    expect(() => judged(Throwing, ['a', 'b'], '1,2\n')).toThrow(
      expect.objectContaining({
        code: 'DATASET_CODE_FAILED',
        message: expect.stringMatching(
          /class Throwing, property b, the check that gives ODD: it threw TypeError at/,
        ),
      }),
    );
  });
});

describe('columns that are made otherwise', () => {
  @ChildTable({ name: 'note' })
  class Note {
    @FromParent('number') number!: string;
    @Column() note!: string;
    @Provenance('line') line!: number;
    @Provenance('job') job!: string;
  }
  @Table({ name: 'visit', key: ['number'] })
  class Visit {
    @Column({ required: true }) number!: string;
    @Column({
      sources: ['day', 'hour'],
      join: ' ',
      kind: timestamptz({ pattern: 'D.M.YYYY HH:mm', zone: 'Asia/Taipei' }),
    })
    at!: string;
    @Column({ source: 'state', kind: mapped({ A: 'active' }), nullTokens: ['?'] }) state!: string;
    @Column({ source: 'state', target: 'state_text', trim: false }) stateText!: string;
    @Column({ kind: arrayOf(text(), { separator: '|' }) }) tags!: string;
    @Column({ source: 'later', optional: true, ifNull: 'none' }) later!: string;
    @Constant('EUR') currency!: string;
    @Constant('1.9.2026', { kind: date('D.M.YYYY') }) since!: string;
    @Provenance('source') source!: string;
    @Provenance('line') line!: number;
    @Provenance('startedAt') startedAt!: string;
    @Children(() => Note, { slots: [{ note: 'n1' }, { note: 'n2' }] }) notes!: Note[];
  }
  const columns = ['number', 'day', 'hour', 'state', 'tags', 'n1', 'n2'];
  const dataset = { name: 'language', contract: Visit };
  const facts = {
    source: 'https://example.org/a.csv',
    job: '550e8400-e29b-41d4-a716-446655440000',
    startedAt: '2026-09-01T00:00:00.000Z',
  };

  it('join fields, clean in their own way, read one field twice, and hold constants and facts of the job', () => {
    const { rows, messages } = judged(
      Visit,
      columns,
      '1,1.9.2026,08:30, A ,"x|""y""",n,\n\n2,,,?,,,m\n',
      {},
      provenanceOf(dataset, facts),
    );
    expect(messages).toEqual([]);
    const constants = ['EUR', '2026-09-01', facts.source];
    expect(rows).toEqual([
      [
        '1',
        '2026-09-01 08:30:00 Asia/Taipei',
        'active',
        ' A ',
        '{"x","\\"y\\""}',
        'none',
        ...constants,
        '1',
        facts.startedAt,
      ],
      ['2', null, null, '?', null, 'none', ...constants, '3', facts.startedAt],
      ['1', 'n', '1', facts.job],
      ['2', 'm', '3', facts.job],
    ]);
  });

  it('are named in findings as what they are made of', () => {
    expect(judged(Visit, columns, '1,1.9.2026,25:00,A,,,\n').messages).toEqual([
      'INVALID_VALUE day + hour: day + hour must be a moment, D.M.YYYY HH:mm; it is "1.9.2026 25:00"',
    ]);
  });

  it('need the facts of the job in the context only where they are stored', () => {
    expect(Object.keys(provenanceOf(dataset, facts))).toHaveLength(3);
    expect(provenanceOf({ name: 'language', contract: Bill }, facts)).toEqual({});
  });

  it('cannot hold a constant that is not of its kind', () => {
    @Table({ name: 't', key: ['a'] })
    class Wrong {
      @Column() a!: string;
      @Constant('1.13.2026', { kind: date('D.M.YYYY') }) since!: string;
    }
    expect(() => judged(Wrong, ['a'], '1\n')).toThrow(/"since" must be a calendar date, D.M.YYYY/);
  });
});
