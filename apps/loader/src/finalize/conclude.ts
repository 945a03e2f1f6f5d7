import type { Pool, PoolClient } from 'pg';
import type { JobCounts } from '#api/job-facts.js';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import { jobErrorOf } from '#core/job/job.entity.js';
import { failFinalizing, succeedJob } from '#core/job/loader-transitions.js';
import {
  type LedgerTotals,
  type Outcome,
  exceedsRefusedShare,
  imbalances,
  jobCounts,
} from '#core/ledger/balance.js';
import type { FinalizingJob } from './finalizing-job.js';
import { ledgerFindings, ledgerTotals } from './ledger-sums.js';
import { jobLost } from './step-runner.js';

/** None of the job's data is visible. */
export const NOTHING: Outcome = { inserted: 0, updated: 0, unchanged: 0, deleted: 0, superseded: 0 };

/**
 * Proves G1 and G2 from the ledger and from what became visible, and ends the job as succeeded: the last act
 * of the transaction that makes the job visible, so that neither can be without the other.
 * @throws SluiceError JOB_UNBALANCED, STRICT_REFUSED, JOB_REFUSED_SHARE, JOB_NOTHING_LOADED, JOB_LOST; the caller's transaction has to roll back
 */
export async function succeed(client: PoolClient, job: FinalizingJob, outcome: Outcome): Promise<JobCounts> {
  const counts = provenCounts(await ledgerTotals(client, job.id), job, outcome);
  const findings = await ledgerFindings(client, job.id);
  if (!(await succeedJob(client, job, { counts, findings }))) throw jobLost(job);
  return counts;
}

/** The same proof without ending the job, so that a job that must fail does so before hours of building indexes. */
export async function checkLedger(client: PoolClient, job: FinalizingJob): Promise<void> {
  const ledger = await ledgerTotals(client, job.id);
  provenCounts(ledger, job, { ...NOTHING, inserted: ledger.accepted - ledger.refusedAtLoad });
}

function provenCounts(ledger: LedgerTotals, job: FinalizingJob, outcome: Outcome): JobCounts {
  const problems = imbalances(ledger, job.source, outcome);
  const place = { dataset: job.dataset, job: job.id };
  if (problems.length > 0) {
    throw new SluiceError(
      'JOB_UNBALANCED',
      `The sums of job ${job.id} do not add up: ${problems.join('; ')}.`,
      place,
    );
  }
  const counts = jobCounts(ledger, outcome);
  if (job.strict && counts.refused > 0) {
    throw new SluiceError(
      'STRICT_REFUSED',
      `${counts.refused} of ${counts.read} records were refused, and the job is strict.`,
      place,
    );
  }
  if (exceedsRefusedShare(counts.refused, counts.read, job.maxRefusedShare)) {
    throw new SluiceError(
      'JOB_REFUSED_SHARE',
      `${counts.refused} of ${counts.read} records were refused (${percent(counts.refused / counts.read)}); ` +
        `${percent(job.maxRefusedShare)} are allowed.`,
      place,
    );
  }
  if (!job.mayBringNothing && bringsNothing(counts)) {
    throw new SluiceError(
      'JOB_NOTHING_LOADED',
      `None of ${counts.read} records could be loaded: ${counts.refused} were refused, ${counts.skipped} skipped.`,
      place,
    );
  }
  return counts;
}

/**
 * A source whose records were all refused or skipped is probably the wrong one, whatever its size. A source without records
 * is empty, and one whose records are all in the table already was loaded before.
 */
function bringsNothing({ read, loaded, superseded }: JobCounts): boolean {
  return read > 0 && loaded + superseded === 0;
}

/**
 * finalizing → failed. The tables stay as they were (G5). Staging and ledger stay too: the job may be resumed, and
 * the ledger is the outbox of dead letters still to be announced (`Leftovers`).
 * @returns false when the job is not ours any more
 */
export async function fail(pool: Pool, job: FinalizingJob, error: SluiceError): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const counts = jobCounts(await ledgerTotals(client, job.id), NOTHING);
    const findings = await ledgerFindings(client, job.id);
    return failFinalizing(client, job, { counts, findings }, jobErrorOf(error));
  });
}

/** `4.0 %`, and `0.20 %` below one per cent. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
}
