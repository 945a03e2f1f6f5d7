import type { SqlClient } from '#common/postgres/sql-client.js';
import type { ExistingKeys, WriteMode } from '../dataset/dataset.js';
import type { Checkpoint, PinnedHead } from './job.entity.js';
import { NO_OWNER, comingFrom, entering } from './state-change.js';

/** A job that a loader holds in state `finalizing`, until another process raises the epoch. */
export interface FinalizeClaim {
  readonly id: string;
  readonly epoch: number;
}

/** What the job row says to the loader that has claimed it. */
export interface ClaimedToFinalize extends FinalizeClaim {
  readonly dataset: string;
  readonly mode: WriteMode;
  readonly dry_run: boolean;
  readonly max_refused_share: number;
  readonly max_shrink_share: number | null;
  readonly existing_keys: ExistingKeys;
  readonly contract_version: number;
  readonly head: PinnedHead | null;
  /** Behind the last batch. */
  readonly checkpoint: Checkpoint | null;
  readonly total_batches: string;
  readonly total_records: string;
  readonly total_bytes: string;
}

const CLAIMED_COLUMNS = `id, dataset, epoch, mode, dry_run, max_refused_share, max_shrink_share, existing_keys,
  contract_version, head, checkpoint, total_batches, total_records, total_bytes`;

/** Jobs that a loader may finalize now: complete, or given up by their finalizer. */
export const DUE_TO_FINALIZE = `(lease_until IS NULL OR lease_until < now())
  AND (state = 'finalizing' OR ${comingFrom('claimToFinalize')} AND total_batches IS NOT NULL
    AND total_batches = (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id))`;

/** Which jobs a loader can take, and for whom. */
export interface FinalizeClaimRequest {
  readonly owner: string;
  readonly leaseSeconds: number;
  /** Those that this process can finalize now. */
  readonly datasets: readonly string[];
  /** Of the source: larger jobs are left. */
  readonly maxBytes: number;
}

/**
 * `claimToFinalize`: takes the oldest job that is complete, and raises its epoch; or, in state `finalizing` already, the
 * job of a finalizer that is gone. A job whose row a load transaction still holds is left for the next look.
 */
export async function claimToFinalize(
  client: SqlClient,
  { owner, leaseSeconds, datasets, maxBytes }: FinalizeClaimRequest,
): Promise<ClaimedToFinalize | null> {
  const { rows } = await client.query<ClaimedToFinalize>(
    `UPDATE sluice.job SET ${entering('claimToFinalize')}, owner = $1, epoch = epoch + 1, wait = NULL,
            lease_until = now() + $2 * interval '1 second'
     WHERE id = (
       SELECT id FROM sluice.job
       WHERE dataset = ANY($3) AND greatest(total_bytes, expected_bytes, 0) <= $4 AND ${DUE_TO_FINALIZE}
       ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING ${CLAIMED_COLUMNS}`,
    [owner, leaseSeconds, datasets, maxBytes],
  );
  return rows[0] ?? null;
}

/** @returns false when the epoch was raised: another loader has the job, or it was cancelled */
export async function renewFinalizeLease(
  client: SqlClient,
  claim: FinalizeClaim,
  leaseSeconds: number,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET lease_until = CASE WHEN state = 'finalizing' THEN now() + $3 * interval '1 second' ELSE lease_until END
     WHERE id = $1 AND epoch = $2`,
    [claim.id, claim.epoch, leaseSeconds],
  );
  return rowCount === 1;
}

/** Gives the job back as it is, so that the next loader need not wait for the lease to run out. */
export async function releaseFinalize(client: SqlClient, claim: FinalizeClaim): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET ${NO_OWNER}, wait = NULL WHERE id = $1 AND epoch = $2 AND state = 'finalizing'`,
    [claim.id, claim.epoch],
  );
}
