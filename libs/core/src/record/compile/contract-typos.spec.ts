/** What is written in a contract by mistake stops the dataset at its start, by class and property. */
import { describe, expect, it } from '@jest/globals';
import {
  ChildTable,
  Children,
  Column,
  Constant,
  FromContext,
  FromParent,
  Provenance,
  SlotNumber,
  Table,
} from '../../dataset/columns.js';
import type { ContractClass } from '../../dataset/dataset.js';
import { arrayOf, int64, isoDate, numeric, text, timestamp } from '../../dataset/kinds.js';
import { defineRecordRule, NotBefore, ProductOf, SumOf } from '../../dataset/record-rules.js';
import { Digits, PairedWith, Required } from '../../dataset/rules.js';
import { planTables } from '../compile-contract.js';
import { planContract } from './contract-plan.js';

/** As compiled JavaScript has them: TypeScript would refuse them here. */
const options = (given: Record<string, unknown>): never => given as never;

const KEY = { name: 't', key: ['a'] };
const problemsOf = (contract: ContractClass, format: 'csv' | 'ndjson' = 'csv'): string => {
  try {
    planContract({ name: 'broken', contract, format });
    return 'none';
  } catch (error) {
    expect(error).toMatchObject({ code: 'DATASET_INVALID' });
    return (error as Error).message;
  }
};

@Table(KEY)
class Undecorated {
  @Column() a!: string;
  b!: string;
}
@Table(KEY)
class Numbered {
  @Column() a!: string;
  @Column() b!: number;
}
@Table(KEY)
class Dated {
  @Column() a!: string;
  @Column() b!: Date;
}
@Table(KEY)
class Flagged {
  @Column() a!: string;
  @Column({ sources: ['b', 'c'] }) b!: boolean;
}
@Table(KEY)
class Large {
  @Column() a!: string;
  @Column() b!: bigint;
}
@Table(KEY)
class ColumnTypo {
  @Column(options({ sorce: 'x' })) a!: string;
}
@Table(KEY)
class IfInvalidTypo {
  @Column({ ifInvalid: options({ cod: 'X' }) }) a!: string;
}
@Table(options({ ...KEY, keys: ['a'] }))
class TableTypo {
  @Column() a!: string;
}
@Table({ ...KEY, cleaning: options({ trimm: true }) })
class CleaningTypo {
  @Column() a!: string;
}
@Table(KEY)
class RuleTypo {
  @Column() @Digits(3, options({ sverity: 'warning' })) a!: string;
}
@Table(KEY)
class RequiredTypo {
  @Column({ required: options({ Code: 'X' }) }) a!: string;
}
@Table(KEY)
class PairTypo {
  @Column() @PairedWith('a', options({ codes: 'X' })) a!: string;
}
@Table(KEY)
class ContextTypo {
  @Column() a!: string;
  @FromContext('x', options({ kinds: text() })) b!: string;
}
@Table(KEY)
class ConstantTypo {
  @Column() a!: string;
  @Constant('x', options({ traget: 'y' })) b!: string;
}
@Table(KEY)
class FactTypo {
  @Column() a!: string;
  @Provenance('lines' as 'line') b!: string;
}
@ChildTable(options({ name: 'c', rowsWhen: 'b' }))
class ChildTypo {
  @FromParent('a') a!: string;
  @Column() b!: string;
}
@Table(KEY)
class ParentOfTypo {
  @Column() a!: string;
  @Children(() => ChildTypo, { slots: [{ b: 'b' }] }) c!: ChildTypo[];
}
@Table(KEY)
class ChildrenTypo {
  @Column() a!: string;
  @Children(() => ChildTypo, options({ paths: 'x', path: 'y' })) c!: ChildTypo[];
}
@Table(KEY)
class RuleOnNothing {
  @Column() a!: string;
  @Required() b!: string;
}
@Table(KEY)
class BothSources {
  @Column({ source: 'x', sources: ['y'] }) a!: string;
}
@Table(KEY)
class NoSources {
  @Column({ sources: [] }) a!: string;
}
@Table(KEY)
class JoinOfNothing {
  @Column({ join: '-' }) a!: string;
}
@Table({ name: 't', key: ['a', 'b'] })
class ProvenanceKey {
  @Column() a!: string;
  @Provenance('line') b!: string;
}
@Table({ name: 't', key: ['b'] })
class ConstantKey {
  @Column() a!: string;
  @Constant('x') b!: string;
}
@Table(KEY)
class SumOfText {
  @Column() a!: string;
  @Column({ kind: int64() }) @SumOf(['a']) b!: string;
}
@Table(KEY)
class SumOfNothing {
  @Column({ kind: int64() }) @SumOf([]) a!: string;
}
@Table(KEY)
class SumOfConstant {
  @Column({ kind: int64() }) @SumOf(['b']) a!: string;
  @Constant('1') b!: string;
}
@Table(KEY)
class SumInstead {
  @Column({ kind: int64() }) @SumOf(['a'], options({ otherwise: '0' })) a!: string;
}
@Table(KEY)
class ProductTypo {
  @Column({ kind: int64() }) @ProductOf(['a'], options({ scales: 2 })) a!: string;
}
@Table(KEY)
class OrderOfTypes {
  @Column({ kind: isoDate() }) a!: string;
  @Column({ kind: timestamp() }) @NotBefore('a') b!: string;
}
@Table(KEY)
class JoinedJson {
  @Column() a!: string;
  @Column({ sources: ['a', 'b'], kind: arrayOf(text()) }) b!: string;
}

