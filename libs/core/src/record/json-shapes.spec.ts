import { describe, expect, it } from '@jest/globals';
import { batchOf } from '#test/support/record/cutting.js';
import { readCopyText } from '#test/support/record/read-copy-text.js';
import { ORDER } from '#test/support/record/sample-contracts.js';
import { compileContract } from './compile-contract.js';
import type { BatchVerdict } from './verdict.js';

function judgeJson(text: string): BatchVerdict {
  return compileContract(ORDER, { columns: [], context: {}, options: {} }).judge(batchOf(text, 'ndjson'));
}

function rowsOf(verdict: BatchVerdict, table = 0): (string | null)[][] {
  return readCopyText(verdict.sections[table]!.text);
}

describe('values and members that are not where the contract expects them', () => {
  const first = ({ refused }: BatchVerdict): unknown =>
    [...refused][0]?.findings.map(({ code, field }) => ({ code, field }));

  it.each([
    ['a text', '{"id":1,"customer":"a"}', 'customer'],
    ['a number', '{"id":1,"customer":5}', 'customer'],
    ['false', '{"id":1,"customer":false}', 'customer'],
    ['an array', '{"id":1,"customer":[{"name":"a"}]}', 'customer'],
    ['a text on the path of an array', '{"id":1,"meta":"tags"}', 'meta'],
    ['a text inside an element', '{"id":1,"items":[{"sku":"a"},{"sku":"b","price":"9"}]}', 'items[1].price'],
    ['a flattened name', '{"id":1,"customer.name":"a"}', 'customer.name'],
    ['a flattened array', '{"id":1,"meta.tags":["new"]}', 'meta.tags'],
    [
      'a flattened name inside an element',
      '{"id":1,"items":[{"sku":"a","price.amount":9}]}',
      'items[0].price.amount',
    ],
    ['an escaped flattened name', '{"id":1,"customer.n\\u0061me":"a"}', 'customer.name'],
  ])('refuse the record: %s', (_, text, field) => {
    const verdict = judgeJson(`${text}\n{"id":2,"customer":null}\n{"id":3,"customer":{}}`);
    expect(first(verdict)).toEqual([{ code: 'MALFORMED_ROW', field }]);
    expect(verdict.counts).toMatchObject({ accepted: 2, refused: 1 });
  });

  it.each([
    ['', '{"id":1,"customer":{"name":"a"},"customer":{"name":"b"}}', 'customer'],
    [', equal or not', '{"id":1,"id":1}', 'id'],
    [', escaped', '{"id":1,"\\u0069d":2}', 'id'],
    [', one of them null', '{"id":1,"customer":{"name":"a","name":null}}', 'customer.name'],
    [', one of another shape', '{"id":1,"customer":"a","customer":{"name":"b"}}', 'customer'],
    [', in an element', '{"id":1,"items":[{"sku":"a"},{"sku":"b","sku":"c"}]}', 'items[1].sku'],
  ])(
    'refuse the record where two of one object have one name%s: one value would be lost',
    (_, text, field) => {
      const verdict = judgeJson(
        `${text}\n{"id":2,"customer":{"name":"a"},"items":[{"sku":"a"},{"sku":"a"}]}`,
      );
      expect(first(verdict)).toEqual([{ code: 'MALFORMED_ROW', field }]);
      expect(verdict.counts).toMatchObject({ accepted: 1, refused: 1 });
    },
  );

  const UNKNOWN =
    '{"id":1,"updated_at":"x","items":[{"sku":"a","colour":1},{"sku":"b","colour":2}]}\n{"id":2}';

  it('are counted by name, and once a record as a warning', () => {
    const verdict = judgeJson(UNKNOWN);
    expect(verdict.unknownMembers).toEqual({ updated_at: 1, 'items[].colour': 1 });
    expect(verdict.findings).toEqual({ UNKNOWN_MEMBER: 1 });
    expect(verdict.counts).toMatchObject({ accepted: 2, warnings: 1 });
    expect(judgeJson('{"id":2}').unknownMembers).toBeUndefined();
  });

  it.each([
    ['warning', 2],
    ['error', 1],
  ] as const)('are findings where the dataset says so: %s', (unknownMembers, accepted) => {
    const contract = compileContract({ ...ORDER, unknownMembers }, { columns: [], context: {}, options: {} });
    const { counts, findings } = contract.judge(batchOf(UNKNOWN, 'ndjson'));
    expect(findings).toEqual({ UNKNOWN_MEMBER: 2 });
    expect(counts).toMatchObject({ accepted, refused: 2 - accepted });
  });

  it('do not fill memory, with any names', () => {
    const records = Array.from({ length: 200 }, (_, i) => `{"id":${i},"m${i}":1,"${'n'.repeat(5000)}":1}\n`);
    const { unknownMembers = {} } = judgeJson(records.join(''));
    expect(Object.keys(unknownMembers).length).toBeLessThanOrEqual(51);
    expect(Math.max(...Object.keys(unknownMembers).map((name) => name.length))).toBeLessThan(20);
  });

  it.each([
    ['1e0', '1'],
    ['3.0', '3'],
    ['1.5e1', '15'],
    ['-20e-1', '-2'],
    ['12345678901234567890e-2', null],
    ['0.0', '0'],
    ['1e18', `1${'0'.repeat(18)}`],
    ['1e19', null],
    ['1.5', null],
    ['1e-1', null],
    ['1e999999999', null],
  ])('take the integer %s where it is one exactly', (number, stored) => {
    const verdict = judgeJson(`{"id":${number}}`);
    if (stored === null) expect(first(verdict)).toEqual([{ code: 'BAD_ID', field: 'id' }]);
    else expect(rowsOf(verdict)[0]?.[1]).toBe(stored);
  });

  it.each([
    ['1e2', '100'],
    ['1.25E+1', '12.5'],
    ['125e-2', '1.25'],
    ['-5e-1', '-0.5'],
    ['1.50', '1.50'],
    ['1e-3', null],
    ['1e9', null],
  ])('take the decimal %s where no digit is lost', (number, stored) => {
    const verdict = judgeJson(`{"id":1,"items":[{"sku":"a","price":{"amount":${number}}}]}`);
    if (stored === null)
      expect(first(verdict)).toEqual([{ code: 'BAD_PRICE', field: 'items[0].price.amount' }]);
    else expect(rowsOf(verdict, 1)[0]).toContain(stored);
  });

  it.each([
    ['\uFEFF{"id":1}', /byte order mark/],
    ['\0\0\0', /nothing but NUL bytes/],
    ['{"id":1}\r{"id":2}', /a CR, where lines end with LF/],
  ])('name what cannot be seen in %j', (text, message) => {
    expect([...judgeJson(text).refused][0]?.findings[0]?.message).toMatch(message);
  });
});
