import { describe, expect, it } from '@jest/globals';
import { compareRatios } from './compare.js';
import { benchResult, caseResult } from '#test/support/bench-results.js';
import { caseText, comparisonText, resultText } from './tables.js';

describe('what people read of a result', () => {
  it('says where it was measured, and each case', () => {
    const text = resultText(benchResult({ dirty: true }));
    expect(text).toContain('2026-02-03T04:05:06.789Z, commit 0123456789abcdef, changed since');
    expect(text).toContain('2 cores (a processor), 8 GB, linux x64');
    expect(text).toContain('Kafka 4.3.0, psql 18.1, PostgreSQL 18.4');
    expect(text).toContain('  postgres.fsync = on\n');
    expect(text).toContain('## whole-way, 1,600,000 rows');
  });

  it('gives minimum, median and maximum of each label, and rows a second at the median', () => {
    expect(caseText(caseResult())).toContain(
      [
        'seconds of  rounds   min  median   max  rows/s',
        'psql             3  81.0    82.0  83.0  19,512',
        'sluice           3  21.0    22.0  23.0  72,727',
      ].join('\n'),
    );
  });

  it('says whether a target is reached, by the median', () => {
    const [ratio] = caseResult().ratios;
    const ratios = [ratio!, { ...ratio!, name: 'b', target: 0.26 }, { ...ratio!, name: 'c', target: null }];
    expect(caseText(caseResult({ ratios }))).toContain(
      [
        'ratio     min  median   max  target',
        'to psql  0.26    0.27  0.28  ≤ 0.30  reached',
        'b        0.26    0.27  0.28  ≤ 0.26  not reached',
        'c        0.26    0.27  0.28',
      ].join('\n'),
    );
  });

  it('gives the median of CPU seconds and bytes, and the largest peak', () => {
    const runs = [1, 2, 3].map((round) => ({
      ...{ label: 'sluice', round, rows: 1000, seconds: round, bytes: 4_000_000 },
      ...{ parts: { loading: round }, cpuSeconds: { loader: round }, peakMb: { loader: 100 + round } },
      brokerBytes: { raw: 1_000_000 * round },
    }));
    const other = { label: 'psql', round: 1, rows: 1000, seconds: 1 };
    const text = caseText(caseResult({ runs: [...runs, other], notes: ['Something to know.'] }));
    expect(text).toContain('rows/s  MB/s\n');
    expect(text).toMatch(/^sluice +3 +1\.00 +2\.00 +3\.00 +500 +2\.0$/m);
    expect(text).toContain('median seconds of sluice\nloading                   2.00\n');
    expect(text).toContain('CPU seconds  loader\nsluice          2.0\npsql\n');
    expect(text).toContain('peak MB  loader\nsluice      103\npsql\n');
    expect(text).toContain('broker bytes     raw\nsluice        2.0 MB\npsql\n');
    expect(text).toContain('- Something to know.\n');
  });
});

describe('what people read of a comparison', () => {
  const [ratio] = caseResult().ratios;
  const before = benchResult({ cases: [caseResult({ ratios: [{ ...ratio!, median: 0.2 }] })] });

  it('names what got worse', () => {
    const text = comparisonText(compareRatios(benchResult().cases, before));
    expect(text).toMatch(/^whole-way +to psql +0\.20 +0\.27 +\+35 % +WORSE$/m);
    expect(text).toContain('Worse by more than 15 %: whole-way, to psql.');
  });

  it('says when nothing did', () => {
    expect(comparisonText(compareRatios(before.cases, benchResult()))).toContain('No ratio got worse');
  });
});
