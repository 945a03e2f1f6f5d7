import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { addedBytes, brokerBytes } from './broker-log.js';

describe('bytes of the broker', () => {
  it('are those of segments, by kind of topic', () => {
    const data = mkdtempSync(join(tmpdir(), 'sluice-log-'));
    const files: Readonly<Record<string, number>> = {
      'sluice.tax-registration.raw-0/00000000000000000000.log': 100,
      'sluice.tax-registration.raw-1/00000000000000000000.log': 20,
      'sluice.tax-registration.raw-1/00000000000000000007.log': 3,
      'sluice.tax-registration.raw-1/00000000000000000000.index': 10_000,
      'sluice.other.clean-12/00000000000000000000.log': 5,
      'sluice.status-0/00000000000000000000.log': 7,
      '__consumer_offsets-0/00000000000000000000.log': 10_000,
    };
    for (const [file, bytes] of Object.entries(files)) {
      mkdirSync(join(data, file, '..'), { recursive: true });
      writeFileSync(join(data, file), Buffer.alloc(bytes));
    }
    writeFileSync(join(data, 'meta.properties'), 'x');
    expect(brokerBytes(data)).toEqual({ raw: 123, clean: 5, status: 7 });
    rmSync(data, { recursive: true });
  });

  it('are reported where some were added', () => {
    expect(addedBytes({ raw: 10, clean: 5 }, { raw: 15, clean: 5, dead: 1 })).toEqual({ raw: 5, dead: 1 });
  });
});
