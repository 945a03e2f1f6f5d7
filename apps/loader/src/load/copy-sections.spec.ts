import { describe, expect, it } from '@jest/globals';
import { copyFaultOf, recordOfLine, withoutRecords } from './copy-sections.js';

const text = Buffer.from('10\ta\n11\tb\\\\n\n11\tc\n13\td\n');

describe('COPY text', () => {
  it('tells the record of a line by its first column', () => {
    expect([1, 2, 3, 4].map((line) => recordOfLine(text, line))).toEqual([10, 11, 11, 13]);
    expect(recordOfLine(text, 5)).toBeNull();
  });

  it('loses every row of the records that are taken out, and nothing else', () => {
    expect(withoutRecords(text, new Set([11])).toString()).toBe('10\ta\n13\td\n');
    expect(withoutRecords(text, new Set([12]))).toEqual(text);
    expect(withoutRecords(text, new Set([10, 11, 13]))).toHaveLength(0);
  });

  it('has a fault where PostgreSQL says', () => {
    const error = Object.assign(new Error('refused'), { where: 'COPY abc_table, line 17, column code: "x"' });
    expect(copyFaultOf(error)).toEqual({ table: 'abc_table', line: 17 });
    expect(copyFaultOf(new Error('refused'))).toBeNull();
  });
});
