import { describe, expect, it } from '@jest/globals';
import { isLabel } from '../message/header-reader.js';
import { MAX_KEPT_MEMBERS, mostFrequent, travellingMembers } from './member-names.js';

describe('names of members that the contract does not read', () => {
  it('travel as labels: cut, not empty, with control characters written out', () => {
    const names = ['phone', '', 'a\u001b[2Jb', 'x\0', '\u202eright', '\ud800', `${'a'.repeat(62)}😀b`];

    const travelling = Object.keys(travellingMembers(Object.fromEntries(names.map((name) => [name, 1]))));

    expect(travelling.sort()).toEqual(
      ['phone', '""', 'a\\u{1b}[2Jb', 'x\\u{0}', '\\u{202e}right', '\u{fffd}', `${'a'.repeat(62)}…`].sort(),
    );
    expect(travelling.every((name) => isLabel(name, 64))).toBe(true);
  });

  it('add up when they are equal once they are cut', () => {
    const long = 'a'.repeat(80);

    expect(travellingMembers({ [`${long}1`]: 2, [`${long}2`]: 3 })).toEqual({ [`${'a'.repeat(63)}…`]: 5 });
  });

  it('are the most frequent ones, and no more than fit', () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`m${at}`, at]));

    const travelling = travellingMembers(many);

    expect(Object.keys(travelling)).toHaveLength(MAX_KEPT_MEMBERS);
    expect(mostFrequent(travelling, 2)).toEqual([
      ['m49', 49],
      ['m48', 48],
    ]);
    expect(mostFrequent({ b: 1, a: 1 }, 1)).toEqual([['a', 1]]);
  });

  it('may be any name, that of an object’s prototype for one', () => {
    const counts = JSON.parse('{"__proto__": 2, "constructor": 1}') as Record<string, number>;

    expect(JSON.stringify(travellingMembers(counts))).toBe('{"__proto__":2,"constructor":1}');
  });
});
