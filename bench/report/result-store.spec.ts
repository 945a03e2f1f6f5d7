import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { benchResult } from '#test/support/bench-results.js';
import { fileNameOf, readResult, storeResult, storedResults } from './result-store.js';

describe('stored results', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-results-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('come back as they were, and leave nothing beside', () => {
    const file = join(folder, 'new', fileNameOf(benchResult().at));
    storeResult(file, benchResult());
    expect(readResult(file)).toEqual(benchResult());
    expect(readdirSync(join(folder, 'new'))).toEqual(['2026-02-03T04-05-06Z.json']);
  });

  it('are listed with the newest first, without those of folders below', () => {
    for (const at of ['2026-01-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z', '2026-02-01T00:00:00.000Z']) {
      storeResult(join(folder, fileNameOf(at)), benchResult({ at }));
    }
    mkdirSync(join(folder, 'local'));
    storeResult(join(folder, 'local', 'later.json'), benchResult({ at: '2026-04-01T00:00:00.000Z' }));
    expect(storedResults(folder).map(({ at }) => at.slice(5, 7))).toEqual(['03', '02', '01']);
    expect(storedResults(join(folder, 'none'))).toEqual([]);
  });

  it.each([
    ['no file', undefined, 'cannot be read'],
    ['half a file', '{"version":1', 'cannot be read'],
    ['something else', '{"name":"sluice"}', 'is not a result'],
    ['nothing', 'null', 'is not a result'],
  ])('%s is refused', (_, content, reason) => {
    const file = join(folder, 'x.json');
    if (content !== undefined) writeFileSync(file, content);
    expect(() => readResult(file)).toThrow(reason);
  });
});
