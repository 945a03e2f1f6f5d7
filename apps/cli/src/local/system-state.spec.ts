import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyState, readState, withLine, writeState } from './system-state.js';

describe('state file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-state-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('gives back what was written, and nobody else may read it', () => {
    const file = join(folder, 'state.json');
    const state = {
      ...emptyState('run', { kafka: 20_001 }),
      databaseUrl: 'postgres://sluice:secret@127.0.0.1:1/sluice',
    };
    writeState(file, state);
    expect(readState(file)).toEqual(state);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['no file', null],
    ['half a file', '{"version":1,'],
    ['a file of another version', '{"version":2}'],
  ])('%s counts as none', (_, content) => {
    const file = join(folder, 'state.json');
    if (content !== null) writeFileSync(file, content);
    expect(readState(file)).toBeUndefined();
  });

  it('keeps the last 200 lines and counts the others', () => {
    let state = emptyState('run', {});
    for (let line = 0; line < 203; line++) state = withLine(state, String(line));
    expect(state.dropped).toBe(3);
    expect(state.said).toHaveLength(200);
    expect(state.said[0]).toBe('3');
    expect(state.said.at(-1)).toBe('202');
  });
});
