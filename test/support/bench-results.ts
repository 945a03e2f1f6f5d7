import type { BenchResult, CaseResult } from '../../bench/report/result.js';

/** A small result of `npm run bench`, and one of its cases. */
export function caseResult(more: Partial<CaseResult> = {}): CaseResult {
  return {
    name: 'whole-way',
    rows: 1_600_000,
    runs: [1, 2, 3].flatMap((round) => [
      { label: 'psql', round, rows: 1_600_000, seconds: 80 + round },
      { label: 'sluice', round, rows: 1_600_000, seconds: 20 + round },
    ]),
    ratios: [{ name: 'to psql', of: 'sluice', to: 'psql', target: 0.3, min: 0.26, median: 0.27, max: 0.28 }],
    notes: [],
    ...more,
  };
}

export function benchResult(more: Partial<BenchResult> = {}): BenchResult {
  return {
    version: 1,
    at: '2026-02-03T04:05:06.789Z',
    commit: '0123456789abcdef',
    dirty: false,
    machine: { cores: 2, cpu: 'a processor', memoryGb: 8, platform: 'linux x64' },
    versions: { Node: '20.19.0', kafkajs: '2.2.4', Kafka: '4.3.0', psql: '18.1', PostgreSQL: '18.4' },
    settings: { 'postgres.fsync': 'on' },
    cases: [caseResult()],
    ...more,
  };
}
