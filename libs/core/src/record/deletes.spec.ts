import fc from 'fast-check';
import type { ReadMessage } from '#common/kafka/message.js';
import { describe, expect, it } from '@jest/globals';
import { batchOf } from '#test/support/record/cutting.js';
import { INBOX, cutMessages, messageOf } from '#test/support/record/messages.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { Children, ChildTable, Column, Constant, FromParent, Table } from '../dataset/columns.js';
import type { Dataset } from '../dataset/dataset.js';
import { DELETED_SECTION } from '../dataset/deletes.js';
import { defineKind, int64, timestamptz, varchar } from '../dataset/kinds.js';
import { PairedWith } from '../dataset/rules.js';
import {
  type CompileInputs,
  compileContract,
  planOfDeletes,
  planSections,
  planTables,
  provenanceOf,
} from './compile-contract.js';
import { planMark } from '../message/clean-message.js';
import { MAX_KEPT_BYTES } from './message-table.js';
import type { RawBatch } from './raw-batch.js';
import type { BatchVerdict } from './verdict.js';

@ChildTable({ name: 'stock_lot', rowWhen: 'lot' })
class Lot {
  @FromParent('sku') sku!: string;
  @Column({ source: 'lot' }) lot!: string;
}

@Table({ name: 'stock', key: ['site', 'sku'], version: 'at' })
class Stock {
  @Column({ kind: int64(), required: { code: 'NO_COUNT' } }) count!: string;
  @Column({ kind: varchar(5), required: { code: 'NO_SKU' } })
  @PairedWith('count', { code: 'ALONE' })
  sku!: string;
  @Column({ source: 'Site', required: true }) site!: string;
  @Column({ kind: timestamptz(), required: true, ifInvalid: { code: 'BAD_TIME', severity: 'warning' } })
  at!: string;
  @Children(() => Lot, { slots: [{ lot: 'lot1' }] }) lots!: Lot[];
}

const MARKER = { source: 'op', values: ['d', 'gone'] };
const STOCK = { name: 'stock', contract: Stock, format: 'csv', deletes: { marker: MARKER } } as const;
const COLUMNS = ['op', 'Site', 'sku', 'count', 'at', 'lot1', 'other'];

@ChildTable({ name: 'item' })
class Item {
  @FromParent('id') orderId!: string;
  @Column({ source: 'sku', required: true }) sku!: string;
}

@Table({ name: 'purchase', key: ['id'] })
class Order {
  @Column({ source: 'order.id', kind: int64(), required: { code: 'NO_ID' } }) id!: string;
  @Column({ source: 'buyer.name', required: true }) buyer!: string;
  @Children(() => Item, { path: 'items' }) items!: Item[];
}

const ORDER = {
  name: 'purchase',
  contract: Order,
  format: 'ndjson',
  deletes: { tombstones: true, marker: { source: 'meta.op', values: ['d'] } },
} as const;

type Judged = Parameters<typeof compileContract>[0];

function judge(dataset: Judged, batch: RawBatch, more: Partial<CompileInputs> = {}): BatchVerdict {
  const columns = dataset.format === 'csv' ? COLUMNS : [];
  return compileContract(dataset, { columns, context: {}, options: {}, ...more }).judge(batch);
}

function rowsIn({ sections }: BatchVerdict, table: string): (string | null)[][] {
  const found = sections.find((section) => section.table === table);
  expect(found).toBeDefined();
  const rows = readCopyText(found!.text);
  expect(rows).toHaveLength(found!.rows);
  return rows;
}

const deleted = (verdict: BatchVerdict): (string | null)[][] => rowsIn(verdict, DELETED_SECTION);

function findingsOf({ refused }: BatchVerdict): unknown[] {
  return [...refused].map(({ record, findings }) => [
    record,
    ...findings.map(({ code, field }) => `${code} ${field ?? '-'}`),
  ]);
}

/** A batch of messages, as the message cutter makes it. */
function inboxBatch(format: 'csv' | 'ndjson', messages: readonly ReadMessage[]): RawBatch {
  const options = {
    ...{ format, topic: INBOX, columns: [], accepts: () => true, limitRecords: null },
    ...{ maxBatchBytes: 2 ** 30, maxBatchRecords: 2 ** 30, maxRecordBytes: 2 ** 18 },
  };
  return cutMessages([messages], options)[0]!;
}

