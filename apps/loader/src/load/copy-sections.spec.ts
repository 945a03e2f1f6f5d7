import { describe, expect, it } from '@jest/globals';
import { copyFaultOf } from './copy-sections.js';

describe('a refused COPY', () => {
  const refusedAt = (where: string): Error => Object.assign(new Error('refused'), { where });

  it('has its fault where PostgreSQL says', () => {
    expect(copyFaultOf(refusedAt('COPY abc_table, line 17, column code: "x"'))).toEqual({
      table: 'abc_table',
      line: 17,
      column: 'code',
    });
    expect(copyFaultOf(refusedAt('COPY abc_table, line 17: "x"'))).toEqual({
      table: 'abc_table',
      line: 17,
      column: null,
    });
    expect(copyFaultOf(new Error('refused'))).toBeNull();
  });
});
