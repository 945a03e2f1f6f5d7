import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LocalFolder } from './folders.js';
import { boundLog } from './log-file.js';
import { LogReader, showLogs } from './logs.js';

let folder: LocalFolder;
beforeEach(() => {
  folder = new LocalFolder(mkdtempSync(join(tmpdir(), 'sluice-logs-'))).make();
});
afterEach(() => {
  rmSync(folder.path, { recursive: true });
});

describe('bounding a log', () => {
  it('moves a long log aside and leaves a short one alone', () => {
    const file = folder.logOf('loader');
    writeFileSync(file, '123456');
    boundLog(file, 6);
    expect(readFileSync(file, 'utf8')).toBe('123456');
    expect(existsSync(`${file}.1`)).toBe(false);
    appendFileSync(file, '7');
    boundLog(file, 6);
    expect(readFileSync(file, 'utf8')).toBe('');
    expect(readFileSync(`${file}.1`, 'utf8')).toBe('1234567');
  });
});

describe('LogReader', () => {
  it('begins with whole lines of the end, and gives each line once', () => {
    const file = folder.logOf('loader');
    writeFileSync(file, 'first\nsecond\nthi');
    const reader = new LogReader(file, 12);
    expect(reader.lines()).toEqual(['second']);
    appendFileSync(file, 'rd 統\n');
    expect(reader.lines()).toEqual(['third 統']);
    expect(reader.lines()).toEqual([]);
  });

  it('continues with a log that was cut', () => {
    const file = folder.logOf('loader');
    writeFileSync(file, 'a long first line\n');
    const reader = new LogReader(file, 1_000);
    reader.lines();
    writeFileSync(file, 'new\n');
    expect(reader.lines()).toEqual(['new']);
  });
});

describe('showing logs', () => {
  const show = async (service?: string): Promise<string> => {
    const output = new PassThrough();
    await showLogs(folder, { service, follow: false, output, signal: new AbortController().signal });
    return (output.read() as Buffer | null)?.toString() ?? '';
  };

  it('puts the name before each line when it shows all', async () => {
    writeFileSync(folder.logOf('loader'), 'one\n');
    writeFileSync(folder.logOf('validator'), 'two\n');
    expect(await show()).toBe('loader    | one\nvalidator | two\n');
    expect(await show('validator')).toBe('two\n');
  });

  it('names the logs there are when asked for another', async () => {
    writeFileSync(folder.logOf('loader'), 'one\n');
    await expect(show('lodar')).rejects.toMatchObject({
      code: 'USAGE_INVALID',
      message: expect.stringContaining('loader'),
    });
  });

  it('follows until it is stopped', async () => {
    writeFileSync(folder.logOf('loader'), 'one\n');
    const output = new PassThrough();
    const stop = new AbortController();
    const showing = showLogs(folder, { service: 'loader', follow: true, output, signal: stop.signal });
    let seen = '';
    for await (const chunk of output) {
      seen += String(chunk);
      if (seen === 'one\n') appendFileSync(folder.logOf('loader'), 'two\n');
      if (seen.includes('two\n')) break;
    }
    stop.abort();
    await showing;
    expect(seen).toBe('one\ntwo\n');
  });
});
