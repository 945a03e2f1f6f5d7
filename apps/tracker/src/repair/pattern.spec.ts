import { describe, expect, it } from '@jest/globals';
import { Pattern } from './pattern.js';

const MOST = 20_000;

const replaced = (values: readonly string[], pattern: string, replacement: string): readonly string[] =>
  new Pattern({ field: 'f', pattern, flags: 'g', replacement }, MOST).replace(values);

describe('a pattern that came with a request', () => {
  it('replaces as ECMAScript does', () => {
    expect(replaced(['a1b', '22', ''], '([0-9])', '<$1$&>')).toEqual(['a<11>b', '<22><22>', '']);
    expect(replaced(['a-b'], '-', "$`$'$$")).toEqual(['aab$b']);
    expect(replaced(['1.204,881'], '[^0-9]', '')).toEqual(['1204881']);
  });

  const long = 'a'.repeat(250);
  it.each([
    ['a long replacement of each character', [long], 'a', 'x'.repeat(200)],
    ['all before it for each character', [long], 'a', '$`'],
    ['many groups', [long], '(a+)', '$1'.repeat(200)],
    ['groups that look ahead', [long], '(?=(a+))', '$1'],
    ['many values', Array.from({ length: 200 }, () => long), '(a+)', '$1'],
  ])('does not make more than it may: %s', (_, values, pattern, replacement) => {
    expect(() => replaced(values, pattern, replacement)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining(`${MOST}`) }),
    );
  });
});
