import { describe, expect, it } from '@jest/globals';
import { nameSession, wideXid } from './old-snapshots.js';

const EPOCH = 2n ** 32n;

describe('a transaction id of 32 bits', () => {
  it.each([
    ['of a young cluster', 740n, 800n, 740n],
    ['the same one', 800n, 800n, 800n],
    ['a little newer than what is known', 810n, 800n, 810n],
    ['after 2^32 transactions', 5n, EPOCH + 9n, EPOCH + 5n],
    ['from before the turn', EPOCH - 3n, EPOCH + 9n, EPOCH - 3n],
    ['from before the third turn', EPOCH - 3n, 3n * EPOCH + 9n, 3n * EPOCH - 3n],
  ])('is widened by one that is near: %s (OS4)', (_, low, near, wide) => {
    expect(wideXid(BigInt.asUintN(32, low), near)).toBe(wide);
  });
});

describe('a session', () => {
  const session = { pid: 7, usename: 'bob', application_name: 'psql', state: 'active' };

  it('is named by what can be seen of it', () => {
    expect(nameSession(session)).toBe('session 7 (psql of bob, active)');
    expect(nameSession({ ...session, application_name: '', state: null })).toBe('session 7 (unnamed of bob)');
  });
});
