import type { JobCounts, JobError, PauseDetail } from '#api/job-facts.js';
import type { PauseReason } from '#api/job-words.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { FinalizeClaim } from './finalize-claim.js';
import { FIRST_FAILED, NO_OWNER, comingFrom, entering, pausedFor } from './state-change.js';

/**
 * The changes of a job's state that the loader makes, without `claimToFinalize` (`finalize-claim.ts`): each does nothing,
 * and returns false, when the job has moved on or another loader has it (JS1).
 */

/** `pauseLoading`. The ingestor that reads the source keeps its lease. */
export async function pauseLoading(
  client: SqlClient,
  id: string,
  reason: Exclude<PauseReason, 'operator'>,
  detail: PauseDetail,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('pauseLoading')}, ${pausedFor('$2', '$3')}
     WHERE id = $1 AND ${comingFrom('pauseLoading')}`,
    [id, reason, detail],
  );
  return rowCount === 1;
}

/**
 * `failLoading`, for what a batch of the job says of it. The ingestor that reads its source loses it. Counts are written
 * by the sweep, from the ledger.
 */
export async function failLoading(client: SqlClient, id: string, error: JobError): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('failLoading')}, ${FIRST_FAILED}, error = $2, finished_at = clock_timestamp(), ${NO_OWNER},
       problem = NULL, wait = NULL, announced = false
     WHERE id = $1 AND ${comingFrom('failLoading')}`,
    [id, error],
  );
  return rowCount === 1;
}

/** What the ledger and the tables say of a job at its end. */
export interface JobOutcome {
  readonly counts: JobCounts;
  readonly findings: Readonly<Record<string, number>>;
}

const CONCLUDED = `counts = $3, counted_batches = NULL, findings = $4, finished_at = clock_timestamp(), announced = false,
  ${NO_OWNER}, wait = NULL`;

/** `succeed`: in the transaction that makes the job visible. */
export async function succeedJob(
  client: SqlClient,
  claim: FinalizeClaim,
  { counts, findings }: JobOutcome,
): Promise<boolean> {
  const { rowCount } = await prepared(client).query(
    `UPDATE sluice.job SET ${entering('succeed')}, error = NULL, secret_uri = '', ${CONCLUDED}
     WHERE id = $1 AND epoch = $2 AND ${comingFrom('succeed')}`,
    [claim.id, claim.epoch, counts, findings],
  );
  return rowCount === 1;
}

/** `failFinalizing`: staging, ledger and the source's address stay, because the job may be resumed. */
export async function failFinalizing(
  client: SqlClient,
  claim: FinalizeClaim,
  { counts, findings }: JobOutcome,
  error: JobError,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('failFinalizing')}, ${FIRST_FAILED}, error = $5, ${CONCLUDED}
     WHERE id = $1 AND epoch = $2 AND ${comingFrom('failFinalizing')}`,
    [claim.id, claim.epoch, counts, findings, error],
  );
  return rowCount === 1;
}

/**
 * `pauseFinalizing`: everything stays as it is until an operator has fixed the tables or the grants (`schema`), or
 * removed the cause of the fault, and continues the job; then a loader claims and finalizes it again. Reason `contract`
 * when only versions differ.
 */
export async function pauseFinalizing(
  client: SqlClient,
  claim: FinalizeClaim,
  reason: 'schema' | 'contract' | 'fault',
  detail: PauseDetail,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('pauseFinalizing')}, ${pausedFor('$3', '$4')}, ${NO_OWNER}
     WHERE id = $1 AND epoch = $2 AND ${comingFrom('pauseFinalizing')}`,
    [claim.id, claim.epoch, reason, detail],
  );
  return rowCount === 1;
}
