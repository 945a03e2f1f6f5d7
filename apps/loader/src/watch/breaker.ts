import type pg from 'pg';
import type { PauseDetail } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import type { Breaker } from '#core/dataset/dataset.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { percent } from '../finalize/conclude.js';

/** A running job with a breaker, as the watch finds it. */
export interface JudgedJob {
  readonly id: string;
  readonly dataset: string;
  readonly breaker: Breaker;
  /** Batches that an operator has accepted, as PostgreSQL writes a multirange. */
  readonly judgedBatches: string;
  /** Codes that refuse nothing, so they are no reasons. */
  readonly warningCodes: readonly string[];
}

/** The batches that were loaded last. */
export interface BreakerWindow {
  readonly records: number;
  readonly refused: number;
  /** Most frequent first. */
  readonly reasons: readonly { readonly code: string; readonly count: number }[];
}

const REASONS_SHOWN = 5;

/**
 * The batches of the job that were loaded last and hold `windowRecords` records together. Ordered by the time of loading,
 * not by their place in the source: the batches of a partition that is far behind would be outside the window when they
 * arrive, and would never be judged.
 */
export async function readWindow(client: pg.Pool, job: JudgedJob): Promise<BreakerWindow> {
  const { rows } = await client.query<{
    records: string;
    refused: string;
    reasons: BreakerWindow['reasons'];
  }>(
    `WITH latest AS (
       SELECT records, refused, findings, load_refusals, sum(records) OVER (ORDER BY loaded_at DESC, batch DESC) - records AS newer
       FROM sluice.ledger WHERE job = $1 AND NOT batch <@ $2::int8multirange ORDER BY loaded_at DESC, batch DESC LIMIT $3
     ), judged AS (
       SELECT * FROM latest WHERE newer < $3
     ), reasons AS (
       SELECT key AS code, value::bigint AS count FROM judged, jsonb_each_text(findings)
       UNION ALL
       SELECT finding->>'code', 1 FROM judged, jsonb_array_elements(load_refusals) AS refusal,
         jsonb_array_elements(refusal->'findings') AS finding
     ), frequent AS (
       SELECT code, sum(count)::bigint AS count FROM reasons WHERE code <> ALL($4) GROUP BY code ORDER BY 2 DESC, 1 LIMIT ${REASONS_SHOWN}
     )
     SELECT coalesce(sum(records), 0) AS records,
            coalesce(sum(refused + jsonb_array_length(load_refusals)), 0) AS refused,
            coalesce((SELECT jsonb_agg(frequent ORDER BY count DESC, code) FROM frequent), '[]') AS reasons
     FROM judged`,
    [job.id, job.judgedBatches, job.breaker.windowRecords, job.warningCodes],
  );
  const row = rows[0];
  return {
    records: Number(row?.records ?? 0),
    refused: Number(row?.refused ?? 0),
    reasons: row?.reasons ?? [],
  };
}

/** Why the job has to be paused, or null. PURE. */
export function judge(job: JudgedJob, window: BreakerWindow): PauseDetail | null {
  const { windowRecords, maxShare, maxCount } = job.breaker;
  const { records, refused, reasons } = window;
  const isFull = records >= windowRecords;
  const tooMany = maxCount !== null && refused > maxCount;
  const tooLarge = isFull && refused > maxShare * records;
  if (!tooMany && !tooLarge) return null;
  const limit = tooMany ? `${maxCount} records` : percent(maxShare);
  const error = new SluiceError(
    'JOB_BREAKER',
    `${refused} of the last ${records} records were refused (${percent(refused / records)}); more than ${limit} pause the job.`,
    { job: job.id, dataset: job.dataset },
  );
  return { ...jobErrorOf(error), records, refused, reasons };
}
