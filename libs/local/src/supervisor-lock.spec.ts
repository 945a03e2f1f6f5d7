import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { lockHolder, takeLock } from './supervisor-lock.js';

describe('supervisor lock', () => {
  let folder: string;
  let lock: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-lock-'));
    lock = join(folder, 'supervisor.lock');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('SV1: one holder at a time', () => {
    const giveBack = takeLock(lock);
    expect(lockHolder(lock)?.pid).toBe(process.pid);
    expect(() => takeLock(lock)).toThrow(expect.objectContaining({ code: 'LOCAL_START_FAILED' }));
    giveBack();
    expect(lockHolder(lock)).toBeNull();
    takeLock(lock)();
    expect(existsSync(lock)).toBe(false);
  });

  it.each([
    ['of a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, started: 'long ago' })],
    ['of a pid that is another process now', JSON.stringify({ pid: process.pid, started: 'long ago' })],
    ['that is unreadable', ''],
  ])('takes over a lock %s', (_, content) => {
    writeFileSync(lock, content);
    expect(lockHolder(lock)).toBeNull();
    const giveBack = takeLock(lock);
    expect(lockHolder(lock)?.pid).toBe(process.pid);
    expect(readdirSync(folder)).toEqual(['supervisor.lock']);
    giveBack();
  });

  it('gives up, and does not try for ever, when a stale lock cannot be removed', () => {
    writeFileSync(lock, '');
    // In the way of the rename for every user: permissions would not stop root.
    mkdirSync(`${lock}.${process.pid}.stale`);
    expect(() => takeLock(lock)).toThrow(
      expect.objectContaining({
        code: 'LOCAL_START_FAILED',
        message: expect.stringContaining(`The lock ${lock} of a supervisor that is gone cannot be removed: `),
      }),
    );
    expect(existsSync(`${lock}.${process.pid}`)).toBe(false);
  });
});
