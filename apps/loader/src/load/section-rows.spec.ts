import { describe, expect, it } from '@jest/globals';
import { SectionRows, recordOfLine } from './copy-sections.js';

const first = Buffer.from('10\ta\n11\tb\\\\n\n11\tc\n');
const second = Buffer.from('13\td\n12\te\n');

describe('rows of COPY text', () => {
  it('belong to the record in their first column, by line over all sections', () => {
    const lines = [1, 2, 3, 4, 5, 6];
    expect(lines.map((line) => recordOfLine([first, second], line))).toEqual([10, 11, 11, 13, 12, null]);
  });

  const rows = new SectionRows(
    new Map([
      ['parent', [first, second]],
      ['child', [Buffer.from('14\tx\n')]],
    ]),
  );
  const text = (table: string, ...records: number[]): string =>
    Buffer.concat(rows.textOf(table, records)).toString();

  it('are known for every record of any table, in order', () => {
    expect(rows.records).toEqual([10, 11, 12, 13, 14]);
  });

  it('come for the asked records alone, whole', () => {
    expect(text('parent', 11)).toBe('11\tb\\\\n\n11\tc\n');
    expect(text('parent', 10, 12, 13)).toBe('10\ta\n12\te\n13\td\n');
    expect(text('child', 10, 14)).toBe('14\tx\n');
    expect(text('nothing', 10)).toBe('');
  });

  it('stay one piece while they are neighbours', () => {
    expect(rows.textOf('parent', [10, 11])).toHaveLength(1);
    expect(rows.textOf('parent', [10, 13])).toHaveLength(2);
  });
});
