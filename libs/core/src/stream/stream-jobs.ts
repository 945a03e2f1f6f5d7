import type { JobCounts, JobError, PauseDetail } from '#api/job-facts.js';
import type { JobState, PauseReason } from '#api/job-words.js';
import type { StreamJob } from '#api/streams.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { isActive } from '../job/state-change.js';
import type { JudgedStreamJob } from './stream-breaker.js';
import type { Stream } from './stream.entity.js';

/** The jobs of a stream, as its owner and its status see them. */

/** A job of a stream that keeps its successors from becoming visible. */
export interface StandingJob {
  readonly id: string;
  readonly state: JobState;
  readonly pauseReason: PauseReason | null;
  readonly pauseDetail: PauseDetail | null;
  readonly error: JobError | null;
  readonly findings: Readonly<Record<string, number>> | null;
  readonly resumable: boolean;
}

export async function countActiveJobs(client: SqlClient, dataset: string): Promise<number> {
  const { rows } = await prepared(client).query<{ count: string }>(
    `SELECT count(*) FROM sluice.job WHERE dataset = $1 AND stream = $1 AND ${isActive('job')}`,
    [dataset],
  );
  return Number(rows[0]?.count ?? 0);
}

/** Jobs of the stream that have not ended, the oldest first. */
export async function activeJobs(
  client: SqlClient,
  dataset: string,
): Promise<{ readonly id: string; readonly createdAt: Date }[]> {
  const { rows } = await client.query<{ id: string; createdAt: Date }>(
    `SELECT id, created_at AS "createdAt" FROM sluice.job
     WHERE dataset = $1 AND stream = $1 AND ${isActive('job')} ORDER BY id`,
    [dataset],
  );
  return rows;
}

/** Those of the jobs that have succeeded, and since when their data is visible. */
export async function visibleSince(
  client: SqlClient,
  jobs: readonly string[],
): Promise<{ readonly id: string; readonly finishedAt: Date }[]> {
  const { rows } = await client.query<{ id: string; finishedAt: Date }>(
    `SELECT id, finished_at AS "finishedAt" FROM sluice.job WHERE id = ANY ($1::uuid[]) AND state = 'succeeded'`,
    [jobs],
  );
  return rows;
}

/**
 * Jobs of the stream that are paused, or have failed and can be resumed, the oldest first; and those that have failed for
 * good since an operator has looked at the stream last.
 */
export async function standingJobs(
  client: SqlClient,
  { dataset, judgedFrom }: Pick<Stream, 'dataset' | 'judgedFrom'>,
): Promise<StandingJob[]> {
  const { rows } = await client.query<StandingJob>(
    `SELECT id, state, pause_reason AS "pauseReason", pause_detail AS "pauseDetail", error, findings, resumable
     FROM sluice.job WHERE stream = $1 AND state IN ('paused', 'failed')
       AND (state = 'paused' OR resumable OR finished_at >= $2)
     ORDER BY id`,
    [dataset, judgedFrom],
  );
  return rows;
}

/** As many as a window of thin jobs needs; a longer one is judged by these. */
const MAX_JUDGED_JOBS = 500;

/** Jobs that succeeded and were created since an operator has looked at the stream last, the newest first. */
export async function latestSuccesses(
  client: SqlClient,
  { dataset, judgedFrom }: Pick<Stream, 'dataset' | 'judgedFrom'>,
): Promise<JudgedStreamJob[]> {
  const { rows } = await client.query<JudgedStreamJob>(
    `SELECT counts, coalesce(findings, '{}') AS findings FROM sluice.job
     WHERE stream = $1 AND state = 'succeeded' AND counts IS NOT NULL AND created_at >= $2
     ORDER BY created_at DESC LIMIT ${MAX_JUDGED_JOBS}`,
    [dataset, judgedFrom],
  );
  return rows;
}

/** What the jobs of a stream say about it. */
export interface StreamJobFacts {
  readonly inFlight: number;
  readonly recordsOfLastMinute: number;
  readonly lastJob: StreamJob | null;
  /** Of the last hour. */
  readonly findings: Readonly<Record<string, number>>;
}

export async function streamJobFacts(
  client: SqlClient,
  { dataset, lastJob }: Pick<Stream, 'dataset' | 'lastJob'>,
): Promise<StreamJobFacts> {
  const { rows } = await client.query<{
    inFlight: string;
    records: string;
    findings: Record<string, number>;
    lastJob: (Omit<StreamJob, 'counts'> & { readonly counts: JobCounts | null }) | null;
  }>(
    `WITH latest AS (
       SELECT state, finished_at, total_records, findings FROM sluice.job
       WHERE stream = $1 AND created_at > now() - interval '1 hour'
     ), found AS (
       SELECT key AS code, sum(value::bigint)::bigint AS count FROM latest, jsonb_each_text(coalesce(findings, '{}')) GROUP BY key
     )
     SELECT (SELECT count(*) FROM sluice.job
         WHERE dataset = $1 AND stream = $1 AND ${isActive('job')}) AS "inFlight",
       coalesce(sum(total_records) FILTER
         (WHERE state = 'succeeded' AND finished_at > now() - interval '1 minute'), 0) AS records,
       coalesce((SELECT jsonb_object_agg(code, count ORDER BY count DESC, code) FROM found), '{}') AS findings,
       (SELECT jsonb_build_object('id', id, 'state', state, 'createdAt', created_at, 'finishedAt', finished_at,
          'counts', counts) FROM sluice.job WHERE id = $2) AS "lastJob"
     FROM latest`,
    [dataset, lastJob],
  );
  const row = rows[0];
  return {
    inFlight: Number(row?.inFlight ?? 0),
    recordsOfLastMinute: Number(row?.records ?? 0),
    lastJob: row?.lastJob ?? null,
    findings: row?.findings ?? {},
  };
}
