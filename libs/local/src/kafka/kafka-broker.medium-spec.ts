import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PortChooser } from '../free-ports.js';
import { type StartedProcess, startProcess, stopProcess, waitUntilReady } from '../start-process.js';
import { planKafka } from './kafka-broker.js';

describe('a broker in a folder of any name', () => {
  const before = { ...process.env };
  let parent: string;
  let started: StartedProcess | undefined;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'sluice-broker-'));
    process.env['LANG'] = 'C';
    process.env['LC_ALL'] = 'C';
  });
  afterEach(async () => {
    if (started !== undefined) await stopProcess(started.plan, started.ref);
    process.env = { ...before };
    rmSync(parent, { recursive: true, force: true });
  });

  it('BK1, BK2, BK3: blanks, comma, colon, umlaut, Chinese, a backslash, under LANG=C; closed to others', async () => {
    const folder = join(parent, 'für uns, 资料:\\x', 'kafka');
    mkdirSync(folder, { recursive: true });
    const ports = new PortChooser();
    const plan = await planKafka({
      folder,
      logFile: join(parent, 'kafka.log'),
      port: await ports.choose(),
      controllerPort: await ports.choose(),
      heapMb: 256,
    });
    started = await startProcess(plan);
    await waitUntilReady(started, 110_000);
    expect(existsSync(join(folder, 'data', 'meta.properties'))).toBe(true);
    // Nothing beside it: neither a folder of half the name, nor one of its characters misread.
    expect(readdirSync(parent).sort()).toEqual(['für uns, 资料:\\x', 'kafka.log']);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});
