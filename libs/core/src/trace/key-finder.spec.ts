import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { batchOf } from '#test/support/record/cutting.js';
import { INBOX, cutMessages, messageOf } from '#test/support/record/messages.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import {
  Children,
  ChildTable,
  Column,
  Constant,
  FromContext,
  FromParent,
  SlotNumber,
  Table,
} from '../dataset/columns.js';
import { defineKind, int64, isoDate, numeric, timestamptz, uuid, varchar } from '../dataset/kinds.js';
import { compileContract } from '../record/compile-contract.js';
import type { RawBatch } from '../record/raw-batch.js';
import { batchOfDeadLetter } from './dead-letter-batch.js';
import { KeyFinder, type Sighting } from './key-finder.js';
import { type RowRequest, type TracedDataset, askedColumns, wantedKey } from './wanted-key.js';

@ChildTable({ name: 'lot', rowWhen: 'lot' })
class Lot {
  @FromParent('sku') sku!: string;
  @Column({ source: 'lot' }) lot!: string;
  @SlotNumber() place!: number;
}

@Table({ name: 'stock', key: ['site', 'sku'], version: 'at' })
class Stock {
  @Column({ source: 'Site', required: true }) site!: string;
  @Column({ kind: int64(), required: true }) sku!: string;
  @Column({ kind: timestamptz(), required: true }) at!: string;
  @Column({ kind: varchar(3) }) note!: string;
  @Children(() => Lot, { slots: [{ lot: 'lot1' }, { lot: 'lot2' }] }) lots!: Lot[];
}

const STOCK: TracedDataset = {
  ...{ name: 'stock', contract: Stock, format: 'csv' },
  deletes: { tombstones: true, marker: { source: 'op', values: ['d'], optional: true } },
};
const COLUMNS = ['Site', 'sku', 'at', 'note', 'lot1', 'lot2', 'op'];

@ChildTable({ name: 'tax' })
class Tax {
  @FromParent('sku') sku!: string;
  @Column({ source: 'rate', kind: numeric() }) rate!: string;
}
@ChildTable({ name: 'item' })
class Item {
  @FromParent('id') orderId!: string;
  @Column({ source: 'sku', required: true }) sku!: string;
  @Children(() => Tax, { path: 'taxes' }) taxes!: Tax[];
}
@Table({ name: 'purchase', key: ['id'] })
class Purchase {
  @Column({ source: 'order.id', required: true }) id!: string;
  @Children(() => Item, { path: 'items' }) items!: Item[];
}
const PURCHASE: TracedDataset = { name: 'purchase', contract: Purchase, format: 'ndjson' };

interface Looked {
  readonly row?: RowRequest;
  readonly columns?: readonly string[];
  readonly context?: Readonly<Record<string, string>>;
}

function find(
  dataset: TracedDataset,
  key: readonly string[],
  batch: RawBatch,
  looked: Looked = {},
): Sighting[] {
  const { row = null, columns = dataset.format === 'csv' ? COLUMNS : [], context = {} } = looked;
  const finder = new KeyFinder(wantedKey(dataset, key, row), { columns, context, options: {} });
  // Twice: nothing of a batch is left for the next one.
  const first = [...finder.find(batch)];
  expect([...finder.find(batch)]).toEqual(first);
  return first;
}

const records = (found: readonly Sighting[]): unknown[] => found.map(({ record, is }) => [record, is]);

