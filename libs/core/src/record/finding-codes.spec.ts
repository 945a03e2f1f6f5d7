import { describe, expect, it } from '@jest/globals';
import { Column, Table } from '../dataset/columns.js';
import { int64 } from '../dataset/kinds.js';
import { SumOf } from '../dataset/record-rules.js';
import { MaxCharacters, PairedWith } from '../dataset/rules.js';
import { FINDING_CATEGORIES } from '#api/job-words.js';
import { categoriesOf } from '../finding/finding-category.js';
import { GENERAL_FINDING_CODES } from '../finding/finding.js';
import { findingCategories, findingCodes } from './finding-codes.js';

@Table({ name: 'bill', key: ['number'] })
class Bill {
  @Column({ required: { code: 'NO_NUMBER' } }) @MaxCharacters(5, { code: 'MIXED' }) number!: string;
  @Column({ kind: int64(), ifInvalid: { code: 'BAD_NET' } }) net!: string;
  @Column({ kind: int64() }) @PairedWith('net', { code: 'ALONE' }) tax!: string;
  @Column({ kind: int64() })
  @SumOf(['net', 'tax'], { code: 'MIXED' })
  @MaxCharacters(5, { code: 'DUPLICATE' })
  total!: string;
}
const BILL = { name: 'bill', contract: Bill };

describe('findingCategories', () => {
  it('says of every code what gives it: one value, or values that do not go together', () => {
    const categories = findingCategories(BILL);
    expect(Object.fromEntries(categories)).toMatchObject({
      ...{ NO_NUMBER: 'value', BAD_NET: 'value', INVALID_VALUE: 'value', ALONE: 'rule', MIXED: 'rule' },
      ...{ MALFORMED_ROW: 'structure', DUPLICATE: 'key', REFUSED_BY_DATABASE: 'database' },
    });
    expect(new Set(categories.keys())).toEqual(findingCodes(BILL));
  });

  it('knows a category for each general code', () => {
    for (const code of Object.values(GENERAL_FINDING_CODES))
      expect(FINDING_CATEGORIES).toContain(findingCategories(BILL).get(code));
  });

  it('leaves codes out that it does not know', () => {
    expect(categoriesOf(['NO_NUMBER', 'MALFORMED_ROW', 'toString'], findingCategories(BILL))).toEqual({
      NO_NUMBER: 'value',
      MALFORMED_ROW: 'structure',
    });
  });
});