/** Messages without a value, whose keys these are. */
function tombstones(...keys: (string | Buffer | null)[]): RawBatch {
  const messages = keys.map((key, at) =>
    messageOf(at, null, { key: typeof key === 'string' ? Buffer.from(key) : key }),
  );
  return inboxBatch('csv', messages);
}

describe('records that a marker makes deletes', () => {
  it('have their key and version stored, in a section behind those of the tables, and no row elsewhere', () => {
    const verdict = judge(
      STOCK,
      batchOf(
        'u,TPE,A-1,5,2026-09-01T00:00:00Z,L,x\nd,TPE,A-2,,2026-09-01T00:00:00Z,L,\n"gone", TPE ,A-3,,,,\n',
      ),
    );
    expect(verdict.sections.map(({ table, rows }) => [table, rows])).toEqual([
      ['stock', 1],
      ['stock_lot', 1],
      [DELETED_SECTION, 2],
    ]);
    expect(deleted(verdict)).toEqual([
      ['1', 'TPE', 'A-2', '2026-09-01T00:00:00Z'],
      ['2', 'TPE', 'A-3', null],
    ]);
    expect(verdict.counts).toEqual({ records: 3, accepted: 3, refused: 0, skipped: 0, warnings: 0 });
  });

  it('are asked for their key and their version alone (DL1, DL3)', () => {
    const text = 'd,TPE,A-1,not a number,,,"ill"\nd,,A-1234567,,,,\nd,TPE,A-1,,yesterday,,\n';
    const verdict = judge(STOCK, batchOf(text));
    expect(deleted(verdict)).toEqual([['0', 'TPE', 'A-1', null]]);
    expect(findingsOf(verdict)).toEqual([
      [1, 'MISSING_VALUE Site', 'FIELD_TOO_LONG sku'],
      [2, 'BAD_TIME at'],
    ]);
  });

  it('must be records of their format: a wrong number of fields is one', () => {
    expect(findingsOf(judge(STOCK, batchOf('d,TPE,A-1\n')))).toEqual([[0, 'MALFORMED_ROW -']]);
  });

  it('warn of NULs and quotes in what is read of them, and not elsewhere', () => {
    const heard: string[] = [];
    const onFindings: CompileInputs['onFindings'] = (_, findings) =>
      heard.push(...findings.map(({ code, field }) => `${code} ${field ?? ''}`));
    judge(STOCK, batchOf('d,T\0E,A"1,\0,,,x"y\n'), { onFindings });
    expect(heard).toEqual(['NUL_REMOVED Site', 'STRAY_QUOTE sku']);
  });

  it('are found by a value as it is cleaned, and by none else', () => {
    for (const [op, isDelete] of [
      [' d ', true],
      ['D', false],
      ['dd', false],
      ['', false],
      ['gone', true],
    ] as const) {
      const verdict = judge(STOCK, batchOf(`${op},TPE,A-1,5,2026-09-01T00:00:00Z,,\n`));
      expect([op, deleted(verdict).length]).toEqual([op, isDelete ? 1 : 0]);
      expect(verdict.counts.accepted).toBe(1);
    }
  });

  it('may lack other members in NDJSON, or have them in another shape (DL1)', () => {
    const records = [
      { meta: { op: 'd' }, order: { id: 12345678901234567890n.toString().slice(0, 18) } },
      { meta: { op: 'd' }, order: { id: 7 }, buyer: 'no object', items: 5, unknown: 1 },
      { meta: { op: 'd' }, order: 9 },
      { meta: { op: 'd' } },
      { meta: { op: ['d'] }, order: { id: 8 }, buyer: { name: 'x' } },
      { order: { id: 8 }, buyer: 'no object' },
    ];
    const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
    const verdict = judge({ ...ORDER, unknownMembers: 'error' }, batchOf(text, 'ndjson'));
    expect(deleted(verdict)).toEqual([
      ['0', '123456789012345678'],
      ['1', '7'],
    ]);
    expect(findingsOf(verdict)).toEqual([
      [2, 'MALFORMED_ROW order'],
      [3, 'NO_ID order.id'],
      [5, 'MALFORMED_ROW buyer'],
    ]);
    expect(rowsIn(verdict, 'purchase')).toEqual([['4', '8', 'x']]);
  });

  it('are refused by a job whose mode takes none, and other records are not (DL4)', () => {
    const facts = { source: 's', job: 'j', startedAt: 't' };
    const context = provenanceOf(STOCK, facts, 'append');
    const text = 'd,TPE,A-1,5,2026-09-01T00:00:00Z,,\nu,TPE,A-1,5,2026-09-01T00:00:00Z,,\n';
    const verdict = judge(STOCK, batchOf(text), { context });
    expect(findingsOf(verdict)).toEqual([[0, 'DELETE_REFUSED -']]);
    expect([...verdict.refused][0]?.findings[0]?.message).toContain('only mode upsert takes deletes');
    expect(verdict.counts).toMatchObject({ accepted: 1, refused: 1 });
    expect(provenanceOf(STOCK, facts, 'replace')).toEqual(context);
    expect(provenanceOf(STOCK, facts, 'upsert')).toEqual({});
    expect(provenanceOf({ name: 'stock', contract: Stock }, facts, 'append')).toEqual({});
  });

  it('change nothing for the records around them, and store the key that their row has (DL2)', () => {
    const word = fc.constantFrom('TPE', ' TPE', 'a"b', 'NULL', '', 'A-1', 'é', '"q,q"', 'toolong', '5');
    const line = fc.tuple(
      fc.constantFrom('d', 'u', '', ' gone'),
      word,
      word,
      fc.constantFrom('5', 'x', ''),
      fc.constantFrom<string>('2026-09-01T00:00:00Z', ''),
    );
    const plain = { name: 'stock', contract: Stock, format: 'csv' } as const;
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 20 }), (lines) => {
        const isDelete = lines.map(([op]) => ['d', 'gone'].includes(op.trim()));
        const textOf = (all: typeof lines): string =>
          all.map((fields) => `${fields.join(',')},,z\n`).join('');
        const both = judge(STOCK, batchOf(textOf(lines)));
        // A delete's place is taken by a record without fields, which is skipped.
        const others = lines.map((fields, at) => (isDelete[at] ? '\n' : textOf([fields]))).join('');
        const without = judge(plain, batchOf(others));
        for (const table of ['stock', 'stock_lot'])
          expect(rowsIn(both, table)).toEqual(rowsIn(without, table));
        expect(findingsOf(both).filter((refusal) => !isDelete[(refusal as [number])[0]])).toEqual(
          findingsOf(without),
        );
        // The same record, no delete, with whatever else a row needs.
        const filled = lines.map(([, site, sku, , at], index) =>
          isDelete[index] ? textOf([['u', site, sku, '5', at || '2026-01-01T00:00:00Z']]) : '\n',
        );
        const rows = rowsIn(judge(plain, batchOf(filled.join(''))), 'stock');
        expect(deleted(both).map(([record, site, sku]) => [record, sku, site])).toEqual(
          rows.map(([record, , sku, site]) => [record, sku, site]),
        );
        expect(both.counts.accepted).toBe(without.counts.accepted + rows.length);
      }),
    );
  });

  it('name themselves and the property when code of the dataset throws for them', () => {
    const broken = defineKind({
      name: 'broken',
      accepts: (value) => {
        if (value === 'boom') throw new Error('x');
        return true;
      },
      message: 'no',
    });
    @Table({ name: 'thing', key: ['id'] })
    class Thing {
      @Column({ kind: broken }) id!: string;
    }
    const dataset = {
      name: 'thing',
      contract: Thing,
      format: 'csv',
      deletes: { tombstones: true, marker: MARKER },
    } as const;
    const failing = (batch: RawBatch): void => void judge(dataset, batch, { columns: ['op', 'id'] });
    const error = expect.objectContaining({
      code: 'DATASET_CODE_FAILED',
      message: expect.stringContaining('class Thing, property id'),
    });
    expect(() => {
      failing(batchOf('d,ok\nd,boom\n'));
    }).toThrow(error);
    expect(() => {
      failing(tombstones('ok', 'boom'));
    }).toThrow(error);
  });
});