describe('a typo in a contract', () => {
  it.each(
    (
      [
        [Undecorated, /^Dataset broken, class Undecorated: "b" has no decorator/],
        [Numbered, /class Numbered: "b" is declared number, and values are texts/],
        [Dated, /"b" is declared Date/],
        [Flagged, /"b" is declared boolean/],
        [Large, /"b" is declared bigint/],
        [ColumnTypo, /@Column on "a" has no option "sorce"; its options are source, /],
        [IfInvalidTypo, /@Column on "a", ifInvalid has no option "cod"/],
        [TableTypo, /@Table has no option "keys"/],
        [CleaningTypo, /@Table cleaning has no option "trimm"/],
        [RuleTypo, /@Digits on "a" has no option "sverity"; its options are code, severity, otherwise/],
        [RequiredTypo, /@Required on "a" has no option "Code"/],
        [PairTypo, /@PairedWith on "a" has no option "codes"/],
        [ContextTypo, /@FromContext on "b" has no option "kinds"/],
        [ConstantTypo, /@Constant on "b" has no option "traget"/],
        [FactTypo, /@Provenance on "b" names "lines", and rows know their source, line, job, startedAt/],
        [ParentOfTypo, /class ChildTypo: @ChildTable has no option "rowsWhen"/],
        [ChildrenTypo, /@Children on "c" has no option "paths"/],
        [RuleOnNothing, /"b" has no decorator|a rule stands on "b"/],
        [BothSources, /@Column on "a" names both source and sources/],
        [NoSources, /"a" names no sources/],
        [JoinOfNothing, /@Column on "a" has a join, and no sources/],
        [ProvenanceKey, /@Table key names "b", which is another one each time/],
        [ConstantKey, /@Table key names constants alone/],
        [SumOfText, /the rule sumOf on "b" is for whole and decimal numbers, and a column of it is text/],
        [SumOfNothing, /the rule sumOf on "a" names no other column/],
        [SumOfConstant, /the rule sumOf on "a" names "b", which is no @Column/],
        [SumInstead, /the rule sumOf on "a" has an otherwise/],
        [ProductTypo, /@ProductOf on "a" has no option "scales"/],
        [
          OrderOfTypes,
          /the rule notBefore on "b" is for days or times of one type, and .* timestamp and date/,
        ],
      ] as [ContractClass, RegExp][]
    ).map(([contract, message]) => [contract.name, contract, message] as const),
  )('%s', (_, contract, message) => {
    expect(problemsOf(contract)).toMatch(message);
  });

  it('names lists that NDJSON cannot join, and CSV can', () => {
    expect(problemsOf(JoinedJson, 'ndjson')).toMatch(/"b" joins fields, and its kind arrayOf reads one JSON/);
    expect(problemsOf(JoinedJson, 'csv')).toBe('none');
  });
});

describe('compiled JavaScript of elsewhere', () => {
  it('is taken where its properties have no types and are not seen, or its constructor wants arguments', () => {
    class Plain {}
    Column()(Plain.prototype, 'a');
    Table(KEY)(Plain);
    expect(planTables({ name: 'plain', contract: Plain })).toHaveLength(1);
    class Demanding {
      constructor(given: string[]) {
        given.push('x');
      }
    }
    Column()(Demanding.prototype, 'a');
    Table(KEY)(Demanding);
    expect(planTables({ name: 'plain', contract: Demanding as unknown as ContractClass })).toHaveLength(1);
  });

  it('may bring rules across columns of its own', () => {
    const SameEnd = defineRecordRule({
      name: 'sameEnd',
      accepts: (value, [other = '']) => value.at(-1) === other.at(-1),
      message: 'must end as the other',
    });
    @Table(KEY)
    class Own {
      @Column() a!: string;
      @Column({ kind: numeric() }) @SameEnd(['a']) b!: string;
      @SlotNumber() c!: number;
    }
    expect(problemsOf(Own)).toMatch(/@SlotNumber belong in the class of a child table/);
  });
});
