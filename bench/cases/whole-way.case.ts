import { join } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';
import {
  BASELINES,
  type Baseline,
  BARE,
  CLEANING,
  EVERYTHING,
  INDEXED,
  loaderIndexing,
  prepare,
} from '../baselines/baselines.js';
import { type CleanedFile, writeCleaned } from '../baselines/cleaned-files.js';
import { writeExtract, writePublishedForm } from '../baselines/extract.js';
import { Psql } from '../baselines/psql.js';
import type { Bench, BenchCase } from '../bench-case.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import type { MeasuredJob } from '../system/bench-system.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { RegistrationSystem } from './registration-system.js';

const SLUICE = 'sluice';
const SEED = 1;
const BAD_SHARE = 0.002;

const RATIOS: readonly RatioQuestion[] = [
  { name: 'to psql, cleaned rows into indexed tables', of: SLUICE, to: INDEXED.label, target: 0.3 },
  { name: 'to psql, raw file, cleaning in SQL, then indexes', of: SLUICE, to: CLEANING.label, target: 0.6 },
  { name: 'to psql, cleaned rows into bare tables, then indexes', of: SLUICE, to: BARE.label, target: 1 },
  {
    name: 'to psql, the same with all that Sluice allows itself',
    of: SLUICE,
    to: EVERYTHING.label,
    target: null,
  },
];

/** The speed claim: see docs/performance.md. */
export const wholeWay: BenchCase = {
  name: 'whole-way',
  about: 'Sluice from the request to the report, with 0.2 % bad rows, and four ways with psql, with none',
  defaultRows: 1_600_000,
  async run(bench) {
    bench.say('making files');
    const files = await makeFiles(bench);
    const place = new RegistrationSystem(await bench.system());
    await place.warmUp(bench);
    const jobs: MeasuredJob[] = [];
    try {
      const runs = await measureInTurns(bench, [
        ...BASELINES.map((baseline) => psql(bench, place, files, baseline)),
        sluice(bench, place, files, jobs),
      ]);
      return {
        ...{ name: 'whole-way', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
        notes: [
          ...BASELINES.map(({ label, about }) => `${label}: ${about}.`),
          'Each way of psql ends with ANALYZE; the one of Sluice with VACUUM ANALYZE and the swap.',
          ...jobs.slice(0, 1).map(refusalNote),
        ],
      };
    } finally {
      await place.clear();
    }
  },
};

interface Files {
  readonly withBadRows: string;
  readonly clean: string;
  readonly cleaned: readonly CleanedFile[];
}

async function makeFiles({ folder, rows }: Bench): Promise<Files> {
  const withBadRows = join(folder, 'with-bad-rows.csv');
  const clean = join(folder, 'clean.csv');
  await writeExtract(withBadRows, { rows, seed: SEED, defectShare: BAD_SHARE });
  await writePublishedForm(clean, { rows, seed: SEED });
  return { withBadRows, clean, cleaned: await writeCleaned(clean, folder) };
}

function sluice(bench: Bench, place: RegistrationSystem, files: Files, jobs: MeasuredJob[]): Contestant {
  return {
    label: SLUICE,
    measure: async () => {
      await place.clear();
      const job = await place.load(files.withBadRows, { read: bench.rows });
      jobs.push(job);
      const { seconds, parts, cpuSeconds, peakMb, brokerBytes } = job;
      return { rows: bench.rows, seconds, parts, cpuSeconds, peakMb, brokerBytes };
    },
  };
}

function psql(bench: Bench, place: RegistrationSystem, files: Files, baseline: Baseline): Contestant {
  const run = { rawFile: files.clean, cleaned: files.cleaned, indexing: loaderIndexing() };
  return {
    label: baseline.label,
    measure: async () => {
      await place.clear();
      const definitions = await prepare(baseline, place.baselines);
      const client = new Psql(place.baselines.url, bench.folder);
      const { seconds, cpuSeconds, peakMb } = await place.system.measure(() =>
        baseline.load({ ...run, psql: client, definitions }),
      );
      await assertLoaded(place, files.cleaned);
      return { rows: bench.rows, seconds, cpuSeconds, peakMb };
    },
  };
}

async function assertLoaded(
  { baselines }: RegistrationSystem,
  cleaned: readonly CleanedFile[],
): Promise<void> {
  for (const { table, rows } of cleaned) {
    const [found] = await baselines.query<{ count: string }>(`SELECT count(*) FROM public.${table}`);
    if (Number(found?.count) !== rows) {
      throw new SluiceError('INTERNAL', `psql loaded ${found?.count ?? 'no'} rows of ${rows} into ${table}.`);
    }
  }
}

function refusalNote({ report }: MeasuredJob): string {
  const { read, loaded, refused, skipped } = report.counts;
  const codes = Object.entries(report.findings).map(([code, count]) => `${code} ${count}`);
  return (
    `Of ${read} records ${loaded} were loaded, ${skipped} skipped as blank, ${refused} refused, ` +
    `each with a dead letter that gives its reasons (errors and warnings: ${codes.join(', ')}).`
  );
}
