import { statSync } from 'node:fs';
import { join } from 'node:path';
import { writeExtract } from '../baselines/extract.js';
import type { BenchCase } from '../bench-case.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { LetterWatch } from './letter-watch.js';
import { RegistrationSystem } from './registration-system.js';

const SEED = 1;
const CLEAN = 'clean';
const REFUSED = 'refused';
/** Only half of the generator's defects refuse a record; of this share of defects a fifth of all records is refused. */
const DEFECT_SHARE = 0.39;

const RATIOS: readonly RatioQuestion[] = [
  { name: '20 % refused to none, until the rows are visible', of: REFUSED, to: CLEAN, target: 1.3 },
];

/** What refused records cost those that are not. */
export const refused: BenchCase = {
  name: 'refused',
  about: 'a file of which a fifth is refused, beside a clean one: seconds until the rows are visible',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making files');
    const files = { [CLEAN]: join(bench.folder, 'clean.csv'), [REFUSED]: join(bench.folder, 'refused.csv') };
    await writeExtract(files[CLEAN], { rows: bench.rows, seed: SEED, defectShare: 0, repeatShare: 0 });
    await writeExtract(files[REFUSED], { rows: bench.rows, seed: SEED, defectShare: DEFECT_SHARE });
    const place = new RegistrationSystem(await bench.system());
    await place.warmUp(bench);
    const shares: string[] = [];
    const contestant = (label: keyof typeof files): Contestant => ({
      label,
      measure: async () => {
        await place.clear();
        const watch = new LetterWatch(place.system.databaseUrl);
        const job = await place
          .load(files[label], { read: bench.rows }, '--max-refused', '50%')
          .finally(() => watch.stop());
        const { read, refused: letters } = job.report.counts;
        if (label === REFUSED) shares.push(((100 * letters) / read).toFixed(1));
        const { createdAt, visibleAt } = job.times;
        const indexedAt = Math.max(visibleAt, watch.indexedAt(job.report.job, letters));
        return {
          ...{ rows: bench.rows, bytes: statSync(files[label]).size, seconds: job.visibleSeconds },
          parts: {
            'until visible': job.visibleSeconds,
            'then until all dead letters are indexed': (indexedAt - visibleAt) / 1000,
            'from the request to the report': (job.times.reportedAt - createdAt) / 1000,
          },
          ...{ cpuSeconds: job.cpuSeconds, peakMb: job.peakMb, brokerBytes: job.brokerBytes },
        };
      },
    });
    const runs = await measureInTurns(bench, [contestant(CLEAN), contestant(REFUSED)]);
    return {
      ...{ name: 'refused', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
      notes: [
        'Seconds go from the request until the rows are visible; the parts do not add up to them.',
        `${shares[0] ?? '?'} % of the records were refused, each with a dead letter that gives its reasons.`,
        'The file with refused records is larger than the clean one: some of its defects and oddities are long fields.',
      ],
    };
  },
};
