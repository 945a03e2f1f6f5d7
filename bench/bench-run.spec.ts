import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { benchResult, caseResult } from '#test/support/bench-results.js';
import type { Bench, BenchCase } from './bench-case.js';
import { type BenchRunOptions, runBench } from './bench-run.js';

const facts = benchResult();

function aCase(name: string, run: (bench: Bench) => unknown): BenchCase {
  return {
    name,
    about: '',
    defaultRows: 10,
    run: async (bench) => {
      await run(bench);
      return caseResult({ name, rows: 7 });
    },
  };
}

function start(cases: readonly BenchCase[], more: Partial<BenchRunOptions> = {}) {
  const said: string[] = [];
  const after: string[] = [];
  const running = runBench(facts, {
    ...{ cases, rows: undefined, rounds: 2, signal: new AbortController().signal },
    say: (line) => said.push(line),
    onCase: (result, newest) => {
      after.push(`${newest.name} of ${result.cases.map(({ name }) => name).join('+')}`);
    },
    ...more,
  });
  return { running, said, after };
}

describe('a run of the bench', () => {
  it('gives each case its rows, the rounds and a folder that goes afterwards', async () => {
    const seen: Bench[] = [];
    const look = (bench: Bench): void => {
      writeFileSync(join(bench.folder, 'file'), '');
      // PostgreSQL's user has to get in.
      expect(statSync(bench.folder).mode & 0o755).toBe(0o755);
      seen.push(bench);
    };
    const { running } = start([aCase('a', look)]);
    const { result, failures } = await running;
    await start([aCase('a', look)], { rows: 3 }).running;
    expect(seen.map(({ rows, rounds }) => [rows, rounds])).toEqual([
      [10, 2],
      [3, 2],
    ]);
    expect(seen.filter(({ folder }) => existsSync(folder))).toEqual([]);
    expect(result.cases.map(({ name, rows }) => [name, rows])).toEqual([['a', 10]]);
    expect(failures).toEqual([]);
  });

  it('calls it a trial when a case gets a twentieth of its own rows, or fewer', async () => {
    const seen: boolean[] = [];
    const cases = [{ ...aCase('a', ({ isTrial }) => seen.push(isTrial)), defaultRows: 1_000 }];
    for (const rows of [undefined, 51, 50]) await start(cases, { rows }).running;
    expect(seen).toEqual([false, false, true]);
  });

  it('reports what is known after each case', async () => {
    const { running, after } = start([aCase('a', () => 0), aCase('b', () => 0)]);
    await running;
    expect(after).toEqual(['a of a', 'b of a+b']);
  });

  it('BR1: continues after a case that fails', async () => {
    const fails = (): void => {
      throw new RangeError('too few');
    };
    const { running, said } = start([aCase('a', fails), aCase('b', () => 0)]);
    const { result, failures } = await running;
    expect(result.cases.map(({ name }) => name)).toEqual(['b']);
    expect(failures).toEqual(['a: too few']);
    expect(said.join('\n')).toContain('a broke off: RangeError: too few');
  });

  it('BR3: ends at once when it is stopped, and leaves nothing behind', async () => {
    const stop = new AbortController();
    let folder = '';
    const waits = (bench: Bench): Promise<void> => {
      folder = bench.folder;
      stop.abort(new RangeError('Ctrl-C'));
      return new Promise(() => undefined);
    };
    const { running, after } = start([aCase('a', () => 0), aCase('b', waits), aCase('c', () => 0)], {
      signal: stop.signal,
    });
    await expect(running).rejects.toThrow('Ctrl-C');
    expect(after).toEqual(['a of a']);
    expect(existsSync(folder)).toBe(false);
  });
});
