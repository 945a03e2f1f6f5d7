import { describe, expect, it } from '@jest/globals';
import { inboxProblems } from './inbox.js';

describe('what a dataset says about its inbox', () => {
  it.each([
    ['csv', undefined],
    ['csv', {}],
    ['ndjson', {}],
    ['csv', { columns: ['id', 'name'], partitions: 1 }],
    ['ndjson', { partitions: 1_000 }],
  ])('holds together: %s, %j', (format, inbox) => {
    expect(inboxProblems(inbox, format)).toEqual([]);
  });

  it.each<[string, string, unknown, string[]]>([
    ['no object', 'csv', true, ['inbox is not an object']],
    ['a list', 'csv', ['id'], ['inbox is not an object']],
    ['a typo', 'csv', { column: ['id'] }, ['inbox has no option "column"; it has columns, partitions']],
    ['no columns', 'csv', { columns: [] }, ['inbox.columns does not list the names of columns, each once']],
    [
      'a column twice',
      'csv',
      { columns: ['a', 'a'] },
      ['inbox.columns does not list the names of columns, each once'],
    ],
    [
      'columns of JSON',
      'ndjson',
      { columns: ['a'] },
      ['inbox.columns says nothing of a dataset whose records name their fields'],
    ],
    [
      'too many partitions',
      'csv',
      { partitions: 1_001 },
      ['inbox.partitions is not a number from 1 to 1000'],
    ],
    ['half a partition', 'csv', { partitions: 0.5 }, ['inbox.partitions is not a number from 1 to 1000']],
  ])('is refused: %s', (_what, format, inbox, problems) => {
    expect(inboxProblems(inbox, format)).toEqual(problems);
  });
});
