/** Arrays inside arrays by example; that they are judged as class-validator judges them: compile-contract.property.spec.ts. */
import { describe, expect, it } from '@jest/globals';
import { batchOf } from '#test/support/record/cutting.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { BASKET } from '#test/support/record/sample-contracts.js';
import { ChildTable, Children, Column, FromParent, SlotNumber, Table } from '../dataset/columns.js';
import { defineKind } from '../dataset/kinds.js';
import { compileContract } from './compile-contract.js';
import { MAX_BATCH_TEXT_BYTES } from './compile/record-defects.js';
import type { BatchVerdict } from './verdict.js';

const NO_INPUTS = { columns: [], context: {}, options: {} };

function judge(...records: unknown[]): BatchVerdict {
  const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
  return compileContract(BASKET, NO_INPUTS).judge(batchOf(text, 'ndjson'));
}

const tablesOf = ({ sections }: BatchVerdict): Record<string, (string | null)[][]> =>
  Object.fromEntries(sections.map(({ table, text }) => [table, readCopyText(text)]));

const findingsOf = ({ refused }: BatchVerdict): unknown[] =>
  [...refused].flatMap(({ findings }) => findings.map(({ code, field }) => [code, field]));

describe('arrays inside arrays', () => {
  it('become rows that hold what their parents hold, numbered in their own array', () => {
    const taxes = [{ rate: 5, notes: ['new', null, 'old'] }, null, { rate: '1.5' }];
    const basket = { id: 'b', lines: [null, { sku: 'x', details: { taxes } }, { sku: 'y' }] };
    expect(tablesOf(judge(basket, { id: 'c', seats: [['p', null, 'q'], [], null, ['r']] }))).toEqual({
      basket: [
        ['0', 'b'],
        ['1', 'c'],
      ],
      basket_line: [
        ['0', 'b', '2', 'x', null],
        ['0', 'b', '3', 'y', null],
      ],
      line_tax: [
        ['0', 'b', '2', 'x', '1', '5'],
        ['0', 'b', '2', 'x', '3', '1.5'],
      ],
      tax_note: [
        ['0', 'b', '1', 'new'],
        ['0', 'b', '1', 'old'],
      ],
      // An element is there for what it holds, too; an empty one is not.
      seat_row: [
        ['1', 'c', '1'],
        ['1', 'c', '4'],
      ],
      seat: [
        ['1', '1', '1', 'p'],
        ['1', '1', '3', 'q'],
        ['1', '4', '1', 'r'],
      ].map(([record, row, place, guest]) => [record, row, place, guest]),
    });
  });

  it('make no rows where their parent makes none: without what its row needs, or as a repeat', () => {
    const details = { taxes: [{ rate: 5, notes: ['wrong'] }] };
    const lines = [{ details }, { sku: 'x' }, { sku: 'x', details }];
    const verdict = judge({ id: 'b', lines });
    expect(verdict.counts).toMatchObject({ accepted: 1, refused: 0 });
    expect(tablesOf(verdict)).toMatchObject({
      basket_line: [['0', 'b', '2', 'x', null]],
      line_tax: [],
      tax_note: [],
    });
  });

  it('refuse their record by the full path of the field', () => {
    const taxes = [{ rate: 1 }, { rate: 2, notes: ['new', 'odd'] }];
    const notes = judge({
      id: 'b',
      lines: [
        { sku: 'x', text: 'a' },
        { sku: 'y', text: 'a', details: { taxes } },
      ],
    });
    expect(findingsOf(notes)).toEqual([['ODD_NOTE', 'lines[1].details.taxes[1].notes[1]']]);
    expect(findingsOf(judge({ id: 'b', seats: [['p'], ['q', 'too long for it']] }))).toMatchObject([
      ['FIELD_TOO_LONG', 'seats[1][1]'],
    ]);
    expect(tablesOf(notes)).toEqual({
      basket: [],
      basket_line: [],
      line_tax: [],
      tax_note: [],
      seat_row: [],
      seat: [],
    });
  });

  it.each<[what: string, record: object, field: string, message: string]>([
    [
      'an object where an array stands',
      { lines: [{ sku: 'x' }, { sku: 'y', details: { taxes: {} } }] },
      'lines[1].details.taxes',
      'lines[1].details.taxes must be an array',
    ],
    [
      'a value where an object stands',
      { lines: [{ sku: 'x', details: { taxes: [{ rate: 1 }, 7] } }] },
      'lines[0].details.taxes[1]',
      'lines[0].details.taxes[1] must be an object',
    ],
    [
      'a value where an array in an array stands',
      { seats: [['a'], 5] },
      'seats[1]',
      'seats[1] must be an array',
    ],
    [
      'an array inside the path',
      { lines: [{ sku: 'x', details: [] }] },
      'lines[0].details',
      'lines[0].details must be an object',
    ],
  ])('are malformed: %s', (_, record, field, message) => {
    const [letter] = judge({ id: 'b', ...record }).refused;
    expect(letter?.findings).toMatchObject([
      { code: 'MALFORMED_ROW', field, message: expect.stringContaining(message) },
    ]);
  });

  it('count members that the contract does not read by the way to them', () => {
    const taxes = [{ rate: 1, kind: 'a' }, { rat: 2 }];
    const { unknownMembers } = judge({ id: 'b', lines: [{ sku: 'x', details: { taxes, more: 1 } }] });
    expect(unknownMembers).toEqual({
      'lines[].details.more': 1,
      'lines[].details.taxes[].kind': 1,
      'lines[].details.taxes[].rat': 1,
    });
  });

  it('say whose code has thrown, however deep', () => {
    const thrower = defineKind({
      name: 'thrower',
      message: 'must be what it must be',
      accepts: (value) => {
        if (value === 'bang') throw new RangeError('bang');
        return true;
      },
    });
    @ChildTable({ name: 'inner' })
    class Inner {
      @FromParent('id') id!: string;
      @Column({ source: '', kind: thrower }) value!: string;
    }
    @ChildTable({ name: 'middle' })
    class Middle {
      @FromParent('id') id!: string;
      @SlotNumber() place!: number;
      @Children(() => Inner, { path: 'values' }) values!: Inner[];
    }
    @Table({ name: 't', key: ['id'] })
    class Thrown {
      @Column({ source: 'id' }) id!: string;
      @Children(() => Middle, { path: 'rows' }) rows!: Middle[];
    }
    const dataset = { name: 'thrown', contract: Thrown, format: 'ndjson' } as const;
    const record = { id: '1', rows: [{ values: ['a'] }, { values: ['b', 'bang'] }] };
    expect(() =>
      compileContract(dataset, NO_INPUTS).judge(batchOf(`${JSON.stringify(record)}\n`, 'ndjson')),
    ).toThrow(
      expect.objectContaining({
        code: 'DATASET_CODE_FAILED',
        message: expect.stringMatching(/class Inner, property value/),
      }),
    );
  });
});

