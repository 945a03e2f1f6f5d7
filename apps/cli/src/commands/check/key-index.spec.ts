import { describe, expect, it } from '@jest/globals';
import { KeyIndex } from './key-index.js';

const key = (text: string): Buffer => Buffer.from(text);

describe('the keys of a file', () => {
  it('finds every repeat among many keys, across all its growing', () => {
    const index = new KeyIndex(100_000, 16);
    for (let line = 1; line <= 20_000; line++)
      expect(index.meet(key(`k${line}`), line, 'first')).toBeUndefined();
    for (let line = 1; line <= 20_000; line += 7)
      expect(index.meet(key(`k${line}`), 99_999, 'first')).toBe(line);
  });

  it('remembers the first or the last line, as the dataset keeps records', () => {
    const index = new KeyIndex();
    index.meet(key('a'), 1, 'first');
    index.meet(key('a'), 2, 'first');
    expect(index.meet(key('a'), 3, 'first')).toBe(1);
    index.meet(key('b'), 1, 'last');
    index.meet(key('b'), 2, 'last');
    expect(index.meet(key('b'), 3, 'last')).toBe(2);
  });

  it('takes no further key when it is full, and says so', () => {
    const index = new KeyIndex(2, 16);
    index.meet(key('a'), 1, 'first');
    expect(index.full).toBe(false);
    index.meet(key('b'), 2, 'first');
    expect(index.full).toBe(true);
    expect(index.meet(key('c'), 3, 'first')).toBeUndefined();
    expect(index.meet(key('c'), 4, 'first')).toBeUndefined();
    expect(index.meet(key('a'), 5, 'first')).toBe(1);
  });
});
