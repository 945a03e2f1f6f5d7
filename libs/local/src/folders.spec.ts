import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { LocalFolder } from './folders.js';

const base = mkdtempSync(join(tmpdir(), 'sluice-folders-'));
afterAll(() => {
  rmSync(base, { recursive: true });
});

describe('the folder of a local system', () => {
  it('is made with the folders above it, and again without effect', () => {
    const folder = new LocalFolder(join(base, 'a', 'b'));
    folder.make().make();
    expect(existsSync(join(base, 'a', 'b', 'logs'))).toBe(true);
  });

  it.each([
    ['below a file', join(base, 'file', 'x')],
    ['where the system makes none', process.platform === 'linux' ? '/proc/x/y' : '/dev/null/x'],
  ])('is refused %s, naming the setting', (_, path) => {
    writeFileSync(join(base, 'file'), '');
    expect(() => new LocalFolder(path).make()).toThrow(
      /cannot be written to \(E[A-Z]+\): set SLUICE_LOCAL_FOLDER/,
    );
  });
});
