import { describe, expect, it } from '@jest/globals';
import { type CsvDialect, dialectProblems, resolveDialect } from './csv-dialect.js';
import { encodingName, encodingProblem, isDecoded } from '../source/encoding.js';

describe('a dialect', () => {
  it('is RFC 4180 by default', () => {
    expect(resolveDialect()).toEqual({
      ...{ delimiter: 0x2c, quote: 0x22, backslash: false, skippedStarts: [], columns: null },
    });
  });

  it.each<CsvDialect | undefined>([
    ...[undefined, {}, { delimiter: '\t', quote: null, escape: 'backslash' as const }, { delimiter: '\x01' }],
    { columns: ['a', '名'], skipLinesStartingWith: ['#', 'Summe;'] },
  ])('has no problems: %j', (csv) => {
    expect(dialectProblems(csv)).toEqual([]);
  });

  it.each<[unknown, RegExp]>([
    [';', /^csv is not an object/],
    [{ separator: ';' }, /no option "separator"; it has delimiter, quote/],
    [{ delimiter: ';;' }, /delimiter is not one ASCII/],
    [{ delimiter: '' }, /delimiter/],
    [{ delimiter: '\n' }, /delimiter/],
    [{ delimiter: '\0' }, /delimiter/],
    [{ delimiter: '；' }, /delimiter/],
    [{ quote: '“' }, /quote is neither null/],
    [{ quote: '' }, /quote/],
    [{ delimiter: '"' }, /the same/],
    [{ escape: '\\' }, /escape is neither doubled nor backslash/],
    [{ escape: 'backslash', quote: '\\' }, /escape is backslash/],
    [{ columns: [] }, /columns is not a list/],
    [{ columns: 'a,b' }, /columns is not a list/],
    [{ columns: ['a', 'b', 'a'] }, /names "a" twice/],
    [{ skipLinesStartingWith: '#' }, /skipLinesStartingWith/],
    [{ skipLinesStartingWith: [''] }, /skipLinesStartingWith/],
    [{ skipLinesStartingWith: ['a\nb'] }, /skipLinesStartingWith/],
    [{ skipLinesStartingWith: ['x'.repeat(201)] }, /at most 200 bytes/],
  ])('has a problem: %j', (csv, problem) => {
    expect(dialectProblems(csv)).toEqual([expect.stringMatching(problem)]);
  });
});

describe('an encoding', () => {
  it.each(['utf-8', 'UTF8', 'big5', 'Latin1', 'utf-16', 'gb18030', 'sjis', 'windows-1252'])(
    'can be %s',
    (label) => {
      expect(encodingProblem(label)).toBeNull();
    },
  );

  it.each(['big-5-hkscs-2', '', 'base64', 5])('cannot be %j', (label) => {
    expect(encodingProblem(label)).toContain(JSON.stringify(label));
  });

  it('is decoded unless it is UTF-8', () => {
    expect([undefined, 'utf-8', 'utf8', 'big5', 'utf-16le'].map(isDecoded)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  it('has a name for people', () => {
    const names = ['big5', 'sjis', 'gb18030', 'latin1', 'utf-16', 'euc-kr'].map(encodingName);
    expect(names).toEqual(['Big5', 'Shift_JIS', 'GB18030', 'windows-1252', 'UTF-16LE', 'EUC-KR']);
  });
});
