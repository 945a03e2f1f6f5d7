import { describe, expect, it } from '@jest/globals';
import { IsEmail, Validate, ValidateIf, ValidatorConstraint } from 'class-validator';
import { batchOf } from '#test/support/record/cutting.js';
import { BASKET, ORDER, SHOP } from '#test/support/record/sample-contracts.js';
import {
  ChildTable,
  Children,
  Column,
  FromContext,
  FromParent,
  SlotNumber,
  Table,
} from '../../dataset/columns.js';
import type { ContractClass, SourceFormat } from '../../dataset/dataset.js';
import { isoDate } from '../../dataset/kinds.js';
import { PairedWith, Required } from '../../dataset/rules.js';
import { compileContract, planTables } from '../compile-contract.js';

describe('a contract that does not hold together', () => {
  const compile = (
    contract: ContractClass,
    columns = ['a', 'b'],
    format: SourceFormat = 'csv',
    context = {},
  ): unknown => compileContract({ name: 'broken', contract, format }, { columns, context, options: {} });

  class NoTable {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: ['z'] })
  class WrongKey {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: [] })
  class NoKey {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: ['a'], version: 'z' })
  class WrongVersion {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: ['a'], version: 'a' })
  class VersionInKey {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class NoColumns {}
  @Table({ name: 't', key: ['a'] })
  class SameTarget {
    @Column({ source: 'a' }) a!: string;
    @Column({ source: 'b', target: 'a' }) b!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class TakenTarget {
    @Column({ source: 'a' }) a!: string;
    @Column({ source: 'b', target: '_sluice_record' }) b!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class RuleOnConstant {
    @Column({ source: 'a' }) a!: string;
    @Required() @FromContext('date') date!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class WrongPartner {
    @Column({ source: 'a' }) @PairedWith('z') a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class OddCode {
    @Column({ source: 'a' }) @Required({ code: 'two words' }) a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class Conditional {
    @Column({ source: 'a' }) @ValidateIf(() => true) @IsEmail() a!: string;
  }
  @ValidatorConstraint()
  class Later {
    validate = (): Promise<boolean> => Promise.resolve(true);
  }
  @Table({ name: 't', key: ['a'] })
  class Asynchronous {
    @Column({ source: 'a' }) @Validate(Later) a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class SlotInParent {
    @Column({ source: 'a' }) a!: string;
    @SlotNumber() slot!: number;
  }
  class NotAChild {
    @FromParent('a') a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class ChildWithoutTable {
    @Column({ source: 'a' }) a!: string;
    @Children(() => NotAChild, { path: 'x' }) x!: NotAChild[];
  }
  @ChildTable({ name: 'c' })
  class Unlinked {
    @Column({ source: 'b' }) b!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class UnlinkedChild {
    @Column({ source: 'a' }) a!: string;
    @Children(() => Unlinked, { slots: [{ b: 'b' }] }) x!: Unlinked[];
  }
  @ChildTable({ name: 'c', rowWhen: 'a' })
  class Linked {
    @FromParent('a') a!: string;
    @Column({ source: 'b' }) b!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class WrongRowWhen {
    @Column({ source: 'a' }) a!: string;
    @Children(() => Linked, { slots: [{ b: 'b' }] }) x!: Linked[];
  }
  @ChildTable({ name: 't' })
  class SameTable {
    @FromParent('a') a!: string;
    @Column({ source: 'b' }) b!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class TableTwice {
    @Column({ source: 'a' }) a!: string;
    @Children(() => SameTable, { slots: [{ b: 'b' }] }) x!: SameTable[];
  }

  @ChildTable({ name: 'endless' })
  class Endless {
    @FromParent('a') a!: string;
    @Column({ source: 'b' }) b!: string;
    @Children(() => Endless, { path: 'more' }) more!: Endless[];
  }
  @Table({ name: 't', key: ['a'] })
  class EndlessParent {
    @Column({ source: 'a' }) a!: string;
    @Children(() => Endless, { path: 'rows' }) rows!: Endless[];
  }
  @ChildTable({ name: 'inner' })
  class Inner {
    @FromParent('a') a!: string;
    @Column({ source: 'b' }) b!: string;
  }
  @ChildTable({ name: 'c' })
  class SlotOfArray {
    @FromParent('a') a!: string;
    @Column({ source: 'b' }) b!: string;
    @Children(() => Inner, { slots: [{ b: 'b' }] }) inner!: Inner[];
  }
  @Table({ name: 't', key: ['a'] })
  class SlotsInSlots {
    @Column({ source: 'a' }) a!: string;
    @Children(() => SlotOfArray, { slots: [{ b: 'b' }] }) rows!: SlotOfArray[];
  }
  @ChildTable({ name: 'c' })
  class SlotParent {
    @FromParent('a') a!: string;
    @Column({ source: 'b' }) b!: string;
    @Children(() => Inner, { path: 'inner' }) inner!: Inner[];
  }
  @Table({ name: 't', key: ['a'] })
  class ArrayInSlots {
    @Column({ source: 'a' }) a!: string;
    @Children(() => SlotParent, { slots: [{ b: 'b' }] }) rows!: SlotParent[];
  }
  @ChildTable({ name: 'grandchild' })
  class OfTheRecord {
    @FromParent('id') id!: string;
    @Column({ source: 'b' }) b!: string;
  }
  @ChildTable({ name: 'c' })
  class WrongLink {
    @FromParent('id', { target: 'parent_id' }) parent!: string;
    @Column({ source: 'b' }) b!: string;
    @Children(() => OfTheRecord, { path: 'inner' }) inner!: OfTheRecord[];
  }
  @Table({ name: 't', key: ['id'] })
  class WrongInnerLink {
    @Column({ source: 'id' }) id!: string;
    @Children(() => WrongLink, { path: 'rows' }) rows!: WrongLink[];
  }
  @Table({ name: 't', key: ['a'] })
  class NoPath {
    @Column({ source: 'a' }) a!: string;
    @Children(() => Inner, { path: '' }) rows!: Inner[];
  }
  @Table({ name: 't'.repeat(64), key: ['a'] })
  class LongTable {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class LongColumn {
    @Column({ source: 'a', target: '名'.repeat(22) }) a!: string;
  }
  @Table({ name: 't', schema: 's'.repeat(64), key: ['a'] })
  class LongSchema {
    @Column({ source: 'a' }) a!: string;
  }
  @ChildTable({ name: 'c'.repeat(64) })
  class LongNamed {
    @FromParent('a') a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class LongChild {
    @Column({ source: 'a' }) a!: string;
    @Children(() => LongNamed, { path: 'rows' }) rows!: LongNamed[];
  }
  @Table({ name: 't', schema: '', key: ['a'] })
  class EmptySchema {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', schema: 'sluice_staging', key: ['a'] })
  class OwnSchema {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', schema: 'pg_catalog', key: ['a'] })
  class ServersSchema {
    @Column({ source: 'a' }) a!: string;
  }
  const several = { name: 't', key: ['a'], rows: { path: 'rows' } };
  @Table(several)
  class SeveralRows {
    @Column({ source: 'a' }) a!: string;
  }
  @Table({ name: 't', key: ['a'] })
  class OwnColumn {
    @Column({ source: 'a', target: '_sluice_fate' }) a!: string;
  }

  it.each(
    (
      [
        [NoTable, /lacks @Table/],
        [WrongKey, /names "z", which is no column/],
        [NoKey, /names no key/],
        [WrongVersion, /@Table version names "z", which is no column/],
        [VersionInKey, /@Table version "a" is part of the key/],
        [NoColumns, /has no columns/],
        [SameTarget, /column "a" stands in it twice/],
        [TakenTarget, /column "_sluice_record" stands in it twice/],
        [RuleOnConstant, /a rule stands on "date", which is no @Column/],
        [WrongPartner, /@PairedWith on "a" names "z"/],
        [OddCode, /"two words" cannot be a code/],
        [Conditional, /"a": a condition over the whole object/],
        [SlotInParent, /belong in the class of a child table/],
        [ChildWithoutTable, /class NotAChild: it lacks @ChildTable/],
        [UnlinkedChild, /the rows of "x" have no @FromParent column/],
        [WrongRowWhen, /names "a", whose value does not stand in the record/],
        [TableTwice, /table "t" stands in it twice/],
        [EndlessParent, /class Endless: the rows of "more" are of Endless, whose rows they stand in/],
        [
          SlotsInSlots,
          /class SlotOfArray: the rows of "inner" are children of a child table, which only arrays/,
        ],
        [
          ArrayInSlots,
          /class SlotParent: the rows of "inner" are children of a child table, which only arrays/,
        ],
        [WrongInnerLink, /class WrongLink: @FromParent names "id", which is no column/],
        [NoPath, /the rows of "rows" have no path, and a record is no array/],
        [LongTable, /the name of its table "t{64}" has 64 bytes \(UTF-8\), and PostgreSQL keeps 63/],
        [LongColumn, /the name of its column "名{22}" has 66 bytes/],
        [LongSchema, /the name of its schema "s{64}" has 64 bytes/],
        [LongChild, /class LongNamed: the name of its table "c{64}" has 64 bytes/],
        [EmptySchema, /the name of its schema is empty/],
        [OwnSchema, /schema "sluice_staging" is not for data/],
        [ServersSchema, /schema "pg_catalog" is not for data/],
        [
          SeveralRows,
          /@Table takes no rows, since a record is one row of its table: what a record holds several of are rows/,
        ],
        [OwnColumn, /column "_sluice_fate" begins with _sluice_, as Sluice's own do/],
      ] as [ContractClass, RegExp][]
    ).map(([contract, message]) => [contract.name, contract, message] as const),
  )('%s is DATASET_INVALID, by name', (_, contract, message) => {
    expect(() => planTables({ name: 'broken', contract })).toThrow(
      expect.objectContaining({ code: 'DATASET_INVALID', message: expect.stringMatching(message) }),
    );
    expect(() => planTables({ name: 'broken', contract })).toThrow(/^Dataset broken, class /);
  });

  it('must find the columns it reads in the file, each once', () => {
    @Table({ name: 't', key: ['a'] })
    class Pair {
      @Column({ source: 'a' }) a!: string;
      @Column({ source: 'b' }) b!: string;
    }
    expect(() => compile(Pair, ['a'])).toThrow(/the file has no column "b"/);
    expect(() => compile(Pair, ['a', 'b', 'a'])).toThrow(/has the column "a" twice/);
    expect(compile(Pair, ['b', 'other', 'other', 'a'])).toBeDefined();
  });

  it('must fit its format', () => {
    expect(() =>
      compile(ORDER.contract, ['id', 'customer.name', 'customer.country', 'placedAt', 'customer']),
    ).toThrow(/need slots/);
    expect(() => compile(SHOP.contract, [], 'ndjson')).toThrow(/need a path/);
    @ChildTable({ name: 'c' })
    class Child {
      @FromParent('a') a!: string;
      @Column({ source: 'code' }) code!: string;
    }
    @Table({ name: 't', key: ['a'] })
    class Parent {
      @Column({ source: 'a' }) a!: string;
      @Children(() => Child, { slots: [{ code: 'b' }, {}] }) rows!: Child[];
    }
    expect(() => compile(Parent)).toThrow(/a slot of c does not name "code"/);
  });

  it('must fit the file’s head', () => {
    @Table({ name: 't', key: ['a'] })
    class Dated {
      @Column({ source: 'a' }) a!: string;
      @FromContext('date', { kind: isoDate() }) date!: string;
    }
    expect(() => compile(Dated, ['a'], 'csv', { date: '01-SEP-26' })).toThrow(
      /"date" of the file's head must be a calendar date/,
    );
    expect(compile(Dated, ['a'], 'csv', {})).toBeDefined();
  });

  it('cannot wait for a rule', () => {
    const contract = compileContract(
      { name: 'broken', contract: Asynchronous, format: 'csv' },
      { columns: ['a'], context: {}, options: {} },
    );
    expect(() => contract.judge(batchOf('x\n'))).toThrow(
      expect.objectContaining({ code: 'DATASET_INVALID' }),
    );
  });
});

describe('planTables', () => {
  it('names tables, columns, keys, links and sources without a file', () => {
    expect(planTables(ORDER)).toEqual([
      {
        schema: 'public',
        table: 'customer_order',
        columns: ['id', 'customer', 'country', 'placed_at', 'customer_json'],
        key: ['id'],
        version: null,
        sources: {
          id: 'id',
          customer: 'customer.name',
          country: 'customer.country',
          placed_at: 'placedAt',
          customer_json: 'customer',
        },
        parent: null,
      },
      {
        schema: 'public',
        table: 'order_item',
        columns: ['order_id', 'position', 'sku', 'price', 'price_json'],
        key: [],
        version: null,
        sources: {
          order_id: 'id',
          sku: 'items[].sku',
          price: 'items[].price.amount',
          price_json: 'items[].price',
        },
        parent: { table: 'customer_order', columns: { order_id: 'id' } },
      },
      {
        schema: 'public',
        table: 'order_tag',
        columns: ['order_id', 'tag'],
        key: [],
        version: null,
        sources: { order_id: 'id', tag: 'meta.tags[]' },
        parent: { table: 'customer_order', columns: { order_id: 'id' } },
      },
    ]);
    // Children of children name the full path of their fields, and each its direct parent.
    expect(planTables(BASKET).map(({ schema, table }) => `${schema}.${table}`)).toEqual([
      'sales.basket',
      'sales.basket_line',
      'sales.line_tax',
      'sales.tax_note',
      'sales.seat_row',
      'sales.seat',
    ]);
    expect(planTables(BASKET)[3]).toMatchObject({
      columns: ['basket', 'tax', 'note'],
      sources: { basket: 'id', tax: 'number', note: 'lines[].details.taxes[].notes[]' },
      parent: { table: 'line_tax', columns: { basket: 'basket', tax: 'number' } },
    });
    expect(planTables(BASKET)[5]).toMatchObject({
      sources: { guest: 'seats[][]' },
      parent: { table: 'seat_row', columns: { row: 'number' } },
    });
    @Table({ name: 't', key: ['a'], version: 'asOf' })
    class Versioned {
      @Column({ source: 'a' }) a!: string;
      @FromContext('date', { kind: isoDate() }) asOf!: string;
    }
    expect(planTables({ name: 'versioned', contract: Versioned })).toMatchObject([{ version: 'as_of' }]);
    expect(planTables(SHOP)[1]).toMatchObject({
      table: 'line',
      sources: { shop_number: 'no', code: 'c1, c2, c3' },
    });
  });
});
