import { describe, expect, it } from '@jest/globals';
import { FAULT_POINTS, STREAM_FAULT_POINTS } from '#common/faults/fault-point.js';
import {
  type Fault,
  type RoundPlan,
  SERVERS,
  SERVICES,
  SOURCE_KINDS,
  isPassed,
  planRound,
  planSystem,
} from './chaos-plan.js';
import { faultText } from './chaos-words.js';

const ROUNDS = 800;
const rounds = (seed: number, count = ROUNDS): RoundPlan[] =>
  Array.from({ length: count }, (_, round) => planRound(seed, round));
const faultsOf = ({ steps }: RoundPlan): Fault[] => steps.flatMap(({ faults }) => faults);

describe('the plan of a chaos run', () => {
  it('CP1: a function of seed and round alone', () => {
    expect(rounds(7)).toEqual(rounds(7));
    expect(planRound(7, 39)).toEqual(rounds(7).at(39));
    expect(planSystem(7, 3)).toEqual(planSystem(7, 3));
    expect(rounds(8, 5)).not.toEqual(rounds(7, 5));
  });

  it('CP1: as it was when it was written down, so that a seed in a report keeps its meaning', () => {
    expect(planRound(1, 8)).toEqual({
      round: 8,
      mode: 'upsert',
      source: 'http',
      file: { rows: 5_886, contentSeed: expect.any(Number), firstKey: expect.any(Number) },
      steps: [
        {
          at: { loadedShare: 0.5 },
          faults: [
            { kind: 'point', point: 'finalizer.visible', action: 'kill' },
            { kind: 'stall', process: 'loader' },
          ],
        },
        {
          at: 'finalizing',
          faults: [
            { kind: 'fill disk', service: 'validator' },
            { kind: 'kill', process: 'ingestor' },
            { kind: 'kill', process: 'validator-2' },
          ],
        },
      ],
      beside: { kind: 'point', point: 'stream.job-row-written', action: 'stall' },
    });
  });

  it('CP2: every fault at every process and point, every mode, source and number of partitions comes up', () => {
    const all = rounds(1);
    const texts = new Set(all.flatMap((plan) => [...faultsOf(plan), plan.beside]).map(faultText));
    const wanted = [
      ...[...SERVICES, ...SERVERS].map((name) => `kill ${name}`),
      ...SERVICES.flatMap((name) => [`terminate ${name}`, `stall ${name}`]),
      ...[...FAULT_POINTS, ...STREAM_FAULT_POINTS].flatMap((point) => [
        `kill at ${point}`,
        `stall at ${point}`,
      ]),
      ...['raw', 'clean', 'dead'].map((topic) => `send ${topic} messages again`),
      ...['ingestor', 'validator', 'loader'].map((service) => `lose answers to ${service}`),
      'cut connections',
      'break source',
      'fail source and resume',
      'pause and continue',
      'cancel and start again',
      ...['raw', 'clean', 'dead'].flatMap((topic) => [
        `grow partitions of ${topic}`,
        ...['gzip', 'snappy', 'lz4', 'zstd'].map((codec) => `compress ${topic} with ${codec}`),
      ]),
      ...['raw', 'clean', 'dead', 'status'].map((topic) => `send poison to ${topic}`),
      ...['raw', 'clean'].map((topic) => `lose the tail of ${topic}`),
      ...SERVICES.map((name) => `fill the disk under ${name}`),
      'write beside',
      'roll services',
    ];
    expect([...texts].sort()).toEqual(wanted.sort());
    expect(new Set(all.map(({ mode }) => mode))).toEqual(new Set(['replace', 'append', 'upsert']));
    expect(new Set(all.map(({ source }) => source))).toEqual(new Set(SOURCE_KINDS));
    const partitions = Array.from({ length: 40 }, (_, number) => planSystem(1, number).partitions);
    expect(new Set(partitions)).toEqual(new Set([1, 2, 3, 4, 5]));
  });

  it('CP3: faults only where they can happen, moments in order, files of the promised size', () => {
    for (const plan of rounds(2)) {
      const faults = faultsOf(plan);
      expect(faults.length).toBeGreaterThanOrEqual(2);
      for (const fault of faults) {
        if (fault.kind === 'point') expect(isPassed(fault.point, plan.mode)).toBe(true);
        if (fault.kind.includes('source')) expect(plan.source).toMatch(/^http/);
      }
      const order = plan.steps.map(({ at }) =>
        at === 'start' ? 0 : at === 'finalizing' ? 1 : at.loadedShare,
      );
      expect(order).toEqual([...order].sort((a, b) => a - b));
      expect(plan.file.rows).toBeGreaterThanOrEqual(2_000);
      expect(plan.file.rows).toBeLessThanOrEqual(8_000);
    }
  });
});
