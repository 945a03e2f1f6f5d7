import { setTimeout as delay } from 'node:timers/promises';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { costOf } from '../system/cost.js';
import { withStream } from './stream-place.js';

const SECONDS_A_ROUND = 30;
/** What the table's load has left to be done. */
const SETTLING_MS = 15_000;

/** A stream whose inbox brings nothing: what its services take for that. */
export const streamIdle: BenchCase = {
  name: 'stream-idle',
  about: 'a running stream with an empty inbox: CPU seconds of each process, and no jobs',
  defaultRows: 50_000,
  async run(bench) {
    return withStream(bench, async ({ place: { system }, inbox }) => {
      await inbox.start({});
      const secondsARound = bench.isTrial ? 1 : SECONDS_A_ROUND;
      if (!bench.isTrial) await delay(SETTLING_MS);
      const newest = await inbox.newest();
      const runs: Run[] = [];
      for (let round = 1; round <= bench.rounds; round++) {
        const { seconds, cpuSeconds, peakMb } = await costOf(
          () => delay(secondsARound * 1000),
          system.processes,
        );
        runs.push({ label: 'idle stream', round, rows: 0, seconds, cpuSeconds, peakMb });
      }
      if ((await inbox.newest()) !== newest)
        throw new SluiceError('INTERNAL', 'An idle stream has made a job.');
      const services = runs.map(({ cpuSeconds = {} }) =>
        ['ingestor', 'validator', 'loader', 'tracker'].reduce(
          (sum, name) => sum + (cpuSeconds[name] ?? 0),
          0,
        ),
      );
      const share = (100 * services.reduce((sum, each) => sum + each, 0)) / (secondsARound * services.length);
      return {
        ...{ name: 'stream-idle', rows: bench.rows, runs, ratios: [] },
        notes: [
          `Ingestor, validator, loader and tracker together: ${share.toFixed(2)} % of a core.`,
          'No job was made.',
        ],
      };
    });
  },
};
