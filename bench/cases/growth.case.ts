import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { SluiceError } from '#common/errors/sluice-error.js';
import { formatCount } from '../../apps/cli/src/render/format.js';
import { writeExtract } from '../baselines/extract.js';
import type { Bench, BenchCase } from '../bench-case.js';
import { fitLine, slopesOf } from '../report/fit.js';
import type { RatioResult, Run } from '../report/result.js';
import { median, spreadOf } from '../report/statistics.js';
import { type Contestant, measureInTurns } from './in-turns.js';
import { REPORTED } from './job-parts.js';
import { RegistrationSystem } from './registration-system.js';

const SEED = 1;
/** Of the case's rows. */
const FACTORS = [1 / 16, 1 / 4, 1, 4];
/** `b` of the largest step beside that of the smallest. */
const MAX_SLOPE_RATIO = 1.15;
/** G9. */
const MAX_SERVICE_MB = 256;
const SERVICE = /^(ingestor|validator|loader|tracker)(-\d+)?$/;
/** A generated record. */
const BYTES_A_ROW = 165;
/** Raw and clean topic of a run, which stay. */
const LOG_BYTES_A_ROW = 400;
/** Source, both tables twice while one replaces the other, and their write-ahead log. */
const OTHER_BYTES_A_ROW = 2_000;

/** Cost a row must not grow with the rows, nor memory at all (G9). */
export const growth: BenchCase = {
  name: 'growth',
  about: 'a sixteenth, a quarter, all and four times the rows: seconds as a + b · rows, and memory',
  defaultRows: 1_600_000,
  async run(bench) {
    const sizes = FACTORS.map((factor) => Math.max(1, Math.round(bench.rows * factor)));
    refuseUnlessRoom(bench, sizes);
    const files = new Map(sizes.map((rows) => [rows, join(bench.folder, `${rows}.csv`)]));
    try {
      for (const [rows, file] of files) {
        bench.say(`making a file of ${formatCount(rows)} rows`);
        await writeExtract(file, { rows, seed: SEED });
      }
      const place = new RegistrationSystem(await bench.system());
      await place.warmUp(bench);
      const runs = await measureInTurns(
        bench,
        [...files].map(([rows, file]) => contestant(place, rows, file)),
      );
      await place.clear();
      return {
        ...{ name: 'growth', rows: bench.rows, runs },
        ratios: [...slopeRatio(runs, sizes), memoryRatio(runs)],
        notes: [
          'Seconds go from the request until the rows are visible.',
          ...costNotes(runs, sizes),
          ...sizes.map((rows) => memoryNote(runs, rows)),
        ],
      };
    } finally {
      // A gigabyte and more: the next cases shall not keep it.
      for (const file of files.values()) rmSync(file, { force: true });
    }
  },
};

function contestant(place: RegistrationSystem, rows: number, file: string): Contestant {
  return {
    label: labelOf(rows),
    measure: async () => {
      await place.clear();
      const job = await place.load(file, { read: rows });
      const { visibleSeconds, cpuSeconds, peakMb, brokerBytes } = job;
      const { [REPORTED]: _reported, ...parts } = job.parts;
      return { rows, seconds: visibleSeconds, parts, cpuSeconds, peakMb, brokerBytes };
    },
  };
}

const labelOf = (rows: number): string => `${formatCount(rows)} rows`;

/** @throws SluiceError INTERNAL, which is better than a full disk after half an hour */
function refuseUnlessRoom({ folder, rounds }: Bench, sizes: readonly number[]): void {
  const all = sizes.reduce((sum, rows) => sum + rows, 0);
  const needed = all * (BYTES_A_ROW + rounds * LOG_BYTES_A_ROW) + Math.max(...sizes) * OTHER_BYTES_A_ROW;
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < needed) {
    throw new SluiceError(
      'INTERNAL',
      `${folder} has ${Math.floor((bavail * bsize) / 1e9)} GB left, and ${Math.ceil(needed / 1e9)} GB are needed.`,
    );
  }
}

/**
 * Slopes of the last interval and the first, round by round.
 * @returns none when noise was larger than what rows cost, as it is with few of them
 */
export function slopeRatio(runs: readonly Run[], sizes: readonly number[]): RatioResult[] {
  const rounds = [...new Set(runs.map(({ round }) => round))];
  const ratios = rounds.flatMap((round) => {
    const slopes = slopesOf(runs.filter((run) => run.round === round));
    const [first, last] = [slopes[0]?.secondsPerRow ?? NaN, slopes.at(-1)?.secondsPerRow ?? NaN];
    return first > 0 && last > 0 ? [last / first] : [];
  });
  if (ratios.length === 0) return [];
  const interval = (at: number): string =>
    sizes
      .slice(at, at + 2 || undefined)
      .map(formatCount)
      .join(' to ');
  const [of, to] = [`${interval(-2)} rows`, `${interval(0)} rows`];
  return [{ name: `cost of a row, ${of}, to ${to}`, of, to, target: MAX_SLOPE_RATIO, ...spreadOf(ratios) }];
}

/** Of all runs: the one that needs most counts, so that the median is the largest as well. */
export function memoryRatio(runs: readonly Run[]): RatioResult {
  const shares = runs.map((run) => Math.max(...servicePeaks(run).map(([, mb]) => mb)) / MAX_SERVICE_MB);
  return {
    name: `peak memory of a service to ${MAX_SERVICE_MB} MB`,
    of: 'the service that needs most',
    to: `${MAX_SERVICE_MB} MB`,
    target: 1,
    min: Math.min(...shares),
    median: Math.max(...shares),
    max: Math.max(...shares),
  };
}

function costNotes(runs: readonly Run[], sizes: readonly number[]): string[] {
  const { fixedSeconds, secondsPerRow } = fitLine(runs);
  const medians = sizes.map((rows) => ({
    rows,
    seconds: median(runs.filter((run) => run.rows === rows).map(({ seconds }) => seconds)),
  }));
  return [
    `Fitted: ${fixedSeconds.toFixed(2)} s + ${micros(secondsPerRow)} µs · rows.`,
    ...slopesOf(medians).map(
      (slope) =>
        `From ${formatCount(slope.fromRows)} to ${formatCount(slope.toRows)} rows: ${micros(slope.secondsPerRow)} µs a row.`,
    ),
  ];
}

function memoryNote(runs: readonly Run[], rows: number): string {
  const peaks = new Map<string, number>();
  for (const [name, mb] of runs.filter((run) => run.rows === rows).flatMap(servicePeaks)) {
    peaks.set(name, Math.max(peaks.get(name) ?? 0, mb));
  }
  const text = [...peaks].map(([name, mb]) => `${name} ${mb} MB${mb > MAX_SERVICE_MB ? ' (too much)' : ''}`);
  return `Peak memory at ${formatCount(rows)} rows: ${text.join(', ')}.`;
}

function servicePeaks({ peakMb = {} }: Run): [string, number][] {
  return Object.entries(peakMb).filter(([name]) => SERVICE.test(name));
}

const micros = (seconds: number): string => (seconds * 1e6).toFixed(2);
