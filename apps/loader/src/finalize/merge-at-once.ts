import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import type { Logger } from 'pino';
import type { JobCounts } from '#api/job-facts.js';
import { pinWithin } from '#common/postgres/pool.js';
import { notePrepared } from '#common/postgres/prepared.js';
import { sqlstateOf } from '#common/postgres/sqlstate.js';
import { loggableMessage } from '#common/telemetry/logger.js';
import { type ClaimedToFinalize, claimAsLoaded } from '#core/job/finalize-claim.js';
import { KnownTargets } from '#core/staging/known-targets.js';
import { dropStaging } from '#core/staging/staging-tables.js';
import { targetsOf } from '#core/staging/table-plan.js';
import { succeed } from './conclude.js';
import {
  type FinalizedDataset,
  type FinalizingJob,
  assertOwnVersion,
  datasetOfMode,
  finalizingJobOf,
} from './finalizing-job.js';
import { merge } from './merge.js';
import { MergeStopped } from './merge-faults.js';
import { mergedTables } from './merge-sql.js';
import { acceptedOutcome, hasOuterKeys } from './merging.js';

export interface MergeAtOnceParts {
  /** By name: every dataset that this process may finalize. */
  readonly datasets: ReadonlyMap<string, FinalizedDataset>;
  /** The name of this process in the job row. */
  readonly owner: string;
  readonly leaseSeconds: number;
  readonly logger: Logger;
  /** How long it may take; {@link LIMITS} when left out. */
  readonly limits?: MergeLimits;
}

export interface MergeLimits {
  /** Of one statement: PostgreSQL cancels it. */
  readonly statementMs: number;
  /** From the claim on: no further statement is begun. So it takes this and one statement at most. */
  readonly totalMs: number;
}

/**
 * The row of the job is held while its load is merged: a cancel or a pause waits so long, its partition is not read, and a load
 * transaction that takes longer than the session time-out of the consumer group is ended as a stalled one, with its batches.
 * The limits are chosen, not measured: what needs seconds for a group of 4 MiB probably has a slow trigger, or a target that is slow to write.
 */
const LIMITS: MergeLimits = { statementMs: 2_000, totalMs: 4_000 };
/** For so long the jobs of a dataset that has met a limit are left to the sweep: else each would be merged twice. */
const SLOW_FOR_MS = 5 * 60_000;
const QUERY_CANCELED = '57014';

/**
 * So long a statement waits for other writers or another claim. A finalization waits as long as they take, and says for whom:
 * so it is left to that.
 */
const LOCK_TIMEOUT = '100ms';
/** The ingestor writes the totals while the batch is on its way to us: where they are not there yet, they are in a moment. */
const LOOKS_FOR_TOTALS = 4;
const LOOK_AGAIN_MS = 3;

/**
 * Makes a job of one load group visible in the transaction that loads it: most of a small job's time went into a second one, into
 * finding and claiming it for that, and into the COMMITs between.
 *
 * - AO1: it is the merge of `Merging` (MN1), with the same claim, proof, end of the job and end of staging, in a savepoint behind
 *   what was loaded. Either all of that is committed with the load, or nothing of it, and the sweep finds the job as it finds any
 *   other that is complete. Nothing is decided here but success: what is to be settled, refused, failed or waited for is the
 *   sweep's.
 * - AO2: taken only where nothing comes before it (LN4, LN5, `claimAsLoaded`).
 * - AO3: other sessions see neither the claim nor its epoch before COMMIT. What ends the process or its connection before that
 *   undoes the load, too; the batches come again. A process that stalls is ended as a loader (`stalled-loaders.ts`).
 * - AO4: it takes a few seconds at most ({@link MergeLimits}); what takes longer is undone to the savepoint, and is the sweep's. COMMIT
 *   is not limited: no constraint is checked there any more, and a wait for a replica must not be cut short.
 */
export class MergeAtOnce {
  private readonly known = new KnownTargets();
  private readonly limits: MergeLimits;
  /** Dataset → until when its jobs are left to the sweep. */
  private readonly slow = new Map<string, number>();

