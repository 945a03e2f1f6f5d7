import { describe, expect, it } from '@jest/globals';
import { type ProcessStat, familyCpuSecondsOf, parseStat, parseStatusMb, statOf } from './proc.js';

describe('/proc', () => {
  it('gives CPU seconds, also of a process whose name holds anything', () => {
    const text =
      '4711 (post) gres: (x) S 42 4711 4711 0 -1 4194560 1 2 3 4 150 25 1000 234 20 0 1 0 99 1 1 18446744073709551615';
    expect(parseStat(text)).toEqual({
      pid: 4711,
      parent: 42,
      cpuSeconds: 1.75,
      endedChildrenCpuSeconds: 12.34,
    });
  });

  it('gives memory in MB', () => {
    const text =
      'Name:\tnode\nVmPeak:\t 999999 kB\nVmHWM:\t  262144 kB\nVmRSS:\t 1024 kB\nRssAnon:\t    1500 kB\n';
    expect(parseStatusMb(text, 'VmHWM')).toBe(256);
    expect(parseStatusMb(text, 'RssAnon')).toBe(1);
    expect(parseStatusMb('Name:\tkthreadd\n', 'VmHWM')).toBeUndefined();
  });

  it('knows nothing of a process that is not there', () => {
    expect(statOf(2 ** 22 + 1)).toBeUndefined();
  });
});

describe('familyCpuSecondsOf', () => {
  const stat = (pid: number, cpuSeconds: number, endedChildrenCpuSeconds = 0): ProcessStat => ({
    ...{ pid, parent: 1, cpuSeconds, endedChildrenCpuSeconds },
  });

  it('adds up the parent, its ended children and its living ones', () => {
    const children = (): ProcessStat[] => [stat(2, 0.5), stat(3, 0.25)];
    expect(familyCpuSecondsOf(1, { stat: () => stat(1, 1, 8), children })).toBe(9.75);
  });

  it('counts a child once that ends meanwhile', () => {
    // Looked at: alive with 2 s; then it has ended, and the parent has its 2 s.
    const parents = [stat(1, 1, 8), stat(1, 1, 10), stat(1, 1, 10)];
    const living = [[stat(2, 2)], []];
    const look = { stat: () => parents.shift(), children: () => living.shift() ?? [] };
    expect(familyCpuSecondsOf(1, look)).toBe(11);
  });

  it('gives up on a parent that has gone, and on one whose children never stop ending', () => {
    const gone = [stat(1, 1, 8), undefined];
    expect(familyCpuSecondsOf(1, { stat: () => gone.shift(), children: () => [] })).toBeUndefined();
    let ended = 0;
    expect(familyCpuSecondsOf(1, { stat: () => stat(1, 1, ended++), children: () => [] })).toBeUndefined();
  });
});
