import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import type { ExistingKeys, WriteMode } from '../dataset/dataset.js';
import type { Checkpoint, PinnedHead } from './job.entity.js';
import { type Predecessor, predecessorOf } from './predecessor.js';
import { NO_OWNER, comingFrom, entering, isActive } from './state-change.js';

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
  readonly strict: boolean;
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
  /** The stream that made it. */
  readonly stream: string | null;
  /** The action on dead letters that made it. */
  readonly repair: string | null;
}

const CLAIMED_COLUMNS = `id, dataset, epoch, mode, dry_run, strict, max_refused_share, max_shrink_share, existing_keys,
  contract_version, head, checkpoint, total_batches, total_records, total_bytes, stream, repair`;

/** Every batch is loaded, and no ingestor is at work. */
const IS_COMPLETE = `${comingFrom('claimToFinalize')} AND total_batches IS NOT NULL
  AND total_batches = (SELECT count(*) FROM sluice.ledger WHERE ledger.job = job.id)`;

const HAS_NO_OWNER = '(lease_until IS NULL OR lease_until < now())';

/**
 * When the job was completed: `finishSource` has written it, when it came last, else the last load was last. Found in the ledger
 * until then, because two loads that are last at the same time do not see each other.
 */
const COMPLETED_AT = `coalesce(completed_at, (SELECT max(loaded_at) FROM sluice.ledger WHERE ledger.job = job.id), created_at)`;

/** The job that holds its dataset's finalization (LN4). */
const FINALIZED_NOW = `SELECT id FROM sluice.job AS other WHERE other.dataset = job.dataset AND other.state = 'finalizing'`;

/**
 * Jobs that a loader may finalize now, one of each dataset at most: given up by their finalizer; or complete, before all others of
 * their dataset that are (LN4), with nothing before them (LN5). The place behind the FROM knows the datasets as `$n`.
 */
const dueOf = (datasets: string): string => `
  SELECT DISTINCT ON (dataset) id, completed FROM (
    SELECT id, dataset, state, ${COMPLETED_AT} AS completed FROM sluice.job
    WHERE dataset = ANY(${datasets}) AND ${isActive('job')} AND ${HAS_NO_OWNER}
      AND (state = 'finalizing' OR ${IS_COMPLETE} AND NOT EXISTS (${FINALIZED_NOW})
        AND (after_job IS NULL OR NOT EXISTS (${predecessorOf('job.after_job')})))) AS ready
  ORDER BY dataset, state = 'finalizing' DESC, completed, id`;

/** Which jobs a loader can take, and for whom. */
export interface FinalizeClaimRequest {
  readonly owner: string;
  readonly leaseSeconds: number;
  /** Those that this process can finalize now. */
  readonly datasets: readonly string[];
  /** Of the source: larger jobs are left. */
  readonly maxBytes: number;
}

/** Another loader has claimed a job of the same dataset between our look and our claim: it has it, and we look again. */
const MOST_LOOKS = 5;

/**
 * `claimToFinalize`: takes the job that was completed first, and raises its epoch; or, in state `finalizing` already, the
 * job of a finalizer that is gone. A job whose row a load transaction still holds is left for the next look, and so are those
 * of its dataset that come after it.
 */
export async function claimToFinalize(
  client: SqlClient,
  request: FinalizeClaimRequest,
): Promise<ClaimedToFinalize | null> {
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    try {
      return await claimFirst(client, request);
    } catch (error) {
      if (sqlstateOf(error) !== '23505') throw error;
    }
  }
  return null;
}

async function claimFirst(
  client: SqlClient,
  { owner, leaseSeconds, datasets, maxBytes }: FinalizeClaimRequest,
): Promise<ClaimedToFinalize | null> {
  const { rows } = await client.query<ClaimedToFinalize>(
    `UPDATE sluice.job SET ${entering('claimToFinalize')}, owner = $1, epoch = epoch + 1, wait = NULL,
            lease_until = now() + $2 * interval '1 second', completed_at = ${COMPLETED_AT}
     WHERE id = (
       WITH due AS (${dueOf('$3')})
       SELECT job.id FROM sluice.job JOIN due ON due.id = job.id
       WHERE greatest(total_bytes, expected_bytes, 0) <= $4
         AND ${HAS_NO_OWNER} AND (state = 'finalizing' OR ${comingFrom('claimToFinalize')} AND total_batches IS NOT NULL)
       ORDER BY due.completed, job.id LIMIT 1 FOR UPDATE OF job SKIP LOCKED)
     RETURNING ${CLAIMED_COLUMNS}`,
    [owner, leaseSeconds, datasets, maxBytes],
  );
  return rows[0] ?? null;
}

