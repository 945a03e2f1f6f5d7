import { spawnSync } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '#test/support/eventually.js';
import { costOf } from './cost.js';

/** Real seconds of CPU, so a machine that is busy makes the work longer and not the figures wrong. */
function burnCpu(seconds: number): void {
  const before = process.cpuUsage().user;
  while (process.cpuUsage().user - before < seconds * 1e6) Math.sqrt(before);
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

describe('costOf', () => {
  it('reports what this process has used, and waits for the work', async () => {
    const { result, seconds, cpuSeconds } = await costOf(async () => {
      burnCpu(0.2);
      return Promise.resolve('done');
    });
    expect(result).toBe('done');
    expect(cpuSeconds['bench']).toBeGreaterThanOrEqual(0.19);
    expect(seconds).toBeGreaterThanOrEqual(0.15);
  });

  it('does not report what was used before', async () => {
    burnCpu(0.2);
    const { cpuSeconds } = await costOf(() => undefined);
    expect(cpuSeconds['bench']).toBeLessThan(0.15);
  });

  const onLinux = process.platform === 'linux' ? it : it.skip;

  onLinux('tells what children have used that have ended', async () => {
    const script =
      'const end = process.cpuUsage().user + 2e5; while (process.cpuUsage().user < end) Math.sqrt(end);';
    const { cpuSeconds } = await costOf(() => spawnSync(process.execPath, ['-e', script]));
    expect(cpuSeconds['client']).toBeGreaterThanOrEqual(0.15);
  });

  onLinux('tells the peak of this work only', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const large = await costOf(() => Buffer.alloc(150 * 2 ** 20, 1).length);
    // The buffer would stay until the room is needed.
    collectGarbage();
    await eventually(() => process.memoryUsage().arrayBuffers < before + 50 * 2 ** 20, 'the buffer to go');
    const small = await costOf(() => undefined);
    expect(large.peakMb['bench']).toBeGreaterThan((small.peakMb['bench'] ?? 0) + 100);
  });
});
