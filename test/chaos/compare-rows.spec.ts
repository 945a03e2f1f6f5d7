import { expect, it } from '@jest/globals';
import { compareRows } from './compare-rows.js';

it('counts lost, doubled and foreign rows of two multisets', () => {
  const [a, b, c] = [
    { key: 'a', value: '1' },
    { value: '1', key: 'b' },
    { key: 'c', value: '1' },
  ];
  expect(compareRows([a, b, c], [c, { key: 'b', value: '1' }, a])).toEqual({
    lost: 0,
    doubled: 0,
    foreign: 0,
    examples: [],
  });
  expect(compareRows([a, a, a, b], [a, b])).toMatchObject({ lost: 0, doubled: 2, foreign: 0 });
  expect(compareRows([a], [a, b, c])).toMatchObject({ lost: 2, doubled: 0, foreign: 0 });
  expect(compareRows([{ ...a, value: '2' }], [a])).toMatchObject({ lost: 1, doubled: 0, foreign: 1 });
});
