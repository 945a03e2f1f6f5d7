import type pg from 'pg';
import { FOLD_LOCK } from '#core/job/begin-again.js';
import { prunedOf } from '#core/job/prune-stream-jobs.js';
import type { DeadLetter } from '#core/message/dead-letter-message.js';

interface JobRow {
  readonly id: string;
  readonly first: number;
  readonly last: number;
  readonly columns: readonly string[] | null;
}

interface FactOfJob {
  readonly job: string;
  readonly epoch?: number;
}

/**
 * The jobs that a delivery concerns, as their rows are for the rest of the transaction: a job cannot begin again
 * before it ends.
 * @param client in a transaction
 */
export async function lookUpJobs(
  client: pg.PoolClient,
  facts: readonly { readonly job: string; readonly dataset: string }[],
): Promise<FoldedJobs> {
  await client.query(FOLD_LOCK);
  const { rows } = await client.query<JobRow>(
    `SELECT id, first_epoch AS first, epoch AS last, head->'columns' AS columns
     FROM sluice.job WHERE id = ANY($1::uuid[])`,
    [[...new Set(facts.map(({ job }) => job))]],
  );
  const jobs = new Map(rows.map((row) => [row.id, row]));
  return new FoldedJobs(
    jobs,
    await prunedOf(
      client,
      facts.filter(({ job }) => !jobs.has(job)),
    ),
  );
}

export class FoldedJobs {
  constructor(
    private readonly jobs: ReadonlyMap<string, JobRow>,
    private readonly pruned: ReadonlySet<string>,
  ) {}

  /** PJ4: nothing is folded of such a job any more, and its dead letters are known. */
  isPruned({ job }: FactOfJob): boolean {
    return this.pruned.has(job);
  }

  /**
   * Whether a fact is one of its job's present attempt. Older builds name no epoch: their facts are from before it began again.
   * Nothing is known of a job whose row is lost, so every message about it counts.
   */
  has({ job, epoch = 0 }: FactOfJob): boolean {
    const row = this.jobs.get(job);
    return row === undefined || (epoch >= row.first && epoch <= row.last);
  }

  /**
   * By job, the columns for dead letters that name none: those of its row; where that is lost, those that another of
   * its dead letters names, here or in the index.
   */
  async columnsOf(
    client: pg.PoolClient,
    letters: readonly DeadLetter[],
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const columns = new Map<string, readonly string[]>();
    for (const { job, columns: named } of letters) {
      const known = this.jobs.get(job)?.columns ?? named;
      if (known !== null && !columns.has(job)) columns.set(job, known);
    }
    const unknown = new Set(letters.map(({ job }) => job).filter((job) => !columns.has(job)));
    if (unknown.size === 0) return columns;
    const { rows } = await client.query<{ job: string; names: string[] }>(
      `SELECT asked.job, list.names
       FROM unnest($1::uuid[]) AS asked (job), LATERAL (
         SELECT names FROM sluice.dead_letter AS letter JOIN sluice.letter_columns AS list ON list.id = letter.columns_id
         WHERE letter.job = asked.job AND list.names <> '{}' LIMIT 1) AS list`,
      [[...unknown]],
    );
    for (const { job, names } of rows) columns.set(job, names);
    return columns;
  }
}
