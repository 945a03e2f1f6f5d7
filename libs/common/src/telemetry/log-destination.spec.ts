import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { logDestination } from './log-destination.js';
import { loggerTo } from './logger.js';

describe('logDestination', () => {
  let folder: string;
  let file: string;
  const descriptors: number[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-log-'));
    file = join(folder, 'log');
    writeFileSync(file, '');
  });
  afterEach(() => {
    for (const descriptor of descriptors.splice(0)) closeSync(descriptor);
    rmSync(folder, { recursive: true });
  });

  /** Refuses every write, as a full disk does. */
  const failing = (): number => {
    const descriptor = openSync(file, 'r');
    descriptors.push(descriptor);
    return descriptor;
  };

  /** From now on the descriptor is of a file that takes everything: the system gives the lowest number that is free. */
  const mend = (descriptor: number): void => {
    closeSync(descriptor);
    descriptors.splice(descriptors.indexOf(descriptor), 1);
    for (let next = -1; next !== descriptor;) descriptors.push((next = openSync(file, 'a')));
  };

  it('LG1: a destination that fails throws nothing and ends nothing', () => {
    const log = logDestination(failing());
    const logger = loggerTo(log, 'loader', 'info');
    for (let line = 0; line < 10; line++) logger.fatal('cannot be written');
    expect(log.losses()).toEqual({ droppedLines: 0, fault: 'EBADF' });
  });

  it('LG2, LG3: keeps 64 KiB, counts what is beyond, and resumes when it can', async () => {
    const descriptor = failing();
    const log = logDestination(descriptor);
    const recovered: number[] = [];
    log.onRecovered = (dropped) => recovered.push(dropped);
    const line = `${'x'.repeat(1023)}\n`;
    for (let sent = 0; sent < 100; sent++) log.write(line);
    expect(log.losses()).toEqual({ droppedLines: 36, fault: 'EBADF' });
    mend(descriptor);
    log.write('after\n');
    expect(readFileSync(file, 'utf8')).toBe(`${line.repeat(64)}after\n`);
    expect(log.losses()).toEqual({ droppedLines: 36, fault: null });
    await new Promise(setImmediate);
    expect(recovered).toEqual([36]);
  });

  it('LG1: a pipe that is not read holds a line up for a moment only', () => {
    // Both ends of a FIFO, not blocking: it takes 64 KiB, and nothing of it is ever read.
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const descriptor = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    descriptors.push(descriptor);
    const log = logDestination(descriptor);
    for (let sent = 0; sent < 200; sent++) log.write(`${'x'.repeat(1023)}\n`);
    expect(log.losses().fault).toBe('EAGAIN');
    expect(log.losses().droppedLines).toBeGreaterThanOrEqual(200 - 64 - 64);
  });

  it('LG4: writes whole lines in order', () => {
    const descriptor = openSync(file, 'a');
    descriptors.push(descriptor);
    const log = logDestination(descriptor);
    for (const line of ['first ü\n', `${'x'.repeat(100_000)}\n`, 'last\n']) log.write(line);
    expect(readFileSync(file, 'utf8')).toBe(`first ü\n${'x'.repeat(100_000)}\nlast\n`);
  });

  it('LG3: resumes also when nothing had to be dropped', async () => {
    const descriptor = failing();
    const log = logDestination(descriptor);
    const recovered: number[] = [];
    log.onRecovered = (dropped) => recovered.push(dropped);
    log.write('one\n');
    mend(descriptor);
    log.write('two\n');
    expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n');
    await new Promise(setImmediate);
    expect(recovered).toEqual([0]);
  });
});
