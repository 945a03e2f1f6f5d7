import type { JobCounts } from '#core/job/job.entity.js';
import type { JobDetail, StageProgress } from '#core/job/job-view.js';
import { datasetView, jobDetail } from './api-server.js';

/** What the tests of `sluice run` tell of jobs and tables. */

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
