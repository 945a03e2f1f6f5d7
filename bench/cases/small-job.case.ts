import { join } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';
import { BARE, loaderIndexing, prepare } from '../baselines/baselines.js';
import { DATASET } from '../baselines/baseline-database.js';
import { writeCleaned } from '../baselines/cleaned-files.js';
import { writePublishedForm } from '../baselines/extract.js';
import { Psql } from '../baselines/psql.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import type { BenchSystem } from '../system/bench-system.js';
import { partsOf, untilTimesKnown } from '../system/job-times.js';
import { rotated } from './in-turns.js';
import { RegistrationSystem } from './registration-system.js';
import { assertSame, sumQuery } from './same-rows.js';
import { NEW_RECORDS, RECORDS, type SmallSource, plainly, smallSources } from './small-sources.js';
import { openClient } from '../system/open-client.js';

const SEED = 1;
const JOBS_A_ROUND = 10;
/** The first ones, which find neither plans nor pages in the servers' caches; not counted. */
const WARM_UP_JOBS = 5;

const VISIBLE = 'sluice, to visible';
const SEEN = 'sluice, to the follower';
const PLAIN = 'pg';

const RATIOS: readonly RatioQuestion[] = [
  { name: 'small job to pg, staging and INSERT ON CONFLICT', of: VISIBLE, to: PLAIN, target: null },
];

/** One job after the other on a system that has nothing else to do, into a table that is full. */
export const smallJob: BenchCase = {
  name: 'small-job',
  about: `jobs of ${RECORDS} records into a full table, beside the same statements on an open connection`,
  defaultRows: 200_000,
  async run(bench) {
    bench.say('making files');
    const warmUpJobs = bench.isTrial ? 1 : WARM_UP_JOBS;
    const jobs = warmUpJobs + bench.rounds * (bench.isTrial ? 1 : JOBS_A_ROUND);
    const table = join(bench.folder, 'table.csv');
    await writePublishedForm(table, { rows: bench.rows, seed: SEED, date: '01-SEP-26' });
    const next = join(bench.folder, 'next.csv');
    await writePublishedForm(next, {
      ...{ rows: bench.rows + jobs * NEW_RECORDS, seed: SEED, date: '02-SEP-26' },
    });
    const sources = await smallSources(bench.folder, next, bench.rows, jobs);
    const cleaned = await writeCleaned(table, bench.folder);
    const system = await bench.system();
    const place = new RegistrationSystem(system);
    await place.warmUp(bench);
    try {
      await place.clear();
      await place.load(table, { read: bench.rows });
      const definitions = await prepare(BARE, place.baselines);
      const psql = new Psql(place.baselines.url, bench.folder);
      await BARE.load({ psql, definitions, rawFile: table, cleaned, indexing: loaderIndexing() });
      await place.baselines.query('VACUUM');
      await system.database.query('VACUUM');
      const client = await openClient(place.baselines.url);
      try {
        const runs: Run[] = [];
        for (const [index, source] of sources.entries()) {
          const round = index + 1 - warmUpJobs;
          const turns = [
            async (): Promise<Run[]> => job(system, round, source),
            async (): Promise<Run[]> => [await plainly(client, PLAIN, round, source)],
          ];
          for (const turn of rotated(turns, index % turns.length)) {
            const measured = await turn();
            if (round > 0) runs.push(...measured);
          }
        }
        const sums = new Map<string, string>();
        const query = sumQuery(cleaned);
        assertSame(sums, VISIBLE, (await system.database.query<{ sum: string }>(query)).rows);
        assertSame(sums, PLAIN, await place.baselines.query<{ sum: string }>(query));
        return {
          ...{ name: 'small-job', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
          notes: [
            `Each job is an upsert of ${RECORDS} records, ${NEW_RECORDS} of them new, into ${bench.rows} rows; the median is the p50.`,
            'From the request to the last statement before COMMIT, by the database; to the follower: to the event that says so.',
            'pg has one open connection and cleaned rows: temporary tables, COPY, ANALYZE and INSERT ON CONFLICT in one transaction.',
            'Both tables hold the same rows afterwards, compared by their sums.',
          ],
        };
      } finally {
        await client.end();
      }
    } finally {
      await place.clear();
    }
  },
};

async function job(system: BenchSystem, round: number, { file }: SmallSource): Promise<Run[]> {
  const { client } = system;
  const { id } = await client.startJob({ dataset: DATASET, source: file, mode: 'upsert' });
  let seenAt = 0;
  let state = '';
  for await (const detail of client.jobEvents(id, AbortSignal.timeout(60_000))) {
    if (detail === undefined) continue;
    state = detail.state;
    if (seenAt === 0 && detail.finishedAt !== null) seenAt = Date.now();
  }
  if (state !== 'succeeded') throw new SluiceError('INTERNAL', `Job ${id} is ${state}.`);
  const times = await untilTimesKnown(system.database, id, seenAt);
  const parts = partsOf(times);
  const { 'until reported': reported = 0, ...untilVisible } = parts;
  const seconds = Object.values(untilVisible).reduce((sum, each) => sum + each, 0);
  return [
    { label: VISIBLE, round, rows: RECORDS, seconds, parts: untilVisible },
    { label: SEEN, round, rows: RECORDS, seconds: seconds + reported },
  ];
}