  constructor(private readonly parts: MergeAtOnceParts) {
    this.limits = parts.limits ?? LIMITS;
  }

  /**
   * @param client in the transaction that has loaded all of `batches`, which hold the job's row
   * @returns the counts, when the job has succeeded with the transaction; null: it is as loaded as before
   * @throws when the transaction is lost
   */
  async tryOnce(client: PoolClient, id: string, batches: number): Promise<JobCounts | null> {
    await client.query('SAVEPOINT loaded');
    let counts: JobCounts | null = null;
    let dataset: string | null = null;
    try {
      const { statementMs, totalMs } = this.limits;
      await pinWithin(client, {
        ...{ search_path: '', lock_timeout: LOCK_TIMEOUT },
        statement_timeout: `${statementMs}ms`,
      });
      const limited = untilDeadline(client, performance.now() + totalMs);
      const claimed = await this.claim(limited, id, batches);
      dataset = claimed?.dataset ?? null;
      if (claimed !== null && !this.isSlow(claimed.dataset))
        counts = await this.merge(limited, finalizingJobOf(claimed));
      if (counts !== null) await client.query('SET LOCAL statement_timeout TO DEFAULT');
    } catch (error) {
      counts = null;
      this.known.forget();
      if (dataset !== null && isTooLong(error)) this.slow.set(dataset, performance.now() + SLOW_FOR_MS);
      this.parts.logger.debug({ job: id, why: reasonToLog(error) }, 'not merged with its load');
    }
    if (counts === null) await client.query('ROLLBACK TO loaded; RELEASE loaded');
    return counts;
  }

  private isSlow(dataset: string): boolean {
    return performance.now() < (this.slow.get(dataset) ?? 0);
  }

  private async claim(client: PoolClient, id: string, batches: number): Promise<ClaimedToFinalize | null> {
    const { owner, leaseSeconds } = this.parts;
    for (let looks = 1; ; looks++) {
      const claimed = await claimAsLoaded(client, { id, owner, leaseSeconds, batches });
      if (claimed !== null || looks === LOOKS_FOR_TOTALS) return claimed;
      const { rowCount } = await client.query(
        'SELECT FROM sluice.job WHERE id = $1 AND total_batches IS NULL',
        [id],
      );
      if (rowCount === 0) return null;
      await sleep(LOOK_AGAIN_MS);
    }
  }

  private async merge(client: PoolClient, job: FinalizingJob): Promise<JobCounts | null> {
    const given = this.parts.datasets.get(job.dataset);
    if (given === undefined || job.mode === 'replace') return null;
    assertOwnVersion(job, given);
    const dataset = datasetOfMode(given, job.mode);
    const facts = await this.known.forMerge(client, targetsOf(dataset.tables));
    // They are settled before the merge.
    if (hasOuterKeys(facts)) return null;
    const tables = mergedTables(dataset, facts, job.id);
    const merged = await merge(client, tables, { mode: job.mode, carefully: false });
    const counts = await succeed(client, job, await acceptedOutcome(client, job, dataset, merged));
    await dropStaging(client, job);
    return counts;
  }
}

class TooLong extends Error {
  constructor() {
    super('The merge takes too long to be done with the load.');
  }
}

/** The connection, on which no statement begins after the deadline: it rejects with TooLong. */
function untilDeadline(client: PoolClient, deadline: number): PoolClient {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
  const limited = Object.create(client) as PoolClient;
  limited.query = ((...args: unknown[]) =>
    performance.now() < deadline ? query(...args) : Promise.reject(new TooLong())) as typeof client.query;
  notePrepared(limited, client);
  return limited;
}

/** Also when an administrator has cancelled the statement: that merge is not to be begun again at once either. */
function isTooLong(error: unknown): boolean {
  return error instanceof TooLong || sqlstateOf(error) === QUERY_CANCELED;
}

/** What a function of the user's raises (a SQLSTATE of PL/pgSQL) may quote a record. */
function reasonToLog(error: unknown): string {
  if (error instanceof MergeStopped) return error.obstacle.kind;
  const state = sqlstateOf(error);
  return state?.startsWith('P0') === true ? `SQLSTATE ${state}` : loggableMessage(error);
}
