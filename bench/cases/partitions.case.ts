import { join } from 'node:path';
import { writeExtract } from '../baselines/extract.js';
import type { BenchCase } from '../bench-case.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { RegistrationSystem } from './registration-system.js';

const SEED = 1;

interface Layout {
  readonly partitions: number;
  /** Of validators, and of loaders. */
  readonly instances: number;
}

const LAYOUTS: readonly Layout[] = [
  ...[1, 2, 4, 8].map((partitions) => ({ partitions, instances: 1 })),
  ...[2, 4].map((partitions) => ({ partitions, instances: 2 })),
];

const labelOf = ({ partitions, instances }: Layout): string =>
  `${partitions} partition${partitions === 1 ? '' : 's'}, ${instances} + ${instances}`;
const REFERENCE = labelOf({ partitions: 1, instances: 1 });

const RATIOS: readonly RatioQuestion[] = LAYOUTS.map(labelOf)
  .filter((label) => label !== REFERENCE)
  .map((label) => ({ name: `${label} to ${REFERENCE}`, of: label, to: REFERENCE, target: null }));

/** What more partitions, and more validators and loaders, bring on one machine. */
export const partitions: BenchCase = {
  name: 'partitions',
  about: '1, 2, 4 and 8 partitions with one validator and one loader, 2 and 4 with two of each',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making files');
    const file = join(bench.folder, 'source.csv');
    await writeExtract(file, { rows: bench.rows, seed: SEED });
    const system = await bench.system();
    const contestant = (layout: Layout): Contestant => ({
      label: labelOf(layout),
      measure: async () => {
        await system.restart({
          SLUICE_TOPIC_PARTITIONS: String(layout.partitions),
          SLUICE_VALIDATORS: String(layout.instances),
          SLUICE_LOADERS: String(layout.instances),
        });
        const place = new RegistrationSystem(system);
        await place.warmUp(bench);
        await place.clear();
        const { seconds, parts, cpuSeconds, peakMb, brokerBytes } = await place.load(file, {
          read: bench.rows,
        });
        return { rows: bench.rows, seconds, parts, cpuSeconds, peakMb, brokerBytes };
      },
    });
    const runs = await measureInTurns(bench, LAYOUTS.map(contestant));
    return {
      ...{ name: 'partitions', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
      notes: [
        'Each measurement has a system of its own, which has loaded a small file before.',
        'Labels give the partitions of each topic, then validators + loaders.',
      ],
    };
  },
};