describe('KeyFinder', () => {
  it('finds the records of a key by what their rows hold, with line and version (KF1)', () => {
    const batch = batchOf(
      [
        'A,7,2026-01-01T00:00:00Z,x,,,',
        'A,8,2026-01-01T00:00:00Z,x,,,',
        '" A ","007",2026-01-02T08:00:00+08:00,"two\nlines",,,',
        'B,7,2026-01-01T00:00:00Z,x,,,',
        'A,7,no time,too long,,,',
        'A,7,,x,,,',
        '',
      ].join('\n'),
    );
    expect(find(STOCK, ['A', '7'], batch)).toEqual([
      { record: 0, line: 1, is: 'record', version: '2026-01-01T00:00:00Z', rows: null },
      { record: 2, line: 3, is: 'record', version: '2026-01-02T08:00:00+08:00', rows: null },
      { record: 4, line: 6, is: 'record', version: 'no time', rows: null },
      { record: 5, line: 7, is: 'record', version: null, rows: null },
    ]);
  });

  it('finds deletes by their marker, and as messages without a value (KF2)', () => {
    const batch = batchOf('A,7,,,,,d\nA,7,,,,,u\nB,7,,,,,d\n');
    expect(records(find(STOCK, ['A', '7'], batch))).toEqual([
      [0, 'delete'],
      [1, 'record'],
    ]);
    const keys = ['{"Site":"A","sku":"7"}', '{"Site":"A","sku":7.0}', '{"Site":"A"}', 'A 7'];
    const messages = keys.map((key, at) => messageOf(at, null, { key: Buffer.from(key) }));
    const options = {
      ...{ format: 'csv' as const, topic: INBOX, columns: COLUMNS, accepts: () => true, limitRecords: null },
      ...{ maxBatchBytes: 2 ** 30, maxBatchRecords: 2 ** 30, maxRecordBytes: 2 ** 18 },
    };
    const [tombstones] = cutMessages([messages], options);
    expect(records(find(STOCK, ['A', '7'], tombstones as RawBatch))).toEqual([
      [0, 'delete'],
      [1, 'delete'],
      [3, 'mention'],
    ]);
  });

  it('finds a record that cannot be read by what its bytes hold, and says so (KF3)', () => {
    const batch = batchOf('A,7\nA,8\nX,"7,A\n');
    expect(records(find(STOCK, ['A', '7'], batch))).toEqual([
      [0, 'mention'],
      [2, 'mention'],
    ]);
    const notJson = batchOf('{"order":{"id":"k1"}\n{"order":{"id":"k1"}}\n{"order":{"id":"k2"}}\n', 'ndjson');
    expect(records(find(PURCHASE, ['k1'], notJson))).toEqual([
      [0, 'mention'],
      [1, 'record'],
    ]);
  });

  it('searches files that lack what is not needed, and refuses those without the key (KF4)', () => {
    const columns = ['sku', 'Site'];
    expect(records(find(STOCK, ['A', '7'], batchOf('7,A\n8,A\n'), { columns }))).toEqual([[0, 'record']]);
    expect(() => find(STOCK, ['A', '7'], batchOf('7\n'), { columns: ['sku'] })).toThrow(/no column "Site"/);
  });

  it('counts the rows of a child table that fit, in slots and in arrays of arrays', () => {
    const batch = batchOf('A,7,,,L,M,\nA,7,,,M,M,\nA,7,,,,L,\n');
    const rows = (values: Record<string, string>): (number | null)[] =>
      find(STOCK, ['A', '7'], batch, { row: { table: 'lot', values } }).map((one) => one.rows);
    expect(rows({ lot: 'M' })).toEqual([1, 2, 0]);
    expect(rows({ lot: 'L', place: '2' })).toEqual([0, 0, 1]);
    // A slot without a lot is no row.
    expect(rows({ place: '1' })).toEqual([1, 1, 0]);
    const json = batchOf(
      `${[
        { order: { id: 'k' }, items: [{ sku: 'a', taxes: [{ rate: 5 }, { rate: '5.00' }] }, { sku: 'b' }] },
        { order: { id: 'k' }, items: [{ sku: 'b', taxes: [{ rate: 7 }] }] },
        { order: { id: 'k' }, items: {} },
      ]
        .map((each) => JSON.stringify(each))
        .join('\n')}\n`,
      'ndjson',
    );
    const inJson = (table: string, values: Record<string, string>): (number | null)[] =>
      find(PURCHASE, ['k'], json, { row: { table, values } }).map((one) => one.rows);
    expect(inJson('item', { sku: 'b' })).toEqual([1, 1, 0]);
    expect(inJson('tax', { rate: '5.0' })).toEqual([2, 0, 0]);
  });

  it('takes values that stand in no record from the head and the contract', () => {
    @Table({ name: 'rate', key: ['day', 'unit', 'currency'] })
    class Rate {
      @FromContext('day', { kind: isoDate() }) day!: string;
      @Constant('EUR') unit!: string;
      @Column() currency!: string;
    }
    const dataset: TracedDataset = { name: 'rates', contract: Rate, format: 'csv' };
    expect(askedColumns(dataset).map(({ target }) => target)).toEqual(['day', 'currency']);
    const of = (day: string): unknown[] =>
      records(
        find(dataset, ['2026-02-01', 'USD'], batchOf('USD\nCHF\n'), {
          columns: ['currency'],
          context: { day },
        }),
      );
    expect(of('2026-02-01')).toEqual([[0, 'record']]);
    expect(of('2026-02-02')).toEqual([]);
  });

  it('goes by what is stored in place of a null, or of a value with a warning', () => {
    @Table({ name: 'thing', key: ['id', 'part'] })
    class Thing {
      @Column({ kind: int64(), ifInvalid: { severity: 'warning', otherwise: '0' }, ifNull: '-1' })
      id!: string;
      @Column({ ifNull: 'all' }) part!: string;
    }
    const dataset: TracedDataset = { name: 'things', contract: Thing, format: 'csv' };
    const batch = batchOf('x,all\n0,\n,all\n,\n5,all\n');
    const of = (...key: string[]): unknown[] =>
      records(find(dataset, key, batch, { columns: ['id', 'part'] }));
    expect(of('0', '')).toEqual([
      [0, 'record'],
      [1, 'record'],
    ]);
    expect(of('-1', 'all')).toEqual([[2, 'record']]);
  });

  it('takes any spelling of a value, and no other value', () => {
    const stored = (kind: Parameters<typeof defineKind>[0], one: string, other: string): boolean => {
      @Table({ name: 'thing', key: ['id'] })
      class Thing {
        @Column({ kind }) id!: string;
      }
      const dataset: TracedDataset = { name: 'things', contract: Thing, format: 'csv' };
      return find(dataset, [one], batchOf(`"${other}"\n`), { columns: ['id'] }).length === 1;
    };
    expect(stored(numeric(), '1.50', '1.5')).toBe(true);
    expect(stored(numeric(), '-0', '0.00')).toBe(true);
    expect(stored(numeric(), '10', '1')).toBe(false);
    expect(stored(timestamptz(), '2026-01-01T08:00:00+08:00', '2026-01-01T00:00:00Z')).toBe(true);
    expect(stored(timestamptz(), '2026-01-01T00:00:01Z', '2026-01-01T00:00:00Z')).toBe(false);
    const id = '550E8400-e29b-41d4-a716-446655440000';
    expect(stored(uuid(), id, id.toLowerCase())).toBe(true);
    expect(stored(int64(), 'x7', 'x7')).toBe(true);
    expect(stored(int64(), 'x7', 'x07')).toBe(false);
    expect(stored(varchar(2), '𠮷', '𠮷')).toBe(true);
    const throws = defineKind({
      ...{ name: 'own', message: 'is' },
      accepts: () => {
        throw new Error('boom');
      },
    });
    expect(stored(throws, 'a', 'a')).toBe(true);
    expect(stored(throws, 'a', 'b')).toBe(false);
  });

  it('finds exactly the records whose rows have the key, as the compiled contract writes them', () => {
    const site = fc.constantFrom('A', ' A', 'B', '"A"', '', 'a', '"A,"', '"A""B"');
    const sku = fc.constantFrom('7', '07', '"7"', '8', '-7', 'x', '', ' 7 ', '70');
    const at = fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-01 00:00:00Z', 'never', '');
    const rest = fc.constantFrom(
      'n,,,',
      ',L,,',
      'n,L,M,d',
      ',,,d',
      'toolong,,,',
      ',,,x,',
      '"n',
      'n,\u0000,,',
    );
    const record = fc.tuple(site, sku, at, rest).map((fields) => fields.join(','));
    const key = fc.tuple(fc.constantFrom('A', 'B', 'A,', 'A"B'), fc.constantFrom('7', '8', '-7', '007'));
    fc.assert(
      fc.property(fc.array(record, { maxLength: 6 }), key, (lines, [wantedSite, wantedSku]) => {
        const batch = batchOf(lines.map((line) => `${line}\n`).join(''));
        const dataset = { ...STOCK, unknownMembers: undefined } as Parameters<typeof compileContract>[0];
        const inputs = { columns: COLUMNS, context: {}, options: {} };
        const { sections, refused } = compileContract(dataset, inputs).judge(batch);
        const wanted = (table: string): number[] =>
          readCopyText(sections.find((one) => one.table === table)!.text)
            // The record, then the columns: those of deletes are the key's, in its order.
            .filter(([, s, k]) => s === wantedSite && Number(k) === Number(wantedSku))
            .map(([number]) => Number(number));
        const found = find(STOCK, [wantedSite, wantedSku], batch);
        const isRefused = new Set([...refused].map((one) => one.record));
        const accepted = (is: string): number[] =>
          found.filter((one) => one.is === is && !isRefused.has(one.record)).map((one) => one.record);
        expect(accepted('record')).toEqual(wanted('stock'));
        expect(accepted('delete')).toEqual(wanted('_sluice_deleted'));
        expect(accepted('mention')).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('searches dead letters: whole ones, cut ones, messages, and bytes that are no record', () => {
    const place = { record: 5, line: 9, byteStart: 100, codes: ['MALFORMED_ROW'], message: null };
    const ofBytes = (text: string, more: object = {}): unknown[] => {
      const bytes = Buffer.from(text);
      const letter = { ...place, byteEnd: 100 + bytes.length, bytes, ...more };
      return records(find(STOCK, ['A', '7'], batchOfDeadLetter(letter)));
    };
    expect(ofBytes('A,7,never,,,,')).toEqual([[5, 'record']]);
    expect(ofBytes('"A","7","a\nb",,,,')).toEqual([[5, 'record']]);
    expect(ofBytes('A,7,"', { byteEnd: 500_000 })).toEqual([[5, 'mention']]);
    expect(() => ofBytes('A,7\nB,8')).toThrow(/records/);
    const two = { ...place, byteEnd: 107, bytes: Buffer.from('A,7\nB,8') };
    expect(records(find(STOCK, ['A', '7'], batchOfDeadLetter(two, false)))).toEqual([[5, 'mention']]);
    const message = {
      ...{ topic: INBOX, partition: 0, offset: '4', timestamp: null, headers: [] },
      key: { text: '{"Site":"A","sku":"7"}' },
    };
    expect(ofBytes('', { message, codes: ['DELETE_REFUSED'] })).toEqual([[5, 'delete']]);
    expect(ofBytes('A,7\nA,7', { message, codes: ['NOT_ONE_RECORD'] })).toEqual([[5, 'mention']]);
  });
});

describe('the key that is looked for', () => {
  const refused = (work: () => unknown, words: RegExp): void => {
    expect(work).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringMatching(words) }),
    );
  };

  it('has a value for each column of the key', () => {
    refused(() => wantedKey(STOCK, ['A']), /is site, sku: name 2 values, in this order, and not 1/);
    refused(() => wantedKey(PURCHASE, ['a', 'b']), /is id: name one value, and not 2/);
    refused(() => wantedKey(STOCK, ['A', ' NULL ']), /value of sku is none/);
    refused(() => wantedKey(STOCK, ['A\ud83d', '7']), /surrogate/);
  });

  it('may be that of a child row, by columns of its own', () => {
    const row = (table: string, values: Record<string, string>) => () =>
      wantedKey(STOCK, ['A', '7'], { table, values });
    refused(row('lots', { lot: 'L' }), /has the child tables lot/);
    refused(
      () => wantedKey({ ...PURCHASE, contract: Plain }, ['1'], { table: 'x', values: {} }),
      /no child tables/,
    );
    refused(row('lot', {}), /at least one column of lot/);
    refused(row('lot', { sku: '7' }), /columns of its own: lot, place/);
    expect(row('lot', { lot: 'L' })()).toMatchObject({ row: { table: 'lot', path: [0] } });
  });
});

@Table({ name: 'plain', key: ['id'] })
class Plain {
  @Column() id!: string;
}
