import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobCounts } from '#api/job-facts.js';
import type { JobDetail, StageProgress } from '#api/jobs.js';
import { ApiServer, datasetView, jobDetail } from './api-server.js';
import { CliHarness } from './cli-harness.js';

/** What the tests of `sluice run` have of jobs and tables. */

export const COUNTS: JobCounts = {
  read: 300_000,
  accepted: 299_400,
  refused: 700,
  refusedAtValidate: 500,
  refusedAtLoad: 200,
  skipped: 100,
  loaded: 299_200,
  inserted: 299_200,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  superseded: 0,
  warnings: 1203,
};

export const succeeded = (facts: Partial<JobDetail> = {}): JobDetail =>
  jobDetail({
    state: 'succeeded',
    seconds: 12.3,
    counts: COUNTS,
    findings: { BAD_NUMBER: 500, BAD_DATE: 1203, DUPLICATE: 200 },
    deadLetters: { known: 700, expected: 700, complete: true },
    ...facts,
  });

export const filled = datasetView({
  tables: [
    { table: 'customer', rows: 1_234_567 },
    { table: 'customer_address', rows: 0 },
  ],
});

export function stage(facts: Partial<StageProgress>): StageProgress {
  return {
    stage: 'ingest',
    batches: 1,
    records: 0,
    bytes: 0,
    accepted: 0,
    refused: 0,
    skipped: 0,
    warnings: 0,
    totalRecords: null,
    totalBytes: null,
    recordsPerSecond: null,
    etaSeconds: null,
    done: false,
    ...facts,
  };
}

export interface RunSetting {
  readonly api: ApiServer;
  readonly cli: CliHarness;
  /** The command's working folder; holds `customers.csv`. */
  readonly folder: string;
}

/** A system whose next job succeeds, and a command line beside a source file. Close the server and remove the folder. */
export async function startRunSetting(): Promise<RunSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-run-'));
  writeFileSync(join(folder, 'customers.csv'), 'number,name\n');
  const api = await ApiServer.start();
  api.datasets = [datasetView()];
  api.newJob = succeeded();
  const cli = new CliHarness();
  cli.cwd = folder;
  cli.environment = { SLUICE_INGESTOR_URL: api.url, SLUICE_TRACKER_URL: `${api.url}/` };
  return { api, cli, folder };
}
