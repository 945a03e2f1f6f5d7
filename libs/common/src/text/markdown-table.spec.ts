import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { format } from 'prettier';
import { markdownTable } from './markdown-table.js';

describe('markdownTable', () => {
  it('writes what prettier leaves as it is, with vertical bars in cells escaped', async () => {
    expect(markdownTable(['a', 'longer'], [['x|y', '']])).toBe(
      '| a    | longer |\n| ---- | ------ |\n| x\\|y |        |\n',
    );
    const cell = fc.stringMatching(/^[a-z|0-9]{0,12}$/);
    const table = fc.integer({ min: 1, max: 5 }).chain((width) => {
      const row = fc.array(cell, { minLength: width, maxLength: width });
      return fc.tuple(row, fc.array(row, { maxLength: 5 }));
    });
    await fc.assert(
      fc.asyncProperty(table, async ([titles, rows]) => {
        const text = markdownTable(titles, rows);
        expect(await format(text, { parser: 'markdown', printWidth: 200 })).toBe(text);
      }),
    );
  });
});