describe('a record of 256 KiB full of arrays inside arrays', () => {
  const full = (id: string, element: string, bytes: number): unknown => ({
    id,
    seats: [Array.from({ length: Math.floor(bytes / (element.length + 3)) }, () => element)],
  });

  it('yields all of its rows', () => {
    const verdict = judge(full('b', 'x', 250_000));
    expect(verdict.counts).toMatchObject({ accepted: 1 });
    expect(verdict.sections.find(({ table }) => table === 'seat')?.rows).toBe(62_500);
  });

  it('is refused with a hundred findings, however many it has', () => {
    const [letter] = judge(full('b', 'too long', 250_000)).refused;
    expect(letter?.findings).toHaveLength(100);
    expect(letter?.findings.at(-1)?.message).toContain('the record has 22627 more findings');
  });

  it('is refused before rows that repeat what their parents hold fill memory', () => {
    const notes = Array.from({ length: 40_000 }, () => 'new');
    const before = process.memoryUsage().arrayBuffers;
    const verdict = compileContract(LONG, NO_INPUTS).judge(
      batchOf(`${JSON.stringify({ id: 'x'.repeat(60_000), lines: [{ notes }] })}\n{"id":"y"}\n`, 'ndjson'),
    );
    expect(verdict.counts).toMatchObject({ accepted: 1, refused: 1 });
    expect(findingsOf(verdict)).toMatchObject([['RECORD_TOO_LARGE', null]]);
    // Twice the text: a buffer doubles when it is full.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MAX_BATCH_TEXT_BYTES);
  });
});

@ChildTable({ name: 'note' })
class Note {
  @FromParent('id') id!: string;
  @Column({ source: '' }) note!: string;
}
@ChildTable({ name: 'line' })
class Line {
  @FromParent('id') id!: string;
  @Children(() => Note, { path: 'notes' }) notes!: Note[];
}
@Table({ name: 'long', key: ['id'] })
class Long {
  @Column({ source: 'id' }) id!: string;
  @Children(() => Line, { path: 'lines' }) lines!: Line[];
}
const LONG = { name: 'long', contract: Long, format: 'ndjson' } as const;
