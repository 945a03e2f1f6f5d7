import type pg from 'pg';
import type { Logger } from 'pino';
import { SluiceError } from '#common/errors/sluice-error.js';
import { inTransaction } from '#common/postgres/pool.js';
import { classifyDatabaseError } from '#common/postgres/sqlstate.js';
import type { JobState } from '#core/job/job-state.js';
import type { LoadRefusal } from '#core/ledger/ledger.entity.js';
import { insertLedgerRows, recordRefusals } from '#core/ledger/ledger.repository.js';
import type { CleanMessage } from '#core/message/clean-message.js';
import { type BatchGroup, sectionText } from './batch-group.js';
import { copyInto } from './copy-sections.js';
import { isolateRefusals } from './isolate-refusals.js';
import type { StagingTarget } from './staging-targets.js';

export type GroupOutcome =
  /** Loaded now; batches that the ledger had already are in `repeated`. */
  | {
      readonly kind: 'loaded';
      readonly fresh: readonly CleanMessage[];
      readonly repeated: readonly CleanMessage[];
    }
  /** The job is not running any more, or unknown: its batches are dropped. */
  | { readonly kind: 'dropped'; readonly state: JobState | 'unknown' };

/** Ledger rows are waited for this long: longer, and a stalled predecessor holds them. */
const LEDGER_LOCK_TIMEOUT = '10s';

/**
 * Loads clean batches of one job in one transaction.
 *
 * lock the job row and look at its state → insert ledger rows, skipping those that are there → COPY each table →
 * COMMIT. Nothing here waits for input: the group is complete in memory before BEGIN.
 *
 * Invariants
 * - LD1 (G3): a batch's ledger row and its rows in staging come in one transaction; the ledger's primary key
 *   makes a repeat a no-op, however often it is delivered.
 * - LD2 (G5): the job row is held FOR KEY SHARE until COMMIT; whoever ends the job takes it FOR UPDATE, so
 *   nothing is loaded after a job has ended.
 * - LD3 (G10): only a fault of the allow-list on one of our own staging tables is looked into for records at
 *   fault; everything else fails the whole group, which comes again.
 */
export class GroupLoader {
  constructor(
    private readonly pool: pg.Pool,
    private readonly logger: Logger,
  ) {}

  /** @throws SluiceError JOB_PAUSED; database errors as they are */
  async load(
    group: BatchGroup,
    targets: readonly StagingTarget[],
    progress: () => void,
  ): Promise<GroupOutcome> {
    try {
      return await this.attempt(group, targets, progress, 'together');
    } catch (error) {
      const kind = classifyDatabaseError(error);
      if (kind === 'retry') return this.attempt(group, targets, progress, 'together');
      if (kind !== 'record') throw error;
      this.logger.info(
        { job: group.job, batches: group.batches.length },
        'a record is refused by the database',
      );
      return this.attempt(group, targets, progress, 'batch by batch');
    }
  }

  private async attempt(
    group: BatchGroup,
    targets: readonly StagingTarget[],
    progress: () => void,
    way: 'together' | 'batch by batch',
  ): Promise<GroupOutcome> {
    return inTransaction(this.pool, async (client) => {
      const state = await lockJob(client, group.job);
      if (state === 'paused')
        throw new SluiceError('JOB_PAUSED', `Job ${group.job} is paused.`, { job: group.job });
      if (state !== 'running') return { kind: 'dropped', state };
      await client.query(`SET LOCAL lock_timeout = '${LEDGER_LOCK_TIMEOUT}'`);
      const inserted = await insertLedgerRows(client, group.batches);
      // One delivery may bring a batch twice, when a publisher sent it again: only its first message is fresh.
      const fresh = group.batches.filter(({ batch }) => inserted.delete(batch));
      const repeated = group.batches.filter((message) => !fresh.includes(message));
      progress();
      if (way === 'together') await copyTogether(client, fresh, targets, progress);
      else await copyOneByOne(client, fresh, targets, progress);
      return { kind: 'loaded', fresh, repeated };
    });
  }
}

async function lockJob(client: pg.PoolClient, job: string): Promise<JobState | 'unknown'> {
  const { rows } = await client.query<{ state: JobState }>(
    'SELECT state FROM sluice.job WHERE id = $1 FOR KEY SHARE',
    [job],
  );
  return rows[0]?.state ?? 'unknown';
}

/** One COPY a table for the whole group. */
async function copyTogether(
  client: pg.PoolClient,
  batches: readonly CleanMessage[],
  targets: readonly StagingTarget[],
  progress: () => void,
): Promise<void> {
  for (const target of targets) {
    const texts = batches.map((batch) => sectionText(batch, target.table, []));
    await copyInto(client, target, texts, progress);
  }
}

/** A savepoint a batch, so that only the batch with a bad record is looked into. */
async function copyOneByOne(
  client: pg.PoolClient,
  batches: readonly CleanMessage[],
  targets: readonly StagingTarget[],
  progress: () => void,
): Promise<void> {
  for (const batch of batches) {
    const refusals: LoadRefusal[] = await isolateRefusals(client, batch, targets, progress);
    if (refusals.length > 0) await recordRefusals(client, batch.job, batch.batch, refusals);
  }
}
