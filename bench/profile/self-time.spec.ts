import type { Profiler } from 'node:inspector';
import { describe, expect, it } from '@jest/globals';
import { beginProfile } from './cpu-profile.js';
import { selfTimeText, selfTimesOf } from './self-time.js';

function node(id: number, functionName: string, url = '', lineNumber = 0): Profiler.ProfileNode {
  return { id, callFrame: { functionName, scriptId: '0', url, lineNumber, columnNumber: 0 } };
}

describe('self time', () => {
  const profile: Profiler.Profile = {
    nodes: [
      node(1, '(idle)'),
      node(2, 'cut', 'file:///checkout/dist/cutter.js', 9),
      node(3, '', 'file:///checkout/dist/cutter.js', 19),
      node(4, '(garbage collector)'),
      node(5, 'writev'),
      // The same function, called from elsewhere.
      node(6, 'cut', 'file:///checkout/dist/cutter.js', 9),
    ],
    startTime: 0,
    endTime: 10_000_000,
    samples: [1, 2, 3, 4, 5, 6, 2],
    timeDeltas: [4_000_000, 1_000_000, 500_000, 250_000, 125_000, 2_000_000, 1_000_000],
  };

  it('adds up by function and by file, without waiting', () => {
    const times = selfTimesOf(profile, '/checkout');
    expect(times).toMatchObject({ wallSeconds: 10, busySeconds: 4.875 });
    expect(times.functions).toEqual([
      { place: 'cut  dist/cutter.js:10', seconds: 4 },
      { place: '(anonymous)  dist/cutter.js:20', seconds: 0.5 },
      { place: '(garbage collector)', seconds: 0.25 },
      { place: 'writev', seconds: 0.125 },
    ]);
    expect(times.files.map(({ place }) => place)).toEqual([
      'dist/cutter.js',
      '(garbage collector)',
      '(native)',
    ]);
  });

  it('is shown as two tables', () => {
    const text = selfTimeText('job-1-loader', selfTimesOf(profile, '/checkout'), 2);
    expect(text).toContain('job-1-loader: busy 4.9 s of 10.0 s');
    expect(text).toContain('  4.00  82.1  cut  dist/cutter.js:10\n');
    expect(text).not.toContain('writev');
  });

  it('is taken of a running process', () => {
    const running = beginProfile();
    const end = performance.now() + 50;
    while (performance.now() < end) JSON.stringify({ end });
    const { busySeconds, functions } = selfTimesOf(running.end(), '/');
    expect(busySeconds).toBeGreaterThan(0.02);
    expect(functions.length).toBeGreaterThan(0);
  });
});
