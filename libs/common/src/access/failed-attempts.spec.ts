import { describe, expect, it } from '@jest/globals';
import { FailedAttempts } from './failed-attempts.js';

describe('wrong tokens by address', () => {
  it('hold up the address that has sent twenty within a minute, until the minute is over', () => {
    let now = 0;
    const attempts = new FailedAttempts(() => now);
    for (let n = 0; n < 19; n += 1) attempts.note('a');
    expect(attempts.waitOf('a')).toBe(0);
    now = 15_000;
    attempts.note('a');
    expect(attempts.waitOf('a')).toBe(45);
    expect(attempts.waitOf('b')).toBe(0);
    now = 60_000;
    expect(attempts.waitOf('a')).toBe(0);
    attempts.note('a');
    expect(attempts.waitOf('a')).toBe(0);
  });

  it('of more than ten thousand addresses the oldest is forgotten', () => {
    const attempts = new FailedAttempts(() => 0);
    for (let n = 0; n < 20; n += 1) attempts.note('first');
    for (let n = 0; n < 9_999; n += 1) attempts.note(String(n));
    expect(attempts.waitOf('first')).toBe(60);
    attempts.note('one more');
    expect(attempts.waitOf('first')).toBe(0);
  });
});
