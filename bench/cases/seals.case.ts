import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { SluiceError } from '#common/errors/sluice-error.js';
import { writeExtract } from '../baselines/extract.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import type { Environment } from '../system/bench-system.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { RegistrationSystem } from './registration-system.js';

const SEED = 1;
const SEALED = 'sealed';
const PLAIN = 'without seals';
/** The same runs, with the processor's seconds of the services in place of the clock's. */
const cpuOf = (label: string): string => `${label}, CPU`;

const RATIOS: readonly RatioQuestion[] = [
  { name: 'sealed to without seals', of: SEALED, to: PLAIN, target: 1.02 },
  {
    name: 'CPU of all processes, sealed to without seals',
    of: cpuOf(SEALED),
    to: cpuOf(PLAIN),
    target: 1.02,
  },
];

/** What the seals of raw and clean messages cost from file to table. */
export const seals: BenchCase = {
  name: 'seals',
  about: 'the whole way with sealed messages and with messages that have no seal',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making files');
    const file = join(bench.folder, 'source.csv');
    await writeExtract(file, { rows: bench.rows, seed: SEED });
    const noKey = join(bench.folder, 'no-key');
    writeFileSync(noKey, '');
    const system = await bench.system();
    const contestant = (label: string, environment: Environment): Contestant => ({
      label,
      measure: async () => {
        const isAsStarted = label === SEALED && bench.rounds === 1;
        if (!(bench.isTrial && isAsStarted)) await system.restart(environment);
        const place = new RegistrationSystem(system);
        await place.warmUp(bench);
        await place.clear();
        const { seconds, cpuSeconds, peakMb, report } = await place.load(file, { read: bench.rows });
        await assertSealed(system.database, report.job, label === SEALED);
        return { rows: bench.rows, seconds, cpuSeconds, peakMb };
      },
    });
    const measured = await measureInTurns(bench, [
      contestant(SEALED, {}),
      contestant(PLAIN, { SLUICE_MESSAGE_KEY_FILE: noKey }),
    ]);
    const runs = [...measured, ...measured.map(byCpu)];
    return {
      ...{ name: 'seals', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
      notes: [
        'Each measurement has a system of its own, which has loaded a small file before.',
        'The ingestor seals raw messages, the validator checks them and seals clean ones, the loader checks those.',
        'The lines with CPU give the CPU seconds of all processes in place of the clock’s.',
      ],
    };
  },
};

function byCpu({ label, cpuSeconds = {}, round, rows }: Run): Run {
  const seconds = Object.values(cpuSeconds).reduce((sum, each) => sum + each, 0);
  return { label: cpuOf(label), round, rows, seconds };
}

/** @throws SluiceError INTERNAL when what is measured is not what the label says */
async function assertSealed(database: pg.Client, job: string, wanted: boolean): Promise<void> {
  const { rows } = await database.query<{ signed: boolean }>('SELECT signed FROM sluice.job WHERE id = $1', [
    job,
  ]);
  if (rows[0]?.signed !== wanted)
    throw new SluiceError('INTERNAL', `The messages of job ${job} are ${wanted ? 'not ' : ''}sealed.`);
}
