import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type ProcessState,
  emptyState,
  mixedText,
  readState,
  readStateFile,
  withLine,
  writeState,
} from './system-state.js';

describe('state file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-state-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('returns what was written, and no other user may read it', () => {
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
    ['no file', null, 'none'],
    ['half a file', '{"version":1,', 'unreadable'],
    ['an empty file', '', 'unreadable'],
    ['a file of another version', '{"version":2}', 'unreadable'],
    ['null', 'null', 'unreadable'],
    [
      'a state without processes',
      '{"version":1,"run":"r","phase":"ready","said":[],"ports":{}}',
      'unreadable',
    ],
  ])('%s is no state; an unreadable state is distinguished from none', (_, content, found) => {
    const file = join(folder, 'state.json');
    if (content !== null) writeFileSync(file, content);
    expect(readState(file)).toBeUndefined();
    expect(readStateFile(file).found).toBe(found);
  });

  it.each([
    ['is removed', null],
    ['is overwritten', '{"x":'],
  ])('is still known when the file %s: there is a copy', (_, content) => {
    const file = join(folder, 'state.json');
    const state = emptyState('run', { kafka: 20_001 });
    writeState(file, state);
    if (content === null) rmSync(file);
    else writeFileSync(file, content);
    expect(readState(file)).toEqual(state);
  });

  it('a state written before a field existed has its neutral value', () => {
    const file = join(folder, 'state.json');
    const { planned: _planned, build: _build, savedAt: _savedAt, ...older } = emptyState('run', {});
    writeFileSync(file, JSON.stringify(older));
    expect(readState(file)).toEqual({ ...older, planned: [], build: null, savedAt: 0 });
  });

  it('says which process is of another build than the rest', () => {
    const process = (name: string, build: string | null): ProcessState => ({
      ...{
        name,
        build,
        phase: 'ready',
        ref: null,
        port: 0,
        restarts: 0,
        problem: null,
        logFile: '',
        stopSteps: [],
      },
    });
    const same = [process('kafka', null), process('loader', 'one'), process('tracker', 'one')];
    expect(mixedText('one', same)).toBeNull();
    expect(mixedText(null, same)).toBeNull();
    expect(mixedText('one', [...same, process('validator', 'two')])).toMatch(
      /^validator \(two\) was started again from another build .*\(one\).*sluice restart/,
    );
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
