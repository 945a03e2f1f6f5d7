import { join } from 'node:path';
import { writePublishedForm } from '../baselines/extract.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import type { Inbox } from '../system/inbox.js';
import { rotated } from './in-turns.js';
import { NEW_RECORDS, RECORDS, type SmallSource, plainly, smallSources } from './small-sources.js';
import { SEED, withStream } from './stream-place.js';

const JOBS_A_ROUND = 10;
/** The first ones are not counted. */
const WARM_UP_JOBS = 8;

const VISIBLE = 'sluice, batch closed to visible';
const PLAIN = 'pg';

const RATIOS: readonly RatioQuestion[] = [
  {
    name: 'small job of a stream to pg, staging and INSERT ON CONFLICT',
    of: VISIBLE,
    to: PLAIN,
    target: null,
  },
];

/** One batch of messages after the other, through a stream that has nothing else to do. */
export const streamSmallJob: BenchCase = {
  name: 'stream-small-job',
  about: `batches of ${RECORDS} messages through a stream into a full table, beside the same statements on an open connection`,
  defaultRows: 200_000,
  async run(bench) {
    const warmUpJobs = bench.isTrial ? 1 : WARM_UP_JOBS;
    const jobs = warmUpJobs + bench.rounds * (bench.isTrial ? 1 : JOBS_A_ROUND);
    const next = join(bench.folder, 'next.csv');
    await writePublishedForm(next, { rows: bench.rows + jobs * NEW_RECORDS, seed: SEED, date: '02-SEP-26' });
    const sources = await smallSources(bench.folder, next, bench.rows, jobs);
    return withStream(bench, async ({ inbox, plain }) => {
      // Closed by their number as soon as they are read.
      await inbox.start({ maxRecords: RECORDS, maxMs: 10_000 });
      const runs: Run[] = [];
      for (const [index, source] of sources.entries()) {
        const round = index + 1 - warmUpJobs;
        const turns = [
          (): Promise<Run> => streamed(inbox, round, source),
          (): Promise<Run> => plainly(plain, PLAIN, round, source),
        ];
        for (const turn of rotated(turns, index % turns.length)) {
          const measured = await turn();
          if (round > 0) runs.push(measured);
        }
      }
      return {
        ...{ name: 'stream-small-job', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
        notes: [
          `Each batch is an upsert of ${RECORDS} records, ${NEW_RECORDS} of them new, into ${bench.rows} rows; the median is the p50.`,
          'From the transaction that writes the job’s row, which a batch begins as it is closed, to the last statement before COMMIT.',
          'pg has one open connection and cleaned rows: temporary tables, COPY, ANALYZE and INSERT ON CONFLICT in one transaction.',
        ],
      };
    });
  },
};

async function streamed(inbox: Inbox, round: number, { lines, columns }: SmallSource): Promise<Run> {
  const before = await inbox.newest();
  await inbox.produce(lines, columns);
  const [job] = await inbox.succeeded(before, 1);
  const seconds = ((job?.visibleAt ?? NaN) - (job?.createdAt ?? NaN)) / 1000;
  return { label: VISIBLE, round, rows: RECORDS, seconds };
}
