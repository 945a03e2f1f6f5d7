import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MERGE_WORK_MEM } from '../../apps/loader/src/finalize/merge-staged.js';
import { BARE, loaderIndexing, prepare } from '../baselines/baselines.js';
import { type CleanedFile, writeCleaned } from '../baselines/cleaned-files.js';
import { writePublishedForm } from '../baselines/extract.js';
import { Psql } from '../baselines/psql.js';
import { upsertWithPsql } from '../baselines/upsert.js';
import type { Bench, BenchCase } from '../bench-case.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { RegistrationSystem } from './registration-system.js';
import { assertSame, sumQuery } from './same-rows.js';

const SEED = 1;
const SLUICE = 'sluice';
const PSQL = 'psql-upsert';

const RATIOS: readonly RatioQuestion[] = [
  { name: 'upsert to psql, staging and INSERT ON CONFLICT', of: SLUICE, to: PSQL, target: 1 },
];

/** The next day's extract into full tables: every old row is updated, since its date is new, and a tenth is added. */
export const upsert: BenchCase = {
  name: 'upsert',
  about: 'the next extract into full tables, a tenth larger, beside psql with staging and INSERT ON CONFLICT',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making files');
    const first = await makeDay(bench, 'first', bench.rows, '01-SEP-26');
    const second = await makeDay(bench, 'second', Math.floor(bench.rows * 1.1), '02-SEP-26');
    const place = new RegistrationSystem(await bench.system());
    await place.warmUp(bench);
    const sums = new Map<string, string>();
    try {
      const runs = await measureInTurns(bench, [
        psql(bench, place, first, second, sums),
        sluice(place, first, second, sums),
      ]);
      return {
        ...{ name: 'upsert', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
        notes: [
          `Into ${first.rows} rows come ${second.rows}: every old row gets another date, and industries stay as they are.`,
          `psql loads cleaned rows into temporary tables and merges in one transaction, with work_mem ${MERGE_WORK_MEM}, as Sluice does.`,
          'Both begin with tables just loaded, indexed and vacuumed, and end with the same rows, compared by their sums.',
        ],
      };
    } finally {
      await place.clear();
    }
  },
};

interface Day {
  readonly file: string;
  readonly rows: number;
  readonly cleaned: readonly CleanedFile[];
}

async function makeDay({ folder }: Bench, name: string, rows: number, date: string): Promise<Day> {
  const own = join(folder, name);
  mkdirSync(own);
  const file = join(own, 'source.csv');
  await writePublishedForm(file, { rows, seed: SEED, date });
  return { file, rows, cleaned: await writeCleaned(file, own) };
}

function sluice(place: RegistrationSystem, first: Day, second: Day, sums: Map<string, string>): Contestant {
  return {
    label: SLUICE,
    measure: async () => {
      await place.clear();
      await place.load(first.file, { read: first.rows });
      const job = await place.load(second.file, { read: second.rows }, '--mode', 'upsert');
      const { seconds, parts, cpuSeconds, peakMb, brokerBytes } = job;
      const { rows: found } = await place.system.database.query<{ sum: string }>(sumQuery(second.cleaned));
      assertSame(sums, SLUICE, found);
      return { rows: second.rows, seconds, parts, cpuSeconds, peakMb, brokerBytes };
    },
  };
}

function psql(
  bench: Bench,
  place: RegistrationSystem,
  first: Day,
  second: Day,
  sums: Map<string, string>,
): Contestant {
  return {
    label: PSQL,
    measure: async () => {
      await place.clear();
      const definitions = await prepare(BARE, place.baselines);
      const client = new Psql(place.baselines.url, bench.folder);
      await BARE.load({
        ...{ psql: client, definitions, rawFile: first.file, cleaned: first.cleaned },
        indexing: loaderIndexing(),
      });
      await place.baselines.query('VACUUM');
      const { seconds, cpuSeconds, peakMb } = await place.system.measure(() =>
        upsertWithPsql(client, second.cleaned, MERGE_WORK_MEM),
      );
      assertSame(sums, PSQL, await place.baselines.query<{ sum: string }>(sumQuery(second.cleaned)));
      return { rows: second.rows, seconds, cpuSeconds, peakMb };
    },
  };
}
