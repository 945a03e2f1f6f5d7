import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { openLogFiles } from './log-files.js';
import { alsoTo, loggerTo } from './logger.js';

describe('log files', () => {
  let folder: string;
  const faults: string[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-log-files-'));
    faults.length = 0;
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const open = (maxFileBytes: number, files: number) =>
    openLogFiles('loader', { folder, maxFileBytes, files }, ({ message }) => faults.push(message));
  const numbersOf = (kind: string): number[] =>
    readdirSync(folder)
      .map((name) => new RegExp(`^${kind}\\.(\\d+)\\.log$`).exec(name)?.[1])
      .filter((number) => number !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  it('LF4: each line is in its file at once, and errors are in a file of their own as well', async () => {
    const lines: string[] = [];
    const console = { write: (line: string) => void lines.push(line) };
    const logger = loggerTo(alsoTo(console, await open(1_000_000, 3)), 'loader', 'info');
    logger.debug('not logged');
    logger.info({ job: 'j' }, 'loading');
    logger.error('act');
    logger.fatal('ending');
    expect(read('loader.1.log')).toBe(lines.join(''));
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'loading',
      'act',
      'ending',
    ]);
    expect(read('loader-errors.1.log')).toBe(lines.slice(1).join(''));
    expect(statSync(join(folder, 'loader.1.log')).mode & 0o777).toBe(0o600);
  });

  it('LF3: files follow one another by size, and N of a kind stay, earlier processes’ included', async () => {
    for (const number of [1, 2, 3, 4]) writeFileSync(join(folder, `loader.${number}.log`), 'earlier\n');
    writeFileSync(join(folder, 'loader-errors.1.log'), 'another kind\n');
    const { all } = await open(1024, 3);
    const written: string[] = [];
    for (let n = 0; n < 40; n++) {
      const line = `${n} ${'x'.repeat(200)}\n`;
      all.write(line);
      written.push(line);
      // Files change between two turns of the event loop.
      await new Promise(setImmediate);
    }
    await eventually(() => numbersOf('loader').length === 3, 'three files');
    const kept = numbersOf('loader')
      .map((number) => read(`loader.${number}.log`))
      .join('');
    expect(kept.length).toBeGreaterThan(1024);
    expect(written.join('').endsWith(kept)).toBe(true);
    expect(read('loader-errors.1.log')).toBe('another kind\n');
  });

  it('LF1, LF2: a file that takes nothing costs nothing but its lines, and says so once', async () => {
    const { all } = await open(1024, 3);
    const kept = `${'x'.repeat(1200)}\n`;
    all.write(kept);
    // The next file cannot be made.
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    await eventually(() => {
      all.write(kept);
      return faults.length > 0;
    }, 'a fault');
    for (let n = 0; n < 200; n++) all.write(kept);
    await new Promise(setImmediate);
    expect(faults).toHaveLength(1);
  });

  it('a folder that cannot be written is a wrong setting, by its name', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(
      openLogFiles('loader', { folder: join(folder, 'file'), maxFileBytes: 1024, files: 2 }, () => undefined),
    ).rejects.toMatchObject({
      code: 'SETTING_INVALID',
      message: expect.stringContaining('SLUICE_LOG_FOLDER'),
    });
  });
});
