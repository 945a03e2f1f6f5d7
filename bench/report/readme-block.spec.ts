import { describe, expect, it } from '@jest/globals';
import { readmeBlock, resultForReadme, withBlock } from './readme-block.js';
import { benchResult, caseResult } from '#test/support/bench-results.js';

describe('the figures of the README', () => {
  it('come from the newest result that holds `whole-way` at its own rows', () => {
    const quick = benchResult({ commit: 'quick', cases: [caseResult({ rows: 2000 })] });
    const other = benchResult({ commit: 'other', cases: [caseResult({ name: 'stages' })] });
    const [newer, older] = [benchResult({ commit: 'newer' }), benchResult({ commit: 'older' })];
    expect(resultForReadme([quick, other, newer, older], 1_600_000)?.commit).toBe('newer');
    expect(resultForReadme([quick, other], 1_600_000)).toBeUndefined();
  });

  it('say so while there is none', () => {
    expect(readmeBlock(undefined)).toContain('No result is stored yet');
  });

  it('are all ratios of `whole-way`, and those of other cases that have a target', () => {
    const [ratio] = caseResult().ratios;
    const stages = caseResult({ name: 'stages', ratios: [{ ...ratio!, name: 'of a stage', target: null }] });
    const upsert = caseResult({
      name: 'upsert',
      rows: 400_000,
      ratios: [{ ...ratio!, name: 'upsert', target: 0.2 }],
    });
    const wholeWay = caseResult({ ratios: [ratio!, { ...ratio!, name: 'without a target', target: null }] });
    const block = readmeBlock(benchResult({ cases: [stages, wholeWay, upsert] }));
    expect(block.split('\n').slice(0, 5)).toEqual([
      '| ratio            | rows      | median | range       | target              |',
      '| ---------------- | --------- | ------ | ----------- | ------------------- |',
      '| to psql          | 1,600,000 | 0.27   | 0.26 – 0.28 | ≤ 0.30, reached     |',
      '| without a target | 1,600,000 | 0.27   | 0.26 – 0.28 |                     |',
      '| upsert           | 400,000   | 0.27   | 0.26 – 0.28 | ≤ 0.20, not reached |',
    ]);
    expect(block).toContain(
      'Measured on 2026-02-03 at commit 0123456: 2 cores, 8 GB, Node 20.19.0, Kafka 4.3.0, PostgreSQL 18.4, psql 18.1; 3 rounds in turns.',
    );
  });

  it('replace what stood there, and nothing else', () => {
    const page = 'before\n\n<!-- bench -->\n\nold\n\n<!-- /bench -->\n\nafter\n';
    expect(withBlock(page, 'new\n')).toBe('before\n\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\n\nafter\n');
    expect(() => withBlock('nothing', 'new')).toThrow('has no <!-- bench -->');
  });
});
