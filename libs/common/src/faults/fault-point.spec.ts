import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { faultPoint, watchFaultPoints } from './fault-point.js';

describe('a fault point', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
  });

  afterEach(() => {
    watchFaultPoints('');
    rmSync(folder, { recursive: true });
  });

  it('is without effect until its file is there, and then acts once', () => {
    watchFaultPoints(folder);
    faultPoint('loader.committed');
    writeFileSync(join(folder, 'loader.committed'), 'throw');
    faultPoint('loader.announced');
    expect(() => {
      faultPoint('loader.committed');
    }).toThrow('fault point loader.committed');
    faultPoint('loader.committed');
    expect(readdirSync(folder)).toEqual([`loader.committed.hit-${process.pid}`]);
  });

  it('is without effect when no folder is named', () => {
    writeFileSync(join(folder, 'loader.committed'), 'throw');
    watchFaultPoints('');
    faultPoint('loader.committed');
    expect(existsSync(join(folder, 'loader.committed'))).toBe(true);
  });
});
