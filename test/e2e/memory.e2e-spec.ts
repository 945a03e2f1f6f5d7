/**
 * G9 for the files that are worst for it: every record refused, every record twice, nothing but warnings, 200 columns,
 * records at the size limit and above it. Each fills several of the largest deliveries, so what grows with a delivery
 * shows; what would grow with the file was looked for by hand, with files that were three times as large.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { JobCounts } from '#api/job-facts.js';
import type { JobRequest } from '#api/jobs.js';
import { DEFAULT_CUTTING } from '#core/record/raw-batch.js';
import { peakMbOf, resetPeak } from '../../bench/system/proc.js';
import { runJob } from '../support/run-job.js';
import { fileOf, row } from '../support/small-file.js';
import { type System, startSystem } from '../support/system.js';
import { WIDE, wideLine, writeWideDataset } from '../support/wide-dataset.js';

const MOST_MB = 256;
const { maxRecordBytes } = DEFAULT_CUTTING;
/** How many times the records, for measuring by hand. */
const FACTOR = Number(process.env['MEMORY_SPEC_FACTOR'] ?? 1);

interface WorstFile {
  readonly records: number;
  readonly line: (number: number) => string;
  /** Registrations when left out. */
  readonly request?: Omit<JobRequest, 'source'>;
  /** Of all records. */
  readonly loaded: number;
}

const WIDE_ROWS = { dataset: WIDE, mode: 'append', maxRefusedShare: 1, breakerShare: 1 } as const;
const REGISTRATIONS = {
  dataset: 'tax-registration',
  mode: 'replace',
  allowShrink: true,
  maxRefusedShare: 1,
  breakerShare: 1,
} as const;

/** A key of its own in each file: they fill the same table. */
const keyOf = (file: string, number: number): string => `${file}${number}`;
const long = (bytes: number): string => 'x'.repeat(bytes);

const FILES: Readonly<Record<string, WorstFile>> = {
  'records of two bytes, all refused': { records: 40_000, line: () => 'x', loaded: 0 },
  'ordinary records, all refused': {
    records: 20_000,
    line: (number) => row(number, { ban: 'x' }),
    loaded: 0,
  },
  'every record twice': { records: 40_000, line: (number) => row(number >> 1), loaded: 0.5 },
  '200 columns, each with a warning': {
    records: 5_000,
    line: (number) => wideLine(keyOf('w', number), 'X'),
    request: WIDE_ROWS,
    loaded: 1,
  },
  '200 columns, each of which refuses its record': {
    records: 2_000,
    line: (number) => wideLine(keyOf('e', number), 'X'),
    request: { ...WIDE_ROWS, options: { strict: 'yes' } },
    loaded: 0,
  },
  'records at the size limit, and every fifth above it': {
    records: 100,
    line: (number) => wideLine(keyOf('l', number), '', long(maxRecordBytes - (number % 5 === 0 ? 0 : 300))),
    request: WIDE_ROWS,
    loaded: 0.8,
  },
  'records at the size limit, all refused': {
    records: 100,
    line: (number) => wideLine(keyOf('r', number), '', long(maxRecordBytes - 300).toUpperCase()),
    request: { ...WIDE_ROWS, options: { strict: 'yes' } },
    loaded: 0,
  },
};

describe('each service stays at or below 256 MB', () => {
  let system: System;
  let datasets: string;

  beforeAll(async () => {
    datasets = writeWideDataset();
    system = await startSystem({ env: { SLUICE_DATASET_PATHS: datasets } });
  });

  afterAll(async () => {
    await system.stop();
    rmSync(datasets, { recursive: true });
  });

  it.each(Object.keys(FILES))('%s (G9)', async (name) => {
    const { records: some, line, request = REGISTRATIONS, loaded } = FILES[name] as WorstFile;
    const records = some * FACTOR;
    const source = join(system.folder, 'source.csv');
    const all = Array.from({ length: records }, (_, number) => line(number));
    writeFileSync(source, request.dataset === WIDE ? `${all.join('\n')}\n` : fileOf(all.join('\n')));
    for (const service of system.services) resetPeak(system.pidOf(service));
    const job = await runJob(system, { ...request, source });
    const counts: Partial<JobCounts> = { read: records, loaded: records * loaded };
    expect(job).toMatchObject({ state: loaded === 0 ? 'failed' : 'succeeded', counts });
    const peaks = Object.fromEntries(
      system.services.map((service) => [service, peakMbOf(system.pidOf(service)) ?? 0]),
    );
    if (process.env['MEMORY_SPEC_FACTOR'] !== undefined)
      process.stderr.write(`${name}: ${JSON.stringify(peaks)}\n`);
    expect(Object.entries(peaks).filter(([, mb]) => mb > MOST_MB)).toEqual([]);
  });
});
