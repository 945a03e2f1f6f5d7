import type { JobState } from '#api/job-words.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { Checkpoint } from './job.entity.js';
import { NO_OWNER } from './state-change.js';

/**
 * The ingestor's claim on a job, its lease and its checkpoint: no statement here changes the state. The lease counts by
 * the database's clock alone.
 */

/** A job that this process may work on, until another process raises the epoch. */
export interface Claim {
  readonly id: string;
  readonly epoch: number;
}

/** Takes the oldest job that waits, or whose ingestor is gone before its source was read to the end. */
export async function claimToIngest(
  client: SqlClient,
  owner: string,
  leaseSeconds: number,
): Promise<Claim | null> {
  const { rows } = await client.query<{ id: string; epoch: number }>(
    `UPDATE sluice.job SET owner = $1, epoch = epoch + 1, lease_until = now() + $2 * interval '1 second'
     WHERE id = (
       SELECT id FROM sluice.job
       WHERE total_batches IS NULL
         AND ((state = 'queued' AND (lease_until IS NULL OR lease_until < now()))
           OR (state = 'running' AND lease_until < now()))
       ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING id, epoch`,
    [owner, leaseSeconds],
  );
  return rows[0] ?? null;
}

/**
 * @param checkpoint saved with it; null leaves the one that is there, and so does one that is less far
 * @returns the job's state, or null when the claim is lost or released, or the job has ended
 */
export async function renewIngestLease(
  client: SqlClient,
  claim: Claim,
  leaseSeconds: number,
  checkpoint: Checkpoint | null,
): Promise<JobState | null> {
  const { rows } = await client.query<{ state: JobState }>(
    `UPDATE sluice.job SET lease_until = now() + $3 * interval '1 second', checkpoint = ${furtherOf('$4')}
     WHERE id = $1 AND epoch = $2 AND owner IS NOT NULL AND state IN ('queued', 'running', 'paused')
     RETURNING state`,
    [claim.id, claim.epoch, leaseSeconds, checkpoint],
  );
  return rows[0]?.state ?? null;
}

/** A checkpoint that is further already stays. @returns false when the claim is lost */
export async function saveCheckpoint(
  client: SqlClient,
  claim: Claim,
  checkpoint: Checkpoint,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET checkpoint = ${furtherOf('$3')}
     WHERE id = $1 AND epoch = $2 AND state IN ('running', 'paused')`,
    [claim.id, claim.epoch, checkpoint],
  );
  return rowCount === 1;
}

/**
 * The source was read to its end and every batch is acknowledged: releases the lease.
 * @param end the checkpoint behind the last batch: an ingestor that reads the source again proves all of it
 * @returns false when the claim is lost
 */
export async function finishSource(
  client: SqlClient,
  claim: Claim,
  end: Checkpoint,
  sourceBytes: number,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET total_batches = $3, total_records = $4, total_bytes = $5, checkpoint = $6,
       republish_from = NULL, ${NO_OWNER},
       completed_at = CASE WHEN $3 = (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id) THEN now() END
     WHERE id = $1 AND epoch = $2 AND state IN ('running', 'paused')`,
    [claim.id, claim.epoch, end.nextBatch, end.nextRecord, sourceBytes, end],
  );
  return rowCount === 1;
}

/** Gives a claimed job back untouched. @param afterSeconds until then no ingestor claims it */
export async function releaseIngest(client: SqlClient, claim: Claim, afterSeconds: number): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET owner = NULL, lease_until = now() + $3 * interval '1 second'
     WHERE id = $1 AND epoch = $2 AND total_batches IS NULL AND state IN ('queued', 'running', 'paused')`,
    [claim.id, claim.epoch, afterSeconds],
  );
}

/** Of a job that was cancelled under the claim, which raised the epoch by one; without effect on any other job. */
export async function letGo(client: SqlClient, claim: Claim): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET ${NO_OWNER} WHERE id = $1 AND epoch = $2 + 1 AND state = 'cancelled'`,
    [claim.id, claim.epoch],
  );
}

/**
 * The further of the checkpoint that is there and the given one: two writes of one claim are on connections of their own, and
 * the one that was sent first may arrive last, when the process or a connection stalled in between.
 */
function furtherOf(parameter: string): string {
  const given = `${parameter}::jsonb`;
  const isLessFar = `(checkpoint->>'nextBatch')::bigint > (${given}->>'nextBatch')::bigint`;
  return `CASE WHEN ${isLessFar} THEN checkpoint ELSE coalesce(${given}, checkpoint) END`;
}
