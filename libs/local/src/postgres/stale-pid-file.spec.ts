import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { removeStalePidFile } from './stale-pid-file.js';

describe('removeStalePidFile', () => {
  let data: string;
  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), 'sluice-pid-'));
  });
  afterEach(() => {
    rmSync(data, { recursive: true });
  });
  const isThereAfter = (content: string): boolean => {
    writeFileSync(join(data, 'postmaster.pid'), content);
    removeStalePidFile(data);
    return existsSync(join(data, 'postmaster.pid'));
  };

  it.each([
    ['another program has the pid by now', `${process.pid}\n/data\n`],
    ['no process has the pid', '99999999\n/data\n'],
    ['it holds no pid', ''],
  ])('removes it when %s', (_, content) => {
    expect(isThereAfter(content)).toBe(false);
  });

  it('leaves it alone when a postgres has the pid', async () => {
    const postgres = join(data, 'postgres');
    copyFileSync('/bin/sleep', postgres);
    const child = spawn(postgres, ['60']);
    await once(child, 'spawn');
    try {
      expect(isThereAfter(`${child.pid ?? 0}\n/data\n`)).toBe(true);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('says nothing when there is none', () => {
    expect(() => {
      removeStalePidFile(data);
    }).not.toThrow();
  });
});
