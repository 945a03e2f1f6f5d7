import { describe, expect, it } from '@jest/globals';
import { pageOf } from './page.js';

describe('pageOf', () => {
  it('has a next page exactly when there is one more row than asked for', () => {
    expect(pageOf([1, 2, 3], 2, String)).toEqual({ items: [1, 2], next: '2' });
    expect(pageOf([1, 2], 2, String)).toEqual({ items: [1, 2], next: null });
    expect(pageOf([1], 2, String)).toEqual({ items: [1], next: null });
    expect(pageOf([], 2, String)).toEqual({ items: [], next: null });
  });
});