describe('messages without a value', () => {
  it('name the key of one field by their key, as it stands (CSV)', () => {
    @Table({ name: 'thing', key: ['id'], version: 'at' })
    class Thing {
      @Column({ kind: varchar(6), required: { code: 'NO_ID' } }) id!: string;
      @Column() at!: string;
    }
    const dataset = {
      name: 'thing',
      contract: Thing,
      format: 'csv',
      csv: { skipLinesStartingWith: ['#'] },
      deletes: 'tombstone',
    } as const;
    const verdict = judge(
      dataset,
      tombstones(' A-1 ', 'a,b', '"q', '#1', 'x\ny', '', 'NULL', 'toolong', Buffer.of(0xff), 'n\0l', '{"id"'),
      { columns: ['id', 'at'] },
    );
    expect(deleted(verdict)).toEqual([
      ['0', 'A-1', null],
      ['1', 'a,b', null],
      ['2', '"q', null],
      ['3', '#1', null],
      ['4', 'x\ny', null],
      ['9', 'nl', null],
      ['10', '{"id"', null],
    ]);
    expect(findingsOf(verdict)).toEqual([
      [5, 'NO_ID id'],
      [6, 'NO_ID id'],
      [7, 'FIELD_TOO_LONG id'],
      [8, 'MALFORMED_ROW -'],
    ]);
    expect(verdict.counts).toEqual({ records: 11, accepted: 7, refused: 4, skipped: 0, warnings: 1 });
  });

  it('name it by a JSON scalar, an object or their bare key (NDJSON)', () => {
    const keys = [
      '7',
      '"8"',
      '{"order":{"id":9}}',
      '{"order":{"id":"12345678901234567"},"more":1}',
      'null',
      '[1]',
      '{"id":9}',
      '"',
      '{"order',
      'x',
      '',
    ];
    const verdict = judge(ORDER, tombstones(...keys));
    expect(deleted(verdict)).toEqual([
      ['0', '7'],
      ['1', '8'],
      ['2', '9'],
      ['3', '12345678901234567'],
    ]);
    expect(findingsOf(verdict)).toEqual([
      [4, 'MALFORMED_ROW -'],
      [5, 'MALFORMED_ROW -'],
      [6, 'NO_ID order.id'],
      [7, 'MALFORMED_ROW -'],
      [8, 'MALFORMED_ROW -'],
      [9, 'INVALID_VALUE order.id'],
      [10, 'NO_ID order.id'],
    ]);
    const messages = [...verdict.refused].map(({ findings }) => findings[0]?.message);
    expect(messages[0]).toBe('the message has no value, and its key is not a value of order.id');
  });

  it('name a key of several fields by a JSON object of them, in CSV too; constants are the contract’s', () => {
    @Table({ name: 'stock', key: ['land', 'sku', 'site'] })
    class Thing {
      @Constant('TW') land!: string;
      @Column({ source: 'Site', required: true }) site!: string;
      @Column({ required: { code: 'NO_SKU' } }) sku!: string;
      @Column({ required: true }) name!: string;
    }
    const dataset = { name: 'stock', contract: Thing, format: 'csv', deletes: 'tombstone' } as const;
    const verdict = judge(dataset, tombstones('{"sku":7,"Site":"TPE"}', '{"Site":"TPE"}', 'TPE', '{}'), {
      columns: ['Site', 'sku', 'name'],
    });
    expect(deleted(verdict)).toEqual([['0', 'TW', '7', 'TPE']]);
    expect(findingsOf(verdict)).toEqual([
      [1, 'NO_SKU sku'],
      [2, 'MALFORMED_ROW -'],
      [3, 'MALFORMED_ROW -'],
    ]);
  });

  it.each<[what: string, deletes: Dataset['deletes']]>([
    ['without deletes', undefined],
    ['with a marker alone', { marker: { source: 'meta.op', values: ['d'] } }],
  ])('are refused as such by a dataset %s', (_, deletes) => {
    const plain = { name: 'purchase', contract: Order, format: 'ndjson' } as const;
    const dataset = { ...plain, ...(deletes === undefined ? {} : { deletes }) };
    expect(findingsOf(judge(dataset, tombstones('7', '8')))).toEqual([
      [0, 'TOMBSTONE -'],
      [1, 'TOMBSTONE -'],
    ]);
  });

  it('are refused by a job whose mode takes no deletes, and where their key was cut', () => {
    const context = provenanceOf(ORDER, { source: 's', job: 'j', startedAt: 't' }, 'replace');
    expect(findingsOf(judge(ORDER, tombstones('7'), { context }))).toEqual([[0, 'DELETE_REFUSED -']]);
    const long = tombstones('7'.repeat(MAX_KEPT_BYTES + 1), '7');
    expect(findingsOf(judge(ORDER, long))).toEqual([[0, 'RECORD_TOO_LARGE -']]);
  });

  it('stand among other records, and are not other unreadable ones', () => {
    const batch = inboxBatch('ndjson', [
      messageOf(0, '{"order":{"id":1},"buyer":{"name":"x"}}', { key: Buffer.from('1') }),
      messageOf(1, null, { key: Buffer.from('"2"') }),
      messageOf(2, '', { key: Buffer.from('3') }),
      messageOf(3, '{"meta":{"op":"d"},"order":{"id":4}}'),
      messageOf(4, null, { headers: { 'content-type': Buffer.from('text/csv') } }),
    ]);
    const verdict = judge(ORDER, batch);
    expect(deleted(verdict)).toEqual([
      ['1', '2'],
      ['3', '4'],
    ]);
    expect(rowsIn(verdict, 'purchase')).toEqual([['0', '1', 'x']]);
    expect(findingsOf(verdict)).toEqual([
      [2, 'NOT_ONE_RECORD -'],
      [4, 'NO_ID order.id'],
    ]);
    // The same object may be judged again.
    const contract = compileContract(ORDER, { columns: [], context: {}, options: {} });
    expect([contract.judge(batch), contract.judge(batch)].map(deleted)).toEqual([
      deleted(verdict),
      deleted(verdict),
    ]);
  });

  it('make a batch invalid that does not say what its messages were', () => {
    const { messages: _messages, ...batch } = tombstones('7');
    expect(() => judge(ORDER, batch)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });
});

describe('the plan of deletes', () => {
  it('is a section of its own, which other datasets have not; their mark is the same', () => {
    const plain = { name: 'stock', contract: Stock, format: 'csv' } as const;
    expect(planOfDeletes(STOCK)).toMatchObject({
      ...{
        schema: 'public',
        table: DELETED_SECTION,
        columns: ['site', 'sku', 'at'],
        key: ['site', 'sku'],
        version: 'at',
      },
      ...{ sources: { site: 'Site', sku: 'sku', at: 'at' }, parent: null },
    });
    expect(planOfDeletes(plain)).toBeNull();
    expect(planSections(plain)).toEqual(planTables(plain));
    expect(planMark(planSections(plain))).toBe(planMark(planTables(plain)));
    expect(planMark(planSections(STOCK))).not.toBe(planMark(planTables(plain)));
    expect(judge(plain, batchOf('x,TPE,A-1,5,2026-09-01T00:00:00Z,,\n')).sections).toHaveLength(2);
  });

  it('is refused where it cannot mean anything', () => {
    const compile = (more: Partial<Judged>): void =>
      void compileContract({ ...STOCK, ...more }, { columns: COLUMNS, context: {}, options: {} });
    expect(() => {
      compile({ deletes: { marker: { source: 'op', values: ['NULL'] } } });
    }).toThrow('deletes.marker names "NULL", which no field has once it is cleaned');
    @Table({ name: DELETED_SECTION, key: ['id'] })
    class Clash {
      @Column() id!: string;
    }
    expect(() => {
      compile({ contract: Clash });
    }).toThrow(`a table is named "${DELETED_SECTION}"`);
    @Table({ name: 'dotted', key: ['a', 'b'] })
    class Dotted {
      @Column({ source: 'a.a' }) a!: string;
      @Column() b!: string;
    }
    expect(() => {
      compile({ contract: Dotted, deletes: 'tombstone' });
    }).toThrow('cannot name "a.a" of the key');
  });
});
