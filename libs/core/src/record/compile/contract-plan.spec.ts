import { describe, expect, it } from '@jest/globals';
import { IsEmail, Validate, ValidateIf, ValidatorConstraint } from 'class-validator';
import { batchOf } from '#test/support/record/cutting.js';
import { ORDER, SHOP } from '#test/support/record/sample-contracts.js';
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

  it('must fit the head of the file', () => {
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
        table: 'order_tag',
        columns: ['order_id', 'tag'],
        key: [],
        version: null,
        sources: { order_id: 'id', tag: 'meta.tags[]' },
        parent: { table: 'customer_order', columns: { order_id: 'id' } },
      },
    ]);
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
