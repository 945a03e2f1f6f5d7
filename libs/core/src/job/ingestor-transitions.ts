import type { JobError, PauseDetail } from '#api/job-facts.js';
import { prepared } from '#common/postgres/prepared.js';
import type { SqlClient } from '#common/postgres/sql-client.js';
import type { SourceIdentity } from '../source/source-identity.js';
import type { Claim } from './ingest-claim.js';
import type { PinnedCutting, PinnedHead } from './job.entity.js';
import {
  FIRST_FAILED,
  GIVEN_BACK,
  NO_OWNER,
  NO_PAUSE,
  comingFrom,
  entering,
  pausedFor,
} from './state-change.js';

/** What is known of a job when its first record is about to be cut. */
export interface JobStart {
  readonly cutting: PinnedCutting;
  readonly head: PinnedHead;
  readonly sourceIdentity: SourceIdentity;
  readonly expectedBytes: number | null;
  /** Of the ingestor that begins: nothing of the job has been validated by another one. */
  readonly contractVersion: number;
  /** Whether its messages will carry a seal. */
  readonly signed: boolean;
}

/**
 * The changes of a job's state that the ingestor makes, under its claim: each does nothing, and returns false, when the
 * claim is lost or the job is in another state (JS1).
 */

/** `start`: with everything that a resumed run must find again. */
export async function startJob(client: SqlClient, claim: Claim, start: JobStart): Promise<boolean> {
  const { rowCount } = await prepared(client).query(
    `UPDATE sluice.job SET ${entering('start')}, started_at = now(),
       cutting = $3, head = $4, source_identity = $5, expected_bytes = $6, contract_version = $7, signed = $8
     WHERE id = $1 AND epoch = $2 AND ${comingFrom('start')}`,
    [
      ...[claim.id, claim.epoch, start.cutting, start.head, start.sourceIdentity, start.expectedBytes],
      ...[start.contractVersion, start.signed],
    ],
  );
  return rowCount === 1;
}

/**
 * `failReading`.
 * @param isResumable false when what was published cannot be trusted: the job can never be resumed
 */
export async function failReading(
  client: SqlClient,
  claim: Claim,
  error: JobError,
  isResumable: boolean,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('failReading')}, ${FIRST_FAILED}, error = $3, finished_at = now(), ${NO_OWNER}, ${NO_PAUSE},
       problem = NULL, announced = false, resumable = resumable AND $4,
       secret_uri = CASE WHEN resumable AND $4 THEN secret_uri ELSE '' END
     WHERE id = $1 AND epoch = $2 AND ${comingFrom('failReading')}`,
    [claim.id, claim.epoch, error, isResumable],
  );
  return rowCount === 1;
}

/** `pauseForContract`: it releases the claim, too. */
export async function pauseForContract(
  client: SqlClient,
  claim: Claim,
  detail: PauseDetail,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE sluice.job SET ${entering('pauseForContract')}, ${pausedFor(`'contract'`, '$3')}, ${GIVEN_BACK}
     WHERE id = $1 AND epoch = $2 AND ${comingFrom('pauseForContract')}`,
    [claim.id, claim.epoch, detail],
  );
  return rowCount === 1;
}