/**
 * `claimToFinalize`, in the transaction that has just loaded all batches of the job: it is complete with them, though no other
 * session sees it yet. Takes it only where nothing comes before it: no other job of its dataset is finalized now (LN4) or could be,
 * and its predecessor has ended (LN5). Otherwise it is left to the next look of {@link claimToFinalize}.
 *
 * The row is locked no stronger than by any update. Load transactions, which hold it FOR KEY SHARE, are not excluded: one of the
 * same batches waits for our ledger rows, and then finds them.
 * @param client in the transaction, at READ COMMITTED
 * @param batches of the job, all of which the transaction has loaded
 */
export async function claimAsLoaded(
  client: SqlClient,
  { id, owner, leaseSeconds, batches }: AsLoadedRequest,
): Promise<ClaimedToFinalize | null> {
  const { rows } = await prepared(client).query<ClaimedToFinalize>(
    `UPDATE sluice.job SET ${entering('claimToFinalize')}, owner = $2, epoch = epoch + 1, wait = NULL,
            lease_until = now() + $3 * interval '1 second', completed_at = now()
     WHERE id = $1 AND ${comingFrom('claimToFinalize')} AND total_batches = $4 AND NOT dry_run AND ${HAS_NO_OWNER}
       AND NOT EXISTS (
         SELECT FROM sluice.job AS other WHERE other.dataset = job.dataset AND other.id <> job.id AND ${isActive('other')}
           AND (other.state = 'finalizing' OR other.total_batches IS NOT NULL
             AND NOT EXISTS (SELECT FROM sluice.job AS before WHERE before.id = other.after_job AND ${isActive('before')})
             AND other.total_batches = (SELECT count(*) FROM sluice.ledger WHERE ledger.job = other.id)))
       AND (after_job IS NULL OR NOT EXISTS (${predecessorOf('job.after_job')}))
     RETURNING ${CLAIMED_COLUMNS}`,
    [id, owner, leaseSeconds, batches],
  );
  return rows[0] ?? null;
}

/** A job whose batches its transaction has all loaded. */
export interface AsLoadedRequest extends Pick<FinalizeClaimRequest, 'owner' | 'leaseSeconds'> {
  readonly id: string;
  readonly batches: number;
}

/** A complete job that no loader has taken, and what keeps it. */
export interface JobInQueue {
  readonly id: string;
  /** It has to end before. */
  readonly predecessor: Predecessor | null;
  /** The other job of its dataset that is finalized now. */
  readonly finalizedNow: string | null;
}

/** Jobs that are complete and not taken, in the order in which they were completed. */
export async function jobsInQueue(client: SqlClient, datasets: readonly string[]): Promise<JobInQueue[]> {
  const { rows } = await client.query<JobInQueue>(
    `SELECT id, (SELECT to_jsonb(before) FROM (${predecessorOf('job.after_job')}) AS before) AS predecessor,
       (${FINALIZED_NOW}) AS "finalizedNow"
     FROM sluice.job WHERE dataset = ANY($1) AND ${isActive('job')} AND ${HAS_NO_OWNER} AND ${IS_COMPLETE}
     ORDER BY ${COMPLETED_AT}, id`,
    [datasets],
  );
  return rows;
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

/** Releases the job as it is, so that the next loader need not wait for the lease to run out. */
export async function releaseFinalize(client: SqlClient, claim: FinalizeClaim): Promise<void> {
  await client.query(
    `UPDATE sluice.job SET ${NO_OWNER}, wait = NULL WHERE id = $1 AND epoch = $2 AND state = 'finalizing'`,
    [claim.id, claim.epoch],
  );
}
